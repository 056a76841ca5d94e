import json
import subprocess
import sys

import pytest

from keras_showattend import __version__
from keras_showattend.cli import main as cli

pytest_plugins = ["cli_fixtures"]


@pytest.mark.parametrize("words", [["--help"], ["caption", "--help"], ["caption", "no.jpg"]])
def test_keras_is_not_imported_for_help_and_wrong_arguments(words):
    program = (
        "import sys; from keras_showattend.cli.main import main; code = main(sys.argv[1:]); "
        "print(sorted({'keras', 'tensorflow', 'numpy'} & set(sys.modules)), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"[] {0 if '--help' in words else 2}"


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"keras-showattend {__version__}\n"


@pytest.mark.parametrize("words", [[], ["paint"], ["caption"], ["caption", "a.jpg", "--json=1"]])
def test_wrong_words_end_with_2_and_the_usage(words, capsys):
    assert cli.main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: keras-showattend")


@pytest.mark.parametrize(
    "option", ["--num-beams=0", "--num-beams=two", "--batch-size=-1", "--max-length=1.5"]
)
def test_numbers_are_checked(option, capsys):
    assert cli.main(["caption", "a.jpg", option]) == 2
    assert "must be a whole number of at least 1. Received: " in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys):
    assert cli.main(["caption", "no.jpg"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main(["caption", "no.jpg", "--debug"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.splitlines()[-1].startswith("keras-showattend: error: Each argument is")


def test_presets_table(capsys):
    assert cli.main(["presets"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()[:3]
    assert header.split() == [
        "NAME",
        "PARAMETERS",
        "SIZE",
        "CIDER",
        "LICENCE",
        "LOCATION",
        "DESCRIPTION",
    ]
    assert first.startswith("vgg16_gru_flickr8k  21.0 M ")
    assert "grown from vgg16_gru_flickr8k" in second


def test_presets_json(capsys):
    assert cli.main(["presets", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)[:2]
    assert (first["name"], second["name"]) == ("vgg16_gru_flickr8k", "vgg19_gru_flickr8k")
    assert first["license"] == "Apache-2.0 AND CC-BY-4.0"
    assert len(first["digest"]) == 64
    assert second["grown_from"] == first["name"]
