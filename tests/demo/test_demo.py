"""The demo: several visitors in a real browser, what they send by mistake, and the Space."""

import re
import subprocess
import sys
import threading

import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture
from hub_driver import read_folder
from PIL import Image

from keras_showattend._examples import EXAMPLE_IMAGES
from keras_showattend.demo import create_demo, write_space
from keras_showattend.demo.app import caption_batch, launch_demo

# Gradio's own code warns.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default:::gradio", "default:::pandas")]

pytest_plugins = ["browser_fixtures", "hub_fixtures"]

NAME = "tiny <1>"


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "tiny"
    make_tiny_captioner().save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def captioner(preset):
    from keras_showattend import ImageCaptioner

    return ImageCaptioner.from_preset(preset)


@pytest.fixture(scope="module")
def demo(preset):
    pytest.importorskip("gradio", reason="the extra `demo`")
    # Another test may hold the usual port.
    running = launch_demo({NAME: preset, "again": preset})
    yield running
    running.close(verbose=False)


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, path in enumerate(paths):
        Image.fromarray(tiny_picture(50 + seed, 70 - seed, seed)).save(path)
    return paths


def test_visitors_are_captioned_together_as_each_alone(captioner, images):
    captioners = {NAME: captioner}
    beams = [5, 1, 5]
    together = caption_batch(captioners, [str(path) for path in images], beams, [NAME] * 3)
    for (caption, page), path, count in zip(together, images, beams, strict=True):
        assert caption == captioner.generate(path, num_beams=count)
        assert page.count("entropy") == len(caption.split())


def test_one_bad_image_does_not_stop_the_others(captioner, images, tmp_path):
    bad = {"a.pdf": b"%PDF-1.4\n", "empty.jpg": b"", "b.svg": b"<svg xmlns='x'/>", "c.txt": b"hi"}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    paths = [None, str(images[0]), *(str(tmp_path / name) for name in bad)]
    nothing, good, *reasons = caption_batch(
        {NAME: captioner}, paths, [5] * len(paths), [NAME] * len(paths)
    )
    assert nothing == ("", "")
    assert good[0] == captioner.generate(images[0])
    for caption, reason in reasons:
        assert caption == ""
        assert reason.startswith('<p role="alert">')
        # Nothing of the server's folders.
        assert "Received: " in reason
        assert str(tmp_path) not in reason


def send(visitor, path):
    visitor.page.set_input_files("input[type=file]", path)


def caption_of(visitor):
    return visitor.page.locator("textarea").input_value()


def test_visitors_in_a_browser(demo, captioner, images, visit, tmp_path):
    address = demo.local_url.rstrip("/")
    visitors = [visit(width=width) for width in (1280, 390, 800)]
    for visitor in visitors:
        visitor.page.goto(address)
    for visitor, path in zip(visitors, images, strict=True):
        send(visitor, path)
    for visitor, path in zip(visitors, images, strict=True):
        visitor.page.wait_for_selector(".ksa")
        assert caption_of(visitor) == captioner.generate(path)
        assert visitor.elsewhere(address) == []
        assert visitor.errors == []
    # A word that is chosen shades the image; the page is not wider than the phone.
    page = visitors[1].page
    words = page.locator(".ksa .say label")
    words.nth(1).click()
    shade = "getComputedStyle(document.querySelector('.ksa .stage .s0')).opacity > 0"
    page.wait_for_function(shade)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0].read_bytes()[:100])
    send(visitors[0], broken)
    alert = visitors[0].page.locator("p[role=alert]")
    alert.wait_for()
    assert "damaged" in alert.inner_text()
    assert caption_of(visitors[0]) == ""


def test_requests_that_wait_are_batched(captioner, images):
    gradio_client = pytest.importorskip("gradio_client")
    sizes, busy, go_on = [], threading.Event(), threading.Event()

    class Recorder:
        """The captioner, which notes how many images it is given and waits at the first."""

        preprocessor = captioner.preprocessor

        def explain(self, sources, **options):
            sizes.append(len(sources))
            busy.set()
            assert go_on.wait(60)
            return captioner.explain(sources, **options)

    demo = create_demo({NAME: Recorder()})
    demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    try:
        client = gradio_client.Client(demo.local_url, verbose=False)
        send = [gradio_client.handle_file(str(path)) for path in images]
        jobs = [client.submit(send[0], 5, NAME, api_name="/caption")]
        assert busy.wait(60)
        jobs += [client.submit(image, 5, NAME, api_name="/caption") for image in send[1:] * 2]
        while demo._queue.event_queue_per_concurrency_id and len(demo._queue) < 4:
            pass
        go_on.set()
        captions = [job.result(timeout=60)[0] for job in jobs]
    finally:
        demo.close(verbose=False)
    expected = [captioner.generate(path) for path in images]
    assert captions == [*expected, *expected[1:]]
    assert sizes == [1, 4]


def test_a_space_runs_by_itself(preset, tmp_path, captioner):
    pytest.importorskip("gradio", reason="the extra `demo`")
    folder = tmp_path / "space"
    write_space(folder, preset, NAME)
    names = set(read_folder(folder))
    assert {"app.py", "requirements.txt", "README.md", "preset/config.json"} <= names
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert re.match(r"---\ntitle: .*\nsdk: gradio\nsdk_version: ", card)
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("gradio") for line in requirements)
    assert any(line.startswith("keras>=") for line in requirements)
    assert not any(line.startswith(("pytest", "jax")) for line in requirements)
    code = (
        "import app, keras_showattend, pathlib\n"
        "assert pathlib.Path(keras_showattend.__file__).parent.parent == pathlib.Path.cwd()\n"
        f"print(keras_showattend.ImageCaptioner.from_preset(app.PRESET).generate({EXAMPLE_IMAGES[0].as_posix()!r}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == captioner.generate(EXAMPLE_IMAGES[0])
    with pytest.raises(ValueError, match="must be new or empty"):
        write_space(folder, preset, NAME)


def test_a_space_is_pushed(preset, tmp_path, client, hub):
    pytest.importorskip("gradio", reason="the extra `demo`")
    folder = tmp_path / "space"
    write_space(folder, preset, NAME)
    url = client("push_space", str(folder), "alice/demo", token="hf_alice")
    assert url.startswith(hub.url)
    stored = hub.repos["alice/demo"]
    files = stored.trees[stored.refs["main"]]
    assert {name: blob.data for name, blob in files.items()} == {
        name: content for name, content in read_folder(folder).items() if "__pycache__" not in name
    }
    with pytest.raises(Exception, match="A Space has a README.md"):
        client("push_space", str(preset), "alice/demo", token="hf_alice")


def test_the_command(preset, tmp_path):
    from keras_showattend.cli.main import main

    pytest.importorskip("gradio", reason="the extra `demo`")
    folder = tmp_path / "space"
    assert main(["demo", "--preset", str(preset), "--space", str(folder)]) == 0
    assert '{"tiny": PRESET}' in (folder / "app.py").read_text(encoding="utf-8")
    assert main(["demo", "--space", str(folder)] + ["--preset", str(preset)] * 2) == 2


def test_no_captioner():
    with pytest.raises(ValueError, match="a captioner or more"):
        create_demo({})


def test_examples_may_be_passed_on():
    notice = EXAMPLE_IMAGES[0].with_name("README.md").read_text(encoding="utf-8")
    for path in EXAMPLE_IMAGES:
        assert re.search(rf"`{path.name}`: .*(public domain|CC0)\.", notice)
