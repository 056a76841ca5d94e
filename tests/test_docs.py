"""The examples in README.md and docs/ run in a folder with the files they name; links resolve.

Blocks marked `python` and `sh` run. Those marked `py` and `bash` are shown only: they need the
network, the real weights or hours.
"""

import csv
import pathlib
import re
import runpy
import shlex
import shutil
import subprocess

import keras
import mktestdocs
import numpy as np
import pytest
from cli_pictures import CAPTIONS, save_picture

from keras_showattend._install import install_advice
from keras_showattend.cli import main as cli
from keras_showattend.encoders import registry as encoders
from keras_showattend.explain import Calibration
from keras_showattend.presets import registry

ROOT = pathlib.Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_FILES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "presets").glob("*/README.md")),
]
PRESET = "vgg16_gru_flickr8k"
# Options added to commands, so that they take a few seconds.
SMALL = {
    "train": "--epochs=1 --embedding-dim=8 --hidden-dim=9 --attention-dim=7 --min-count=1 "
    "--batch-size=16 --num-beams=1 --sequence-length=12",
    "scripts/attention_deletion.py": "--num-cells=2 --num-images=2",
}


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
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<img src=a.jpg alt='A dog.'>")
    for name in ("my_captioner", "first", "second"):
        shutil.copytree(bundle / PRESET, tmp_path / name)
    monkeypatch.setattr(registry, "BUNDLED", bundle)
    # What an example registers is gone after it.
    monkeypatch.setattr(encoders, "_ENTRIES", dict(encoders._ENTRIES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_flickr8k(folder, per_split=10):
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


@pytest.fixture
def eager():
    """Runs TensorFlow's functions without tracing, which takes longer for small networks."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def reader(work, tiny_network, eager, monkeypatch):
    """Makes the working folder of a reader who types commands; encoders are small."""
    for seed, name in enumerate(["a.jpg", "b.jpg", *(f"more_images/{n}.jpg" for n in range(5))]):
        save_picture(work / name, seed)
    # Enough images to be split.
    with open(work / "captions.csv", "a", encoding="utf-8") as file:
        for number in range(4, 11):
            save_picture(work / "photos" / f"{number}.jpg", number)
            file.write(f"photos/{number}.jpg,{CAPTIONS[number % 3]}\n")
    small = encoders.EncoderEntry(
        lambda image_shape: tiny_network(image_shape), image_size=(8, 12), scale=1 / 255
    )
    monkeypatch.setattr(encoders, "_ENTRIES", dict.fromkeys(encoders.list_encoders(), small))
    calibration = Calibration(2.0, 1.0, 0.01, 0.2, 0.2, base_rate=0.4, num_images=6)
    calibration.save(registry.BUNDLED / PRESET)
    # METEOR's Java program takes seconds to start.
    monkeypatch.setenv("METEOR_JAR", str(work / "none.jar"))
    return work


def blocks(path):
    """Language and text of the fenced blocks of a Markdown file."""
    return re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def outside_blocks(path):
    """The text of a Markdown file without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(path):
    """Lines of the blocks of a file that are to run, as lists of words."""
    for language, text in blocks(path):
        if language == "sh":
            text = text.replace("FLICKR8K_FOLDER", "flickr8k").replace("\\\n", " ")
            yield from filter(
                None, (shlex.split(line, comments=True) for line in text.splitlines())
            )


def kind(words):
    """What a command is about: its program, its subcommand or script, and its options."""
    return words[:2], {word for word in words if word.startswith("--")}


PAGES = {path: [*commands(path)] for path in FILES if [*commands(path)]}
KINDS = [kind(words) for page in PAGES.values() for words in page]


def others_show_more(words, run_before):
    """Whether another command has all options of this one and more, or the same ran before."""
    program, options = kind(words)
    more = any(program == other and options < others for other, others in KINDS)
    return more or (program, options) in run_before


@pytest.fixture(scope="module")
def first_of_kind():
    """The commands that run: of those with the same options one, the others are parsed."""
    run, kinds = set(), []
    for path, page in PAGES.items():
        for number, words in enumerate(page):
            if not others_show_more(words, kinds):
                run.add((path, number))
                kinds.append(kind(words))
    return run


def run_command(words):
    """Runs a command in this process."""
    program, name = words[:2]
    words = words[1:] + SMALL.get(name, "").split()
    if name in ("train", "average"):
        # What the reader has not made yet.
        shutil.rmtree(words[words.index("--output") + 1], ignore_errors=True)
    if name == "train" and "--preset" not in words:
        words.append("--encoder-weights=none")
    if name == "export" and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # What is exported is a graph.
        tf.config.run_functions_eagerly(False)
    if program == "keras-showattend":
        assert cli.main(words) == 0
    elif program == "mkdir":
        subprocess.run([program, *words], check=True)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", words)
            runpy.run_path(str(ROOT / name), run_name="__main__")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands(path, reader, first_of_kind):
    for number, words in enumerate(PAGES[path]):
        print(*words)
        if (path, number) in first_of_kind:
            run_command(words)
        elif words[0] == "keras-showattend":
            cli._parser(words[1]).parse_args(words[1:])


def test_programs_of_commands():
    programs = {words[0] for page in PAGES.values() for words in page}
    assert programs <= {"keras-showattend", "python", "mkdir"}, "mark as `bash` what needs a shell"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_are_marked(path):
    found = [text for language, text in blocks(path) if language not in ("sh", "bash")]
    found += re.findall(r"^    .*", outside_blocks(path), re.M)
    unmarked = [
        line for text in found for line in re.findall(r"^ *keras-showattend [a-z].*", text, re.M)
    ]
    assert unmarked == [], "mark the block as `sh` (it runs here) or `bash` (it is shown only)"


def links(path):
    """Targets of a file's Markdown links that lead to files of the repository."""
    text = re.sub(r"`[^`\n]+`", "", outside_blocks(path))
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
        assert f"\n{command}\n" in text
