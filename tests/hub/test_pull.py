"""Pulling presets from a local Hub with the real client, through faults and twice at once."""

import json
import os
import pathlib
import signal
import time

import pytest
from hub_driver import ClientError, read_folder

from keras_showattend.presets.files import DIGESTS_FILE, write_digests

pytestmark = pytest.mark.slow

pytest_plugins = ["hub_fixtures"]


@pytest.fixture
def published(hub, preset):
    """The files of a preset that lies on the Hub as alice/tiny."""
    hub.reset()
    write_digests(preset)
    files = read_folder(preset)
    hub.add_repo("alice/tiny", {**files, "README.md": b"# Tiny", "notes.txt": b"not fetched"})
    return files


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def pull(client, cache):
    """`download_preset` in the client, into a cache of the test's own."""

    def call(handle="hf://alice/tiny", client=client, **options):
        return client("download_preset", handle, cache_dir=str(cache), **options)

    return call


@pytest.fixture
def refused(pull):
    """The message of the `HubError` that a pull ends with."""

    def call(*args, **options):
        with pytest.raises(ClientError) as caught:
            pull(*args, **options)
        assert "HubError" in caught.value.kinds, (caught.value.kinds, str(caught.value))
        assert "Received: " in str(caught.value)
        return str(caught.value)

    return call


def test_pull_fetches_only_the_preset(pull, hub, published, cache):
    folder = pull()
    assert read_folder(folder) == published
    assert pathlib.Path(folder).is_relative_to(cache)
    assert not [path for _, path, _ in hub.requests if "notes.txt" in path]


def test_second_pull_asks_but_downloads_nothing(pull, hub, published):
    folder = pull()
    hub.reset()
    assert pull() == folder
    assert not [path for _, path, _ in hub.requests if "/resolve/" in path or "/cdn/" in path]


def test_revisions(pull, refused, hub, published):
    repo = hub.repos["alice/tiny"]
    first = repo.refs["main"]
    repo.commit("better", dict(repo.trees[first]), "second")
    by_branch = pull("hf://alice/tiny@better")
    assert by_branch == pull(revision="better")
    assert pull(f"hf://alice/tiny@{first}").endswith(first)
    assert not by_branch.endswith(first)
    assert "branch, a tag or a commit" in refused("hf://alice/tiny@nowhere")
    assert "given once" in refused("hf://alice/tiny@better", revision="main")


@pytest.mark.parametrize(
    "handle", ["hf://tiny", "hf://a/b/c", "hf:///tiny", "hf://alice/tiny@", "hf://ali ce/..tiny"]
)
def test_malformed_handles(refused, handle):
    assert "must have the form" in refused(handle)


def test_private_repository_needs_the_right_token(pull, refused, hub, published):
    hub.add_repo("alice/secret", published, private=True)
    for options in ({}, {"token": "hf_bob"}):
        assert "hf auth login" in refused("hf://alice/secret", **options)
    assert pull("hf://alice/secret", token="hf_alice")
    message = refused("hf://alice/other", token="hf_wrong")
    assert "hf auth login" in message
    assert "hf_wrong" not in message


def test_settings_of_the_environment(start_client, hub, published):
    hub.add_repo("alice/secret", published, private=True)
    client = start_client(HF_TOKEN="hf_alice")
    folder = client("download_preset", "hf://alice/secret")
    assert pathlib.Path(folder).is_relative_to(client.home / "hub")


def test_missing_and_gated_repositories(refused, hub, published):
    assert "Check its name" in refused("hf://alice/nothing", token="hf_alice")
    hub.add_repo("alice/gated", published, gated=True)
    assert "Ask for access" in refused("hf://alice/gated", token="hf_bob")


def test_repository_without_a_preset_of_ours(refused, hub, published):
    hub.add_repo("alice/bert", {"config.json": b'{"model_type": "bert"}', "model.bin": b"0"})
    assert "another kind" in refused("hf://alice/bert")
    hub.add_repo("alice/empty", {"README.md": b"# Nothing"})
    assert "no config.json" in refused("hf://alice/empty")
    del published["model.weights.h5"], published[DIGESTS_FILE]
    hub.add_repo("alice/half", published)
    assert "model.weights.h5" in refused("hf://alice/half")


def test_newer_format_is_refused_before_the_weights_are_fetched(pull, hub, published):
    metadata = json.loads(published["metadata.json"])
    del published[DIGESTS_FILE]
    newer = json.dumps({**metadata, "preset_format": 99}).encode()
    hub.add_repo("alice/newer", {**published, "metadata.json": newer})
    with pytest.raises(ClientError, match="pip install --upgrade keras-showattend"):
        pull("hf://alice/newer")
    assert not [path for _, path, _ in hub.requests if "weights" in path or "/cdn/" in path]


def test_preset_without_digests_is_accepted(pull, hub, published):
    del published[DIGESTS_FILE]
    hub.add_repo("alice/plain", published)
    assert read_folder(pull("hf://alice/plain")) == published


def test_offline_from_cache(pull, refused, offline_client, hub, published):
    folder = pull()
    hub.reset()
    assert pull(client=offline_client) == folder
    assert "HF_HUB_OFFLINE=0" in refused("hf://alice/never", client=offline_client)
    assert hub.requests == []


