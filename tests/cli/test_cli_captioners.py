"""`--preset` given several times: the presets choose each word together."""

import json

import pytest
from captioner_checks import sharpen

from keras_showattend import CaptionerEnsemble, ImageCaptioner
from keras_showattend.cli import main as cli

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
def presets(tiny_preset, tmp_path):
    """Two of one vocabulary that say different things."""
    captioner = sharpen(ImageCaptioner.from_preset(tiny_preset), seed=1)
    captioner.save_to_preset(tmp_path / "sharp")
    return [tiny_preset, str(tmp_path / "sharp")]


def options(presets):
    return [word for preset in presets for word in ("--preset", preset)]


def test_caption_by_both(presets, photos, capsys):
    image = str(photos / "a.png")
    assert cli.main(["caption", image, "--json", *options(presets)]) == 0
    row = json.loads(capsys.readouterr().out)
    beam = CaptionerEnsemble(presets).generate(image, return_all_beams=True)[0]
    assert (row["caption"], row["log_probability"]) == (
        beam.text,
        pytest.approx(beam.log_probability, abs=1e-4),
    )
    for preset in presets:
        alone = ImageCaptioner.from_preset(preset).generate(image, return_all_beams=True)[0]
        assert alone.log_probability != pytest.approx(row["log_probability"], abs=1e-2)


def test_evaluate_both(presets, photos, tmp_path, capsys):
    table = tmp_path / "captions.csv"
    rows = [f"{photos / name},a dog on grass" for name in ("a.png", "b.jpg", "d.png")]
    table.write_text("\n".join(["image,caption", *rows]) + "\n")
    report = tmp_path / "both.html"
    words = ["evaluate", "--data", str(table), "--metrics", "bleu_4", *options(presets)]
    assert cli.main([*words, "--report", str(report)]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["protocol"]["preset"] == "tiny + sharp"
    captions = CaptionerEnsemble(presets).generate([row.split(",")[0] for row in rows])
    assert [row["caption"] for row in written["images"]] == captions
    assert "tiny + sharp" in report.read_text()

    assert cli.main([*words, "--calibrate"]) == 2
    assert "`--calibrate` is for one captioner" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--dtype", "bfloat16"), ("--engine", "openvino")])
def test_engines_are_of_one_captioner(option, photos, capsys, monkeypatch):
    monkeypatch.setattr(ImageCaptioner, "from_preset", None)
    words = ["caption", str(photos), "--preset", "a", "--preset", "b", *option]
    assert cli.main(words) == 2
    assert (
        f"`{option[0]}` is for one captioner: leave it out, or name one `--preset`. "
        "Received: 2 presets"
    ) in capsys.readouterr().err
