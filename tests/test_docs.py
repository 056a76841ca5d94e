"""The examples in README.md and docs/ run in a folder with the files they name; links resolve."""

import csv
import pathlib
import re
import shutil

import keras
import mktestdocs
import numpy as np
import pytest
from cli_pictures import CAPTIONS, save_picture

from keras_showattend._install import install_advice
from keras_showattend.encoders import registry as encoders
from keras_showattend.presets import registry

ROOT = pathlib.Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_FILES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "presets").glob("*/README.md")),
]
PRESET = "vgg16_gru_flickr8k"


@pytest.fixture(scope="module")
def bundle(tiny_captioner, tmp_path_factory):
    """A tiny captioner under the bundled one's name: what runs here is the examples."""
    keras.utils.set_random_seed(5)
    folder = tmp_path_factory.mktemp("bundle")
    # As long as the captions are: cut ones give a warning.
    tiny_captioner(sequence_length=12).save_to_preset(folder / PRESET)
    return folder


@pytest.fixture
def work(tmp_path, bundle, monkeypatch):
    """Makes the working folder of a reader, with a few images and captions."""
    save_picture(tmp_path / "photo.jpg")
    for number in (1, 2, 3):
        save_picture(tmp_path / "photos" / f"{number}.jpg", number)
    with open(tmp_path / "captions.csv", "w", newline="", encoding="utf-8") as file:
        rows = [(f"photos/{number}.jpg", text) for number, text in enumerate(CAPTIONS, start=1)]
        csv.writer(file).writerows([("image", "caption"), *rows])
    write_flickr8k(tmp_path / "flickr8k")
    shutil.copytree(bundle / PRESET, tmp_path / "my_captioner")
    monkeypatch.setattr(registry, "BUNDLED", bundle)
    # What an example registers is gone after it.
    monkeypatch.setattr(encoders, "_ENTRIES", dict(encoders._ENTRIES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_flickr8k(folder, per_split=6):
    lines = []
    for start, split in enumerate(("train", "dev", "test")):
        names = [f"{split}_{number}.jpg" for number in range(per_split)]
        for number, name in enumerate(names):
            save_picture(folder / "images" / name, start * per_split + number)
            words = CAPTIONS[number % 3].split()
            for place in range(2):
                text = " ".join(np.roll(words, number + place).tolist())
                lines.append(f"{name}#{place}\t{text} .\n")
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names))
    (folder / "Flickr8k.token.txt").write_text("".join(lines))


def has_examples(path):
    return "```python" in path.read_text(encoding="utf-8")


def test_there_are_examples():
    assert has_examples(ROOT / "README.md")
    assert has_examples(ROOT / "docs" / "training.md")


@pytest.mark.slow
@pytest.mark.parametrize("path", [*filter(has_examples, FILES)], ids=lambda path: path.name)
def test_examples(path, work, monkeypatch):
    if "plot" in path.read_text(encoding="utf-8"):
        matplotlib = pytest.importorskip("matplotlib", reason="the extra `plots` draws")
        matplotlib.use("Agg")
    mktestdocs.check_md_file(path, memory=True)


def links(path):
    """Targets of a file's Markdown links that lead to files of the repository."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(path):
    """Anchors that GitHub gives to the headings of a Markdown file."""
    for heading in re.findall(r"^#+ +(.+)$", path.read_text(encoding="utf-8"), re.M):
        yield re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "path", [*FILES, *OTHER_FILES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_lead_somewhere(path):
    broken = []
    for target in links(path):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_readme_installs_as_errors_say():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    advice = install_advice("plots")
    commands = re.findall(r"`(pip install [^`]+)`", advice)
    assert len(commands) == 2
    for command in commands:
        assert f"    {command}\n" in text
