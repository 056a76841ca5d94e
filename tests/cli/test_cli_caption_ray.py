"""The options of `caption --ray`, without a run; see tests/ray for those."""

import pytest
from cli_pictures import save_picture

from keras_showattend.cli import main as cli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--actors", "2"], "`--actors` is for bulk captioning: add `--ray`"),
        (["--retry-errors"], "`--retry-errors` is for bulk captioning"),
        (["--ray"], "name it with `--output FOLDER`"),
        (["more", "--ray", "--output", "rows"], "captions one source"),
        (["--ray", "--output", "rows", "--csv"], "`--csv` is not for bulk captioning"),
        (["--ray", "--output", "rows", "--min-confidence", "0.5"], "`--min-confidence` is not"),
        (["--output", "rows", "--ray", "images"], "which is a file or folder"),
        (["--ray", "--output", "rows", "--preset", "a", "--preset", "b"], "2 presets"),
    ],
)
def test_options_that_are_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "images" / "a.png")
    assert cli.main(["caption", "images", *words]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_help_tells_of_bulk_captioning(capsys):
    assert cli.main(["caption", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "bulk captioning: for millions of images" in text
    assert "--ray [ADDRESS]" in text
