"""`keras-showattend average`: its preset is the mean, and nothing is lost by a wrong command."""

import pytest

from keras_showattend import ImageCaptioner
from keras_showattend.cli import main as cli

pytest_plugins = ["cli_fixtures"]


def bias(preset, value=0.0):
    """The captioner of a preset, and the bias of a word in it, to which a value is added."""
    captioner = ImageCaptioner.from_preset(preset)
    (weight,) = (w for w in captioner.backbone.weights if w.path.endswith("vocabulary_output/bias"))
    weight.assign(weight + value)
    return captioner, float(weight[5])


@pytest.fixture
def other_preset(tiny_preset, tmp_path):
    captioner, _ = bias(tiny_preset, 2.0)
    captioner.save_to_preset(tmp_path / "other")
    return str(tmp_path / "other")


def test_average_has_the_mean_of_the_weights(tiny_preset, other_preset, tmp_path, capsys):
    output = tmp_path / "both"
    assert cli.main(["average", tiny_preset, other_preset, "--output", str(output)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"saved {output}. Next: keras-showattend evaluate" in captured.err
    start = bias(tiny_preset)[1]
    assert bias(other_preset)[1] == pytest.approx(start + 2)
    assert bias(output)[1] == pytest.approx(start + 1, abs=1e-3)

    words = ["average", tiny_preset, other_preset, "--output", str(output)]
    assert cli.main([*words, "--weights", "1", "3"]) == 2
    assert "holds a finished preset already" in capsys.readouterr().err
    assert bias(output)[1] == pytest.approx(start + 1, abs=1e-3)
    assert cli.main([*words, "--weights", "1", "3", "--overwrite"]) == 0
    assert bias(output)[1] == pytest.approx(start + 1.5, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "An average takes two presets or more: name another. Received: ['a']"),
        (["a", "b", "--weights", "1"], "Received: 1 for 2 presets"),
        (["a", "b"], "Received: 'a'"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_loaded(
    words, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(ImageCaptioner, "from_preset", None)
    assert cli.main(["average", *words, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
