"""The examples in README.md and docs/ run, in a folder with the files that they name."""

import csv
import pathlib
import shutil

import keras
import mktestdocs
import numpy as np
import pytest
from cli_pictures import CAPTIONS, save_picture

from keras_showattend.presets import registry

ROOT = pathlib.Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRESET = "vgg16_gru_flickr8k"


@pytest.fixture(scope="module")
def bundle(tiny_captioner, tmp_path_factory):
    """A tiny captioner under the bundled one's name: what runs here is the examples."""
    keras.utils.set_random_seed(5)
    folder = tmp_path_factory.mktemp("bundle")
    tiny_captioner().save_to_preset(folder / PRESET)
    return folder


@pytest.fixture
def work(tmp_path, bundle, monkeypatch):
    """The working folder of a reader, with a few pictures and captions."""
    save_picture(tmp_path / "photo.jpg")
    for number in (1, 2, 3):
        save_picture(tmp_path / "photos" / f"{number}.jpg", number)
    with open(tmp_path / "captions.csv", "w", newline="", encoding="utf-8") as file:
        rows = [(f"photos/{number}.jpg", text) for number, text in enumerate(CAPTIONS, start=1)]
        csv.writer(file).writerows([("image", "caption"), *rows])
    write_flickr8k(tmp_path / "flickr8k")
    shutil.copytree(bundle / PRESET, tmp_path / "my_captioner")
    monkeypatch.setattr(registry, "BUNDLED", bundle)
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


@pytest.mark.parametrize("path", [*filter(has_examples, FILES)], ids=lambda path: path.name)
def test_examples(path, work, monkeypatch):
    if "plot" in path.read_text(encoding="utf-8"):
        matplotlib = pytest.importorskip("matplotlib", reason="the extra `plots` draws")
        matplotlib.use("Agg")
    mktestdocs.check_md_file(path, memory=True)
