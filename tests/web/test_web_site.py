"""The browser page in a real Chromium: the captions of Python, and nothing sent anywhere."""

import csv
import functools
import http.server
import json
import re
import threading

import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture
from PIL import Image

from keras_showattend._examples import EXAMPLE_IMAGES

pytestmark = pytest.mark.slow

pytest_plugins = ["browser_fixtures"]

NAME = "tiny <1>"
ANSWER = "#status:text('Caption:'), #error:visible"


@pytest.fixture(scope="module")
def captioner():
    from keras_showattend.explain import Calibration

    captioner = make_tiny_captioner()
    captioner.calibration = Calibration(1.5, 2.0, 0.0, 0.2, 0.2, 0.5, 10)
    return captioner


@pytest.fixture(scope="module")
def site(captioner, tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="the extra `onnx`")
    from keras_showattend.web import write_site

    folder = tmp_path_factory.mktemp("web")
    captioner.export(folder / "captioner.onnx")
    size = write_site(folder / "captioner.onnx", folder / "site", NAME)
    files = [path for path in (folder / "site").rglob("*") if path.is_file()]
    assert size == sum(path.stat().st_size for path in files if path.name != "README.md")
    return folder / "site"


class Server:
    """The site on a static host."""

    def __init__(self, folder):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass

        handler = functools.partial(Quiet, directory=str(folder))
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=[0.02], daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def server(site):
    server = Server(site)
    yield server
    server.stop()


@pytest.fixture
def open_page(visit, server):
    """Function that opens the page for a new visitor and waits for the captioner."""

    def start(**options):
        visitor = visit(**options)
        visitor.page.goto(server.url)
        visitor.page.wait_for_selector("#progress", state="hidden")
        assert visitor.page.inner_text("#status") == "The captioner is ready."
        return visitor

    return start


def ask(page, path):
    """Chooses a file; returns what a screen reader hears of it."""
    return answer_to(page, lambda: page.set_input_files("#files", path))


def answer_to(page, action):
    """Does something; returns what a screen reader hears then, and not what it heard before."""
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate("document.getElementById('error').hidden = true")
    action()
    return hear(page)


def hear(page):
    page.wait_for_selector(ANSWER)
    return page.inner_text("#status") or page.inner_text("#error")


# Of these pictures one caption leads clearly: rounding cannot change the order.
SEEDS = (21, 10, 4, 15, 3, 6, 1, 23)


@pytest.fixture(scope="module")
def ten_images(tmp_path_factory):
    """Images of ten kinds; all but the last are the same pixels in every decoder."""
    folder = tmp_path_factory.mktemp("images")
    pictures = [Image.fromarray(tiny_picture(90, 120, seed)) for seed in SEEDS]
    alpha = np.tile(np.arange(120, dtype="uint8"), (90, 1)) * 2
    pictures[2].putalpha(Image.fromarray(alpha))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {
        "plain.png": (pictures[0], {}),
        "grey.png": (pictures[1].convert("L"), {}),
        "transparent.png": (pictures[2], {}),
        "palette.gif": (pictures[3].convert("P"), {}),
        "large.bmp": (pictures[4].resize((700, 500)), {}),
        "lossless.webp": (pictures[5], {"lossless": True}),
        "wide.png": (pictures[6].resize((900, 20)), {}),
        "on its side.png": (pictures[7], {"exif": exif}),
        "dot.png": (Image.new("RGB", (1, 1), (200, 30, 90)), {}),
    }
    for name, (picture, options) in kinds.items():
        picture.save(folder / name, **options)
    return [*(folder / name for name in kinds), EXAMPLE_IMAGES[2]]


def test_ten_images_get_the_captions_of_python(open_page, server, captioner, ten_images):
    assert len(ten_images) == 10
    visitor = open_page()
    page = visitor.page
    milliseconds = []
    for path in ten_images:
        expected = captioner.explain(path)
        assert ask(page, path) == f"Caption: {expected.caption}."
        milliseconds.append(int(page.get_attribute("#time", "data-milliseconds")))
        assert page.locator("#beams label").count() == len(expected.alternatives)
        words = page.locator("#words button")
        assert words.count() == len(expected.words)
        for position, label in enumerate(words.all()):
            text = label.get_attribute("aria-label")
            word, share = re.match(r"(\S+), (\d+) %, looked at the \w", text).groups()
            assert word == expected.words[position]
            assert abs(int(share) / 100 - expected.probabilities[position]) < 0.012
        confidence = re.search(r"Confidence (\d+) %", page.inner_text("#confidence"))[1]
        assert abs(int(confidence) / 100 - expected.confidence) < 0.012
    print(f"click to caption: {min(milliseconds)} to {max(milliseconds)} ms")
    assert visitor.elsewhere(server.url) == []
    assert visitor.errors == []


