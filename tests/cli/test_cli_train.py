import csv
import json
import os
import subprocess
import sys

import pytest
from cli_pictures import CAPTIONS, save_picture

from keras_showattend.cli import main as cli
from keras_showattend.cli.train import command_record
from keras_showattend.recipes.work_folder import work_folder

pytestmark = pytest.mark.slow

pytest_plugins = ["cli_fixtures"]

TINY = ["--epochs=1", "--embedding-dim=8", "--hidden-dim=9", "--attention-dim=7", "--min-count=1"]
TINY += ["--batch-size=4", "--num-beams=2", "--no-random-flip", "--sequence-length=8"]


@pytest.fixture
def own_data(tmp_path):
    """A folder with a table of six pictures and their captions, and one that is missing."""
    folder = tmp_path / "own"
    rows = [("missing.png", "a picture that is not there")]
    for place in range(6):
        save_picture(folder / "images" / f"p{place}.png", place)
        rows += [(f"p{place}.png", text) for text in (CAPTIONS[place % 3], "a red, red dog")]
    with open(folder / "captions.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "caption"), *rows])
    return folder


@pytest.fixture
def trained(monkeypatch):
    """Arguments of `train_captioner`, which does nothing."""
    from keras_showattend import recipes

    calls = []

    def train_captioner(*arguments, **options):
        calls.append((arguments, options))
        raise ValueError("not trained")

    monkeypatch.setattr(recipes, "train_captioner", train_captioner)
    return calls


@pytest.mark.filterwarnings("default::UserWarning")
def test_end_to_end(own_data, tmp_path, capsys):
    output = tmp_path / "mine"
    words = ["train", own_data, "--output", output, "--encoder-weights", "none", *TINY]
    words += ["--dev-fraction=0.4", "--feature-cache", tmp_path / "features"]
    words = list(map(str, words))
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    scores = dict(line.split("\t") for line in captured.out.splitlines())
    assert {"bleu_1", "bleu_4", "rouge_l", "cider"} <= set(scores)
    assert all(0 <= float(value) <= 1000 for value in scores.values())
    assert "1 x missing image file: missing.png" in captured.err
    assert f"keras-showattend caption --preset {output} photo.jpg" in captured.err
    record = json.loads((output / "training.json").read_text())
    assert record["stages"][0]["recipe"]["hidden_dim"] == 9
    assert record["command"].startswith("keras-showattend train own --output mine ")
    assert str(tmp_path) not in (output / "training.json").read_text()
    # The preset works, and is not replaced by accident.
    assert cli.main(["caption", str(own_data / "images/p0.png"), "--preset", str(output)]) == 0
    assert capsys.readouterr().out.strip()
    assert cli.main(words) == 2
    assert "holds a finished preset already" in capsys.readouterr().err


def test_recipe_is_file_then_options(own_data, tmp_path, trained, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"epochs": 3, "decoder": "lstm", "random_flip": False}))
    words = ["--recipe", recipe, "--epochs=4", "--learning-rate=2e-4", "--patience=2"]
    words = ["train", own_data, "--output", tmp_path / "mine", *words]
    assert cli.main(list(map(str, words))) == 2
    assert capsys.readouterr().err.endswith("error: not trained\n")
    [((train, dev, output, [made]), options)] = trained
    assert (made.epochs, made.decoder, made.random_flip) == (4, "lstm", False)
    assert (made.learning_rate, made.batch_size) == (2e-4, 64)
    assert (len(train), len(dev)) == (5, 1)
    assert output == tmp_path / "mine"
    assert options["encoder_weights"] == "imagenet"
    assert (options["patience"], options["feature_cache"]) == (2, "auto")
    assert options["captioner"] is options["teacher"] is None


def test_options_hold_for_every_stage(own_data, tmp_path, trained):
    words = ["--recipe", "vgg16_gru_flickr8k", "--num-beams=3"]
    words = ["train", own_data, "--output", tmp_path / "mine", *words]
    assert cli.main(list(map(str, words))) == 2
    [((_, _, _, stages), _)] = trained
    assert len(stages) == 4
    assert {stage.num_beams for stage in stages} == {3}
    assert [stage.unfreeze_after for stage in stages] == ["", "", "block4_pool", "block4_pool"]