def test_without_network(pull, refused, start_client, published):
    folder = pull()
    # Port 9 of this machine: nobody answers there.
    cut_off = start_client(url="http://127.0.0.1:9")
    assert pull(client=cut_off) == folder
    assert "Check the network" in refused("hf://alice/never", client=cut_off)


def test_unavailable_then_available(pull, hub, published):
    hub.fault(r"/resolve/.*/config.json", method="HEAD", status=503)
    hub.fault(r"/cdn/", status=429)
    assert read_folder(pull()) == published


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "hf auth login"),
        (403, "settings/tokens"),
        (429, "Wait a few minutes"),
        (500, "Try again later"),
        (503, "Try again later"),
    ],
)
@pytest.mark.parametrize("pattern", [r"/api/models/", r"/cdn/"])
def test_lasting_refusals_are_explained(pull, refused, hub, published, status, advice, pattern):
    hub.fault(pattern, status=status, times=20)
    assert advice in refused()
    hub.reset()
    assert read_folder(pull()) == published


def test_connection_cut_inside_the_weights(pull, hub, published):
    hub.fault(r"/cdn/", cut_after=2000)
    assert read_folder(pull()) == published
    assert 206 in [status for _, path, status in hub.requests if "/cdn/" in path]


def test_connection_that_is_always_cut(pull, refused, hub, published, cache):
    hub.fault(r"/cdn/", cut_after=0, times=50)
    assert "Check the network" in refused()
    assert not list(cache.rglob("*.incomplete"))
    assert not list(cache.rglob("*.h5"))
    hub.reset()
    assert read_folder(pull()) == published


@pytest.mark.parametrize("pattern", [r"/cdn/", r"/resolve/.*/task.json", r"/resolve/.*/digests"])
def test_wrong_bytes_once_are_fetched_again(pull, hub, published, pattern):
    hub.fault(pattern, corrupt=True)
    assert read_folder(pull()) == published


@pytest.mark.parametrize("pattern", [r"/cdn/", r"/resolve/.*/task.json"])
def test_wrong_bytes_do_not_stay_in_the_cache(pull, refused, hub, published, pattern):
    hub.fault(pattern, corrupt=True, times=10)
    assert "digests" in refused()
    hub.reset()
    assert read_folder(pull()) == published


def test_damage_on_the_disk(pull, refused, offline_client, published):
    def damage():
        weights = (pathlib.Path(pull()) / "model.weights.h5").resolve()
        weights.chmod(0o644)
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")

    damage()
    assert read_folder(pull()) == published
    damage()
    assert "HF_HUB_OFFLINE=0" in refused(client=offline_client)
    assert read_folder(pull()) == published


@pytest.mark.skipif(os.name != "posix", reason="uses resource limits")
def test_full_disk(pull, refused, client, published):
    client("limit_file_size", 5000)
    try:
        assert "Free some" in refused()
    finally:
        client("limit_file_size", None)
    assert read_folder(pull()) == published


def test_two_at_once(client, start_client, hub, published, cache):
    hub.slow_down(r"/cdn/", seconds=0.5)
    clients = [client, start_client()]
    for one in clients:
        one.start("download_preset", "hf://alice/tiny", cache_dir=str(cache))
    folders = {one.wait() for one in clients}
    assert len(folders) == 1
    assert read_folder(folders.pop()) == published


def size_of(path):
    """Size of a file, which may be gone by now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_killed_half_way(pull, refused, start_client, offline_client, hub, published, cache):
    hub.slow_down(r"/cdn/", seconds=5)
    killed = start_client()
    killed.start("download_preset", "hf://alice/tiny", cache_dir=str(cache))
    for _ in range(200):
        if any(size_of(path) > 20_000 for path in cache.rglob("*.incomplete")):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the weights did not begin to arrive")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait(timeout=10)
    hub.reset()
    assert "HF_HUB_OFFLINE" in refused(client=offline_client)
    assert read_folder(pull()) == published


def test_names_that_leave_the_cache(pull, hub, published, tmp_path):
    evil = {"../../../evil.json": b"{}", "assets/../../evil.json": b"{}"}
    hub.add_repo("alice/evil", {**published, **evil})
    assert read_folder(pull("hf://alice/evil")) == published
    assert not list(tmp_path.rglob("evil.json"))


def test_strangers_code_is_refused_before_the_weights_are_fetched(pull, hub, published):
    config = json.loads(published["config.json"])
    layers = config["config"]["image_encoder"]["config"]["backbone"]["config"]["layers"]
    layers[0] = {"module": "os", "class_name": "system", "config": {}, "registered_name": None}
    hub.add_repo("alice/evil", {**published, "config.json": json.dumps(config).encode()})
    with pytest.raises(ClientError, match="digests"):
        pull("hf://alice/evil")
    del published[DIGESTS_FILE]
    hub.add_repo("alice/evil", {**published, "config.json": json.dumps(config).encode()})
    hub.reset()
    with pytest.raises(ClientError, match="only classes that make a captioner"):
        pull("hf://alice/evil")
    assert not [path for _, path, _ in hub.requests if "/cdn/" in path]