def test_words_show_where_the_captioner_looked(open_page, captioner, ten_images):
    page = open_page(width=390, color_scheme="dark").page
    ask(page, ten_images[0])
    expected = captioner.explain(ten_images[0])
    stage = page.locator("#stage")
    assert "looking" not in (stage.get_attribute("class") or "")
    page.locator("#words button").nth(1).hover()
    assert stage.get_attribute("class") == "looking"
    # The brightest pixel lies over the location of the greatest weight.
    brightest = page.evaluate(
        """() => {
        const canvas = document.getElementById("heat");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let best = 0;
        for (let at = 0; at < data.length; at += 4) if (data[at + 1] > data[best + 1]) best = at;
        const pixel = best / 4;
        return [Math.floor(pixel / canvas.width) / 32, (pixel % canvas.width) / 32];
        }"""
    )
    weights = expected.attention_weights[1]
    peak = np.unravel_index(np.argmax(weights), weights.shape)
    assert [int(place) for place in brightest] == list(peak)
    # By keyboard alone: from the caption's first word on.
    page.mouse.move(0, 0)
    assert not stage.get_attribute("class")
    page.locator("#words button").first.focus()
    page.keyboard.press("Tab")
    assert stage.get_attribute("class") == "looking"
    page.keyboard.press("Enter")
    assert page.locator("#words button").nth(1).get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_another_caption_is_chosen_and_corrected(open_page, captioner, ten_images, server):
    visitor = open_page()
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page = visitor.page
    ask(page, ten_images[0])
    second = captioner.explain(ten_images[0]).alternatives[1].text
    page.locator("#beams input").nth(1).check()
    assert page.inner_text("#caption") == second
    assert page.input_value("#alt") == second
    page.fill("#alt", 'A "dog" & <i>ball</i>')
    page.click("#copy-html")
    page.wait_for_selector("#status:text('copied')")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == '<img src="plain.png" alt="A &quot;dog&quot; &amp; &lt;i&gt;ball&lt;/i&gt;">'
    page.click("#copy")
    page.wait_for_selector("#status:text('text is copied')")
    assert page.evaluate("navigator.clipboard.readText()") == 'A "dog" & <i>ball</i>'


