"""`keras-showattend evaluate`, `explain` and `push`, on a tiny preset."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from keras_showattend import ImageCaptioner
from keras_showattend.cli import main as cli

pytest_plugins = ["cli_fixtures"]
METRICS = ("--metrics", "bleu_4", "cider")


@pytest.fixture
def data(photos, tmp_path):
    """A table of four pictures in a split, three captions each."""
    rows = ["image,caption,split"]
    for name in ("a.png", "b.jpg", "c.bmp", "d.png"):
        for caption in ("a dog runs on the grass", f"picture {name[0]} on grass", "a red dog"):
            rows.append(f"{photos / name},{caption},dev")
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_evaluate_writes_what_the_method_returns(tiny_preset, data, tmp_path, capsys):
    output, report = tmp_path / "dev.json", tmp_path / "dev.html"
    words = ["evaluate", "--preset", tiny_preset, "--data", data, "--split", "dev", *METRICS]
    assert cli.main([*map(str, words), "--output", str(output), "--report", str(report)]) == 0
    written = json.loads(output.read_text())
    from keras_showattend import read_captions_file

    dataset = read_captions_file(data, split_column="split")
    direct = ImageCaptioner.from_preset(tiny_preset).evaluate_captions(
        dataset, split="dev", metrics=("bleu_4", "cider")
    )
    assert written["scores"] == pytest.approx(direct["scores"])
    assert [row["caption"] for row in written["images"]] == [
        row["caption"] for row in direct["images"]
    ]
    assert written["protocol"]["preset"] == "tiny"
    assert str(tmp_path) not in json.dumps(written["protocol"])
    assert "</html>" in report.read_text()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cider" in captured.err.lower()


@pytest.mark.filterwarnings("default")
def test_large_images_on_request(tiny_preset, data, photos, monkeypatch, capsys):
    noise = np.random.default_rng(2).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photos / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    words = ["evaluate", "--preset", tiny_preset, "--data", str(data), "--metrics", "bleu_4"]
    assert cli.main(words) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert evaluation["protocol"]["unreadable_images"] == [str(photos / "a.png")]
    assert len(evaluation["images"]) == 3
    assert cli.main([*words, "--max-megapixels", "0.0054"]) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert len(evaluation["images"]) == 4


def test_compare_puts_a_preset_beside_itself(tiny_preset, data, capsys):
    words = ["evaluate", "--compare", tiny_preset, tiny_preset, "--data", data, *METRICS]
    assert cli.main([*map(str, words)]) == 0
    comparison = json.loads(capsys.readouterr().out)
    assert comparison["same_captions"] == 1
    assert comparison["scores"]["cider"]["difference"] == 0


@pytest.mark.parametrize("option", ["--output", "--report"])
def test_where_no_file_can_be_written(data, tmp_path, capsys, option):
    words = ["evaluate", "--preset", "no such preset", "--data", str(data)]
    assert cli.main([*words, option, str(tmp_path / "no" / "dev.json")]) == 2
    assert "The folder of the file must exist" in capsys.readouterr().err
    assert cli.main([*words, option, str(tmp_path)]) == 2
    assert f"must name a file. Received: the folder '{tmp_path}'" in capsys.readouterr().err
    explain = ["explain", "photo.jpg", "--preset", "no such preset", "--output"]
    assert cli.main([*explain, str(tmp_path / "no" / "a.html")]) == 2
    assert "The folder of the file must exist" in capsys.readouterr().err


def test_a_report_that_fails_costs_no_result(tiny_preset, data, tmp_path, monkeypatch, capsys):
    def fail(*args, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr("keras_showattend.evaluation.write_report", fail)
    words = ["evaluate", "--preset", tiny_preset, "--data", data, "--metrics", "bleu_4"]
    report = ["--report", tmp_path / "dev.html"]
    assert cli.main([*map(str, [*words, *report])]) == 2
    captured = capsys.readouterr()
    assert "the disk is full" in captured.err
    assert len(json.loads(captured.out)["images"]) == 4


def test_what_is_missing_is_told_in_a_line(tiny_preset, data, photos, monkeypatch, capsys):
    monkeypatch.setenv("METEOR_JAR", "no.jar")
    words = ["evaluate", "--preset", tiny_preset, "--data", str(data), "--metrics", "meteor"]
    assert cli.main(words) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith("keras-showattend: error: METEOR 1.5 ")
    )
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    words = ["explain", str(photos / "a.png"), "--preset", tiny_preset, "--output", "a.png"]
    assert cli.main(words) == 2
    assert "keras-showattend: error: Plots are drawn with matplotlib" in capsys.readouterr().err


def test_compare_makes_no_report(tiny_preset, data, tmp_path, capsys):
    words = ["evaluate", "--compare", "A", "B", "--data", data, "--report", tmp_path / "x.html"]
    assert cli.main([*map(str, words)]) == 2
    assert "Received: --compare A B with --report" in capsys.readouterr().err
    assert cli.main([*map(str, words[:-2]), "--preset", "C"]) == 2
    assert "Received: --compare A B with --preset" in capsys.readouterr().err


def test_explain_gives_the_caption_of_generate(tiny_preset, photos, tmp_path, capsys):
    outputs = [tmp_path / f"why{ending}" for ending in (".html", ".json", ".gif")]
    words = ["explain", photos / "a.png", "--preset", tiny_preset]
    words += [word for path in outputs for word in ("--output", path)]
    assert cli.main([*map(str, words)]) == 0
    caption = ImageCaptioner.from_preset(tiny_preset).generate(photos / "a.png")
    assert capsys.readouterr().out.splitlines()[0] == caption
    content = json.loads(outputs[1].read_text())
    assert content["caption"] == caption
    for word in content["words"]:
        assert np.sum(word["attention_weights"]) == pytest.approx(1, abs=1e-4)
    with Image.open(outputs[2]) as animation:
        assert animation.n_frames >= len(content["words"])


def test_evaluate_with_a_segmenter(tiny_preset, data, tmp_path, capsys):
    output = tmp_path / "cut.json"
    words = ["evaluate", "--preset", tiny_preset, "--data", data, *METRICS, "--output", output]
    assert cli.main([*map(str, words), "--segmenter", "builtins:list"]) == 0
    assert json.loads(output.read_text())["protocol"]["segmenter"] == "builtins:list"
    assert cli.main([*map(str, words), "--segmenter", "no_such_module:cut"]) == 2
    assert "Received: 'no_such_module:cut'" in capsys.readouterr().err


def test_explain_puts_searches_side_by_side(tiny_preset, photos, capsys):
    words = ["explain", photos / "a.png", "--preset", tiny_preset, "--searches"]
    assert cli.main([*map(str, words)]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = [sum(line.startswith(name) for line in lines) for name in ("greedy", "sampled")]
    assert counts == [1, 3]
    captioner = ImageCaptioner.from_preset(tiny_preset)
    best = captioner.generate(photos / "a.png", num_beams=5)
    assert any(line.startswith("beam") and line.endswith(best) for line in lines)


def test_explain_refuses_an_unknown_ending(tiny_preset, photos, capsys):
    words = ["explain", photos / "a.png", "--preset", tiny_preset, "--output", "why.doc"]
    assert cli.main([*map(str, words)]) == 2
    assert "Received: 'why.doc'" in capsys.readouterr().err


def test_push_dry_run_sends_nothing_and_lists_the_files(tiny_preset, tmp_path, capsys):
    folder = tmp_path / "mine"
    shutil.copytree(tiny_preset, folder)
    assert cli.main(["push", str(folder), "me/mine", "--dry-run", "--license", "mit"]) == 0
    out = capsys.readouterr().out
    assert "model.weights.h5" in out
    assert "license: mit" in out
    assert str(tmp_path) not in out


def test_push_wants_a_user_and_a_name(tiny_preset, capsys):
    assert cli.main(["push", tiny_preset, "nobody", "--dry-run"]) == 2
    assert "'user/name'" in capsys.readouterr().err
