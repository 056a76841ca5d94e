"""Bulk captioning on a Ray cluster of two nodes: the rows of the plain command, each once."""

import json
import os
import threading
import time

import pytest
from cli_pictures import save_picture

pytest.importorskip("ray.data", reason="the extra `ray` captions in bulk")

from keras_showattend.cli import main as cli
from keras_showattend.data.storage import locate
from keras_showattend.ray import caption_source
from keras_showattend.ray.parts import CaptionParts

pytestmark = [
    pytest.mark.slow,
    # Ray leaves the sockets and log files of the processes that it starts to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*"),
    pytest.mark.filterwarnings(r"ignore::FutureWarning:ray\..*"),
]
pytest_plugins = ["cli_fixtures"]

IMAGES = 60


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with a core each, on this machine, and a connection to them."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            # The workers import what this process imports.
            "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")]),
        }.items():
            patch.setenv(name, value)
        options = {"num_cpus": 1, "object_store_memory": 120_000_000}
        nodes = Cluster(
            initialize_head=True, head_node_args={**options, "include_dashboard": False}
        )
        nodes.add_node(**options)
        ray.init(nodes.address, log_to_driver=False)
        try:
            yield nodes
        finally:
            ray.shutdown()
            nodes.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(IMAGES - 1):
        save_picture(folder / f"{seed:03d}.png", seed)
    (folder / "damaged.png").write_bytes(b"no image")
    return folder


def kill_a_captioning_actor(parts):
    """Kills an actor with SIGKILL once the first part of the output is there."""
    import psutil

    while not list(parts.glob("part-*")):
        time.sleep(0.05)
    for process in psutil.process_iter(["cmdline"]):
        if any("CaptionImages" in word for word in process.info["cmdline"] or ()):
            process.kill()
            return


def test_rows_are_those_of_the_plain_command(cluster, tiny_preset, photos, tmp_path):
    output = tmp_path / "captions"
    options = {"actors": 2, "rows_in_a_part": 8, "batch_size": 2, "num_beams": 2}
    killer = threading.Thread(target=kill_a_captioning_actor, args=(output,))
    killer.start()
    summary = caption_source(photos, output, tiny_preset, **options)
    killer.join()
    assert (summary.captioned, summary.errors, summary.lost) == (IMAGES - 1, 1, 0)

    file = tmp_path / "captions.jsonl"
    words = ["caption", str(photos), "--preset", tiny_preset, "--num-beams", "2"]
    assert cli.main([*words, "--output", str(file)]) == 1
    expected = {row["path"]: row for row in map(json.loads, file.read_text().splitlines())}
    rows = list(CaptionParts(locate(output), "parquet").rows())
    assert len(rows) == IMAGES
    found = {row["path"]: row for row in rows}
    failed = found.pop(str(photos / "damaged.png"))
    assert "no image Pillow can read" in failed["error"]
    assert found.keys() == expected.keys()
    for path, row in found.items():
        assert row["caption"] == expected[path]["caption"]
        assert row["complete"] == expected[path]["complete"]
        assert row["log_probability"] == pytest.approx(expected[path]["log_probability"], rel=1e-4)

    # Run again, it captions what is lacking.
    part = next(output.glob("part-*"))
    lacking = CaptionParts(locate(output), "parquet")._rows(part.name)
    part.unlink()
    summary = caption_source(photos, output, tiny_preset, retry_errors=True, **options)
    assert summary.captioned + summary.errors in (len(lacking), len(lacking) + 1)
    assert summary.errors == 1
    rows = list(CaptionParts(locate(output), "parquet").rows())
    assert {row["path"]: row["caption"] for row in rows} == {
        path: row["caption"] for path, row in {**found, failed["path"]: failed}.items()
    }
    assert len(rows) == IMAGES