def test_what_is_no_image_is_said_in_words(open_page, tmp_path, ten_images):
    whole = ten_images[0].read_bytes()
    bad = {
        "broken.png": (whole[:80], "damaged"),
        "empty.png": (b"", "empty"),
        "page.pdf": (b"%PDF-1.7\n", "A PDF is a document"),
        "drawing.svg": (b"\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is a drawing"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", "cannot read HEIC"),
        "scan.tif": (b"II*\0" + bytes(60), "cannot read TIFF"),
        "notes.png": (b"just words", "no image that this browser reads"),
        "saved.jpg": (b"<!DOCTYPE html><p>404", "a web page"),
    }
    page = open_page().page
    for name, (content, reason) in bad.items():
        (tmp_path / name).write_bytes(content)
        message = ask(page, tmp_path / name)
        assert message.startswith(f"{name}: ")
        assert reason in message
        assert not page.is_visible("#result")
    huge = tmp_path / "huge.png"
    Image.new("1", (10_000, 10_000)).save(huge)
    assert "The image has 100 megapixels, and at most 89" in ask(page, huge)
    # The page goes on.
    assert ask(page, ten_images[0]).startswith("Caption: ")


def test_images_come_by_paste_and_drop(open_page, captioner, ten_images):
    page = open_page().page
    give = """([kind, bytes]) => {
        const transfer = new DataTransfer();
        const png = { type: "image/png" };
        if (bytes) transfer.items.add(new File([new Uint8Array(bytes)], "image.png", png));
        const event = kind === "paste"
            ? new ClipboardEvent(kind, { clipboardData: transfer, bubbles: true })
            : new DragEvent(kind, { dataTransfer: transfer, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for kind, path in (("paste", ten_images[0]), ("drop", ten_images[1])):
        page.evaluate("document.getElementById('status').textContent = ''")
        page.evaluate(give, [kind, list(path.read_bytes())])
        assert hear(page) == f"Caption: {captioner.generate(path)}."
        page.evaluate("document.getElementById('status').textContent = ''")
        page.evaluate(give, [kind, None])
        assert hear(page).startswith("There is no image")


def test_a_folder_becomes_a_table(open_page, captioner, tmp_path, ten_images):
    folder = tmp_path / "=photos"
    folder.mkdir()
    names = ["a.png", "b, c.png"]
    for name, path in zip(names, ten_images, strict=False):
        (folder / name).write_bytes(path.read_bytes())
    (folder / "d.png").write_bytes(b"\x89PNG no more")
    (folder / "notes.txt").write_text("not an image, and not reported")
    page = open_page(width=390).page
    page.set_input_files("#folder", folder)
    page.wait_for_selector("#batch-status:text('could not be read')")
    assert page.inner_text("#batch-status") == "2 of 3 images captioned. 1 could not be read."
    with page.expect_download() as download:
        page.click("#download")
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # Browsers list a folder in an order of their own.
    rows.sort(key=lambda row: row["path"])
    assert [row["path"] for row in rows] == [f"'=photos/{name}" for name in names]
    for row, path in zip(rows, ten_images, strict=False):
        [best, *_] = captioner.generate(path, return_all_beams=True)
        assert row["caption"] == best.text
        assert float(row["log_probability"]) == pytest.approx(best.log_probability, abs=0.02)
        assert 0 < float(row["confidence"]) < 1
    shown = answer_to(page, page.get_by_role("button", name="=photos/a.png").click)
    assert shown == f"Caption: {rows[0]['caption']}."
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_second_visit_needs_no_network(site, visit, captioner, ten_images):
    server = Server(site)
    visitor = visit()
    page = visitor.page
    page.goto(server.url)
    page.wait_for_selector("#progress", state="hidden")
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    server.stop()
    page.reload()
    page.wait_for_selector("#progress", state="hidden")
    assert ask(page, ten_images[0]) == f"Caption: {captioner.generate(ten_images[0])}."
    assert answer_to(page, page.locator("#examples button").first.click).startswith("Caption: ")
    # Large files came once, and nothing from elsewhere.
    assert visitor.elsewhere(server.url) == []
    assert visitor.errors == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(open_page, ten_images, tmp_path, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(width=width, color_scheme=scheme).page

    def complaints():
        found = axe.run(page).response["violations"]
        return [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found]

    assert complaints() == []
    ask(page, ten_images[0])
    page.locator("#words button").first.click()
    assert complaints() == []
    ask(page, __file__)
    page.set_input_files("#files", [*ten_images[:2]])
    page.wait_for_selector("#batch-status:text('2 of 2')")
    assert complaints() == []


def test_a_model_that_does_not_arrive(site, visit, tmp_path):
    import shutil

    folder = tmp_path / "site"
    shutil.copytree(site, folder)
    (folder / "captioner.onnx").write_bytes((site / "captioner.onnx").read_bytes()[:1000])
    server = Server(folder)
    page = visit().page
    page.goto(server.url)
    page.wait_for_selector("#error:visible")
    assert "“captioner.onnx” was cut off: load the page again." in page.inner_text("#error")
    server.stop()


def test_what_a_site_holds(site, captioner):
    about = json.loads((site / "site.json").read_text(encoding="utf-8"))
    assert about["name"] == NAME
    vocabulary = captioner.preprocessor.tokenizer.get_vocabulary()
    assert about["captioner"]["vocabulary"] == vocabulary
    assert all((site / name).stat().st_size == size for name, size in about["files"].items())
    card = (site / "README.md").read_text(encoding="utf-8")
    assert re.match(r"---\ntitle: .*\nsdk: static\n", card)
    notices = (site / "NOTICES.txt").read_text(encoding="utf-8")
    assert "ONNX Runtime, which runs it: MIT" in notices
    assert all(path.name in notices for path in EXAMPLE_IMAGES)


def test_refusals(site, tmp_path):
    from keras_showattend.cli.main import main
    from keras_showattend.web import write_site

    model = site / "captioner.onnx"
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match="must be new or empty"):
        write_site(model, tmp_path, NAME)
    assert main(["web", "--output", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(b"no model")
    with pytest.raises(ValueError, match="must be an ONNX file"):
        write_site(foreign, tmp_path / "site", NAME)
    assert not (tmp_path / "site").exists()
