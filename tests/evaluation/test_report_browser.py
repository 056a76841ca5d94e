"""A real browser opens the report and an explanation: nothing is blank, broken or too wide."""

import dataclasses
import re
import shutil
import subprocess

import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, make_tiny_dataset
from PIL import Image

from keras_showattend import CaptionDataset
from keras_showattend.data import CaptionedImage
from keras_showattend.evaluation import evaluate_captions, write_report
from keras_showattend.explain import explain

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
MAGENTA = (220, 30, 200)
# Writes into the page what a person would see at once: what sticks out, what did not load.
PROBE = """<script>addEventListener("load", () => {
const broken = [...document.images].filter(i => !i.naturalWidth).length;
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.body.dataset.probe = `broken=${broken} wide=${wide} images=${document.images.length}`;
})</script></body>"""


def browse(path, tmp_path, width, height=1600):
    """Opens an HTML file; returns the page after its scripts ran, and float[H, W, 3] of it."""
    probed = tmp_path / f"probed-{width}.html"
    page = path.read_text(encoding="utf-8")
    assert page.count("</body>") == 1
    probed.write_text(page.replace("</body>", PROBE), encoding="utf-8")
    shot = tmp_path / f"shot-{width}.png"
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / f'profile-{width}'}",
        f"--window-size={width},{height}",
        "--virtual-time-budget=3000",
        "--enable-logging=stderr",
        f"--screenshot={shot}",
        "--dump-dom",
        probed.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Uncaught" not in done.stderr, done.stderr[-2000:]
    with Image.open(shot) as image:
        return done.stdout, np.asarray(image.convert("RGB"), "float64")


def share_of(pixels, colour):
    return float(np.mean(np.abs(pixels - np.array(colour)).max(axis=-1) < 12))


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.fixture(scope="module")
def dataset():
    items = list(make_tiny_dataset(30))
    plain = np.full((60, 40, 3), MAGENTA, "uint8")
    items[0] = CaptionedImage(plain, items[0].captions, "<i>magenta & co</i>.jpg")
    return CaptionDataset(items)


@pytest.fixture(scope="module")
def report(captioner, dataset, tmp_path_factory):
    evaluation = evaluate_captions(
        captioner,
        dataset,
        metrics=("bleu_4", "cider"),
        num_samples=20,
        num_beams=1,
        feature_cache=None,
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    # 15 of each show all 30, and the plain picture among them.
    return write_report(evaluation, path, dataset=dataset, captioner=captioner, num_examples=15)


def test_the_report_is_one_file_with_everything(report):
    page = report.read_text(encoding="utf-8")
    for outside in ("http:", "https:", "@import", 'src="/', "<link"):
        assert outside not in page
    assert page.count('<article class="card example"') == 30
    assert page.count('<tr><td class="id">') == 30
    assert "&lt;i&gt;magenta &amp; co&lt;/i&gt;.jpg" in page
    assert "<i>magenta" not in page
    assert "Before quoting a score" in page
    assert "CIDEr" in page
    assert "$" not in re.sub(r"base64,[^)\"]*", "", page)


def test_a_report_of_a_thousand_images_is_light(captioner, dataset, tmp_path):
    evaluation = evaluate_captions(
        captioner,
        dataset,
        metrics=("bleu_4", "cider"),
        num_samples=20,
        num_beams=1,
        feature_cache=None,
    )
    rows = [{**row, "id": f"{n}-{row['id']}"} for n in range(34) for row in evaluation["images"]]
    path = write_report({**evaluation, "images": rows[:1000]}, tmp_path / "large.html")
    assert path.stat().st_size < 1_000_000
    assert path.read_text(encoding="utf-8").count('<article class="card example"') == 24


@needs_browser
@pytest.mark.parametrize("width", [600, 1280])
def test_the_report_in_a_browser(report, tmp_path, width):
    page, pixels = browse(report, tmp_path, width, 12000 if width == 600 else 6000)
    probe = re.search(r'data-probe="([^"]*)"', page)
    assert probe, "the page's scripts did not run to the end"
    assert probe[1].startswith("broken=0 wide=0 images=")
    assert int(probe[1].rsplit("=", 1)[1]) > 100
    # The filter shows itself where scripts run.
    assert re.search(r'<input type="search"[^>]*>', page)
    assert "hidden" not in re.search(r'<input type="search"[^>]*>', page)[0]
    assert share_of(pixels, MAGENTA) > 0.001
    assert page.count("<svg") == 3


@needs_browser
def test_an_explanation_in_a_browser(captioner, tmp_path):
    plain = np.full((60, 150, 3), MAGENTA, "uint8")
    explanation = explain(captioner, plain, num_beams=3)
    # Even attention, as a plain picture gets, would leave no shade to look for.
    weights = np.zeros_like(explanation.attention_weights)
    weights[:, 0, 0] = 1
    explanation = dataclasses.replace(explanation, attention_weights=weights)
    path = tmp_path / "explanation.html"
    path.write_text(explanation.to_html(), encoding="utf-8")
    page, pixels = browse(path, tmp_path, 900, 1000)
    count = 2 * len(explanation.words)
    assert f'data-probe="broken=0 wide=0 images={count}"' in page
    # The big picture is unshaded as long as no word is chosen: 400 x 160 pixels.
    assert share_of(pixels, MAGENTA) * 900 * 1000 > 0.8 * 400 * 160
    chosen = tmp_path / "chosen.html"
    text = explanation.to_html().replace(" checked>", ">")
    chosen.write_text(re.sub(r'(-0")>', r"\1 checked>", text, count=1), encoding="utf-8")
    _, shaded = browse(chosen, tmp_path, 901, 1000)
    assert share_of(shaded, MAGENTA) < 0.5 * share_of(pixels, MAGENTA)
    # Yellow lies over the cell that was looked at, and nearly nothing over the others.
    yellow = shaded[80:200, :, 0] - shaded[80:200, :, 2]
    assert yellow[:, 40:100].max() > 100
    assert yellow[:, 300:400].max() < 40