def test_extra_datasets(own_data, tmp_path, trained):
    # As `caption --output` writes them, of images without captions.
    rows = tmp_path / "more.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"path": str(save_picture(tmp_path / f"m{n}.png", n)), "caption": "a sea"})
            + "\n"
            for n in range(3)
        )
    )
    words = ["train", own_data, "--output", tmp_path / "mine", "--extra", rows]
    assert cli.main(list(map(str, words))) == 2
    [((train, dev, *_), _)] = trained
    assert (len(train), len(dev)) == (5 + 3, 1)
    assert train.captions[-3:] == [("a sea",)] * 3
    # Checked before the slow work.
    assert cli.main([*map(str, words[:-1]), str(tmp_path / "none.csv")]) == 2
    rows.write_text(rows.read_text() + '{"path": "no.png", "caption": "a sea"}\n')
    assert cli.main([*map(str, words), "--strict"]) == 2
    assert len(trained) == 1


def write_flickr8k(folder):
    lines = []
    for place in range(4):
        name = save_picture(folder / "images" / f"{place}.png", place).name
        lines.append(f"{name}#0\t{CAPTIONS[place % 3]}\n")
    (folder / "Flickr8k.token.txt").write_text("".join(lines))
    (folder / "Flickr_8k.trainImages.txt").write_text("0.png\n1.png\n")
    (folder / "Flickr_8k.devImages.txt").write_text("2.png\n")
    return folder


def write_coco(folder):
    images = [{"id": n, "file_name": save_picture(folder / f"{n}.png", n).name} for n in range(4)]
    annotations = [{"image_id": n, "caption": CAPTIONS[n % 3]} for n in range(4)]
    path = folder / "captions.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_flickr8k_and_its_splits(tmp_path, trained):
    folder = write_flickr8k(tmp_path)
    start = ["train", "--output", str(tmp_path / "mine")]
    for words in ([folder], [folder / "Flickr8k.token.txt"], [folder, "--dev-split=dev"]):
        assert cli.main([*start, *map(str, words)]) == 2
        (train, dev, *_), _options = trained[-1]
        assert (train.ids, dev.ids) == (["0.png", "1.png"], ["2.png"])
    # A share is drawn from the train split alone.
    assert cli.main([*start, str(folder), "--dev-fraction=0.5"]) == 2
    (train, dev, *_), _options = trained[-1]
    assert sorted(train.ids + dev.ids) == ["0.png", "1.png"]


def test_coco_and_strict(tmp_path, own_data, trained, capsys):
    path = write_coco(tmp_path / "coco")
    start = ["train", "--output", str(tmp_path / "mine"), "--strict"]
    for words in ([path], [path.parent], [path, "--format=coco", "--images", path.parent]):
        assert cli.main([*start, *map(str, words), "--dev-fraction=0.25"]) == 2
        assert len(trained[-1][0][0]) == 3
    capsys.readouterr()
    assert cli.main([*start, str(own_data)]) == 2
    assert "`strict=True` allows none:\n1 x missing image file" in capsys.readouterr().err


def test_any_form_of_captions_is_data(tmp_path, trained):
    """What `read_captions_file` recognises: text beside images, other encodings, our output."""
    for name in ("a", "b"):
        save_picture(tmp_path / f"{name}.png", ord(name))
    start = ["train", "--output", str(tmp_path / "mine"), "--dev-fraction=0.5"]
    output = tmp_path / "output.csv"
    output.write_text("path,caption,score\na.png,A dog.,1\nb.png,A cat.,2\n")
    excel = tmp_path / "excel.csv"
    excel.write_bytes("image;caption\na.png;süß\nb.png;groß\n".encode("cp1252"))
    (tmp_path / "a.txt").write_text("A dog.\n")
    (tmp_path / "b.txt").write_text("A cat.\n")
    for words in ([output], [excel, "--encoding=cp1252"], [tmp_path]):
        assert cli.main([*start, *map(str, words)]) == 2
        (train, dev, *_), _options = trained[-1]
        assert sorted(train.ids + dev.ids) == ["a.png", "b.png"]
    assert len(trained) == 3


def test_splits_of_a_table(tmp_path, trained):
    save_picture(tmp_path / "a.png")
    save_picture(tmp_path / "b.png", 1)
    table = tmp_path / "words.tsv"
    table.write_text("file\ttext\tpart\na.png\tA dog.\tmine\nb.png\tA cat.\tother\n")
    words = ["--image-column=file", "--caption-column=text", "--split-column=part"]
    words += ["--split=mine", "--dev-split=other", "--output", str(tmp_path / "out")]
    assert cli.main(["train", str(table), *words]) == 2
    (train, dev, *_), _options = trained[0]
    assert (train.ids, dev.ids) == (["a.png"], ["b.png"])


def test_errors_before_slow_work(own_data, tmp_path, trained, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "bad.json").write_text('{"epoch": 3}')
    good = [own_data, "--output", tmp_path / "mine"]
    cases = [
        ([tmp_path / "no", "--output", "x"], "DATA is an existing captions file"),
        ([tmp_path, "--output", "x"], "DATA is a Flickr8k folder"),
        ([tmp_path / "file", "--output", "x"], "DATA is a Flickr8k folder"),
        ([own_data, "--output", tmp_path / "file"], "`--output` must be a folder"),
        ([*good, "--encoder-weights", "no.h5"], "an existing weights file. Received: 'no.h5'"),
        ([*good, "--recipe", tmp_path / "bad.json"], "Received: ['epoch']"),
        ([*good, "--recipe", tmp_path / "no.json"], "no.json"),
        ([*good, "--split=train"], "the columns"),
        ([*good, "--images", tmp_path / "no"], "`images` is an existing folder"),
    ]
    for words, message in cases:
        assert cli.main(["train", *map(str, words)]) == 2, words
        error = capsys.readouterr().err
        assert error.startswith("keras-showattend: error: "), words
        assert message in error, words
    assert trained == []
    for words in (["--decoder=rnn"], ["--dev-fraction=1"], ["--dev-fraction=.1", "--dev-split=b"]):
        assert cli.main(["train", *map(str, good), *words]) == 2
        assert capsys.readouterr().err.startswith("usage: ")


def test_command_record():
    words = ["train", "/home/me/my data/", "--output=/tmp/mine", "--images", "C:\\photos\\own"]
    assert command_record([*words, "--epochs", "3", "/"]) == (
        "keras-showattend train 'my data' --output=mine --images own --epochs 3 /"
    )


# The tiny preset cuts captions at 7 tokens, and says so.
@pytest.mark.filterwarnings("default:.* of .* captions are longer:UserWarning")
@pytest.mark.parametrize("name", ["caption_folder", "train_own_photos"])
def test_examples(name, tiny_preset, own_data, tmp_path, monkeypatch, capsys):
    import runpy
    from pathlib import Path

    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    if name == "caption_folder":
        words = [own_data]
    else:
        table = (own_data / "captions.csv").read_text().splitlines()
        (own_data / "captions.csv").write_text("\n".join([table[0], *table[2:]]))
        words = [own_data / "captions.csv", "--output", tmp_path / "mine", "--epochs=1"]
    words = [name, *map(str, words), "--preset", tiny_preset]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(path), run_name="__main__")
    output = capsys.readouterr().out
    if name == "caption_folder":
        rows = list(csv.DictReader(output.splitlines()))
        assert [row["path"] for row in rows] == [f"{own_data}/images/p{n}.png" for n in range(6)]
        assert all(row["alt_text"] for row in rows)
    else:
        assert output.splitlines()[-1].startswith("p")
        assert (tmp_path / "mine" / "config.json").exists()


def test_without_a_network(own_data, tmp_path):
    """A first run of a new user, from a shell: no download, no traceback, nothing left behind."""
    output = tmp_path / "new"
    words = [
        sys.executable,
        "-m",
        "keras_showattend.cli.main",
        "train",
        own_data,
        "--output",
        output,
    ]
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9"}
    environment = {**environment, "https_proxy": environment["HTTPS_PROXY"], "no_proxy": ""}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    run = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    lines = [line for line in run.stderr.splitlines() if line]
    # Neither a traceback nor TensorFlow's own log.
    assert lines[-1].startswith("keras-showattend: error: ")
    assert all(
        line.startswith(("keras-showattend: ", "1 x missing", "Downloading data")) for line in lines
    )
    for option in ("--encoder-weights FILE", "--preset NAME"):
        assert option in lines[-1]
    assert not output.exists()
    assert not work_folder(output).exists()
