import json
import os
import subprocess
import sys
import textwrap

import pytest

from keras_showattend import __version__
from keras_showattend.cli import main as cli
from keras_showattend.cli import search_options

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


@pytest.mark.parametrize("words", [[], ["paint"], ["explain"], ["caption", "a.jpg", "--json=1"]])
def test_wrong_words_end_with_2_and_the_usage(words, capsys):
    assert cli.main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: keras-showattend")


def test_caption_needs_an_image(capsys):
    assert cli.main(["caption"]) == 2
    output = capsys.readouterr()
    assert (output.out, output.err) == (
        "",
        "keras-showattend: error: At least one image or folder is needed. Received: no argument\n",
    )


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
    assert error.splitlines()[-1].startswith("keras-showattend: error: Each argument must be")


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


def run_program(code, *words, **options):
    """Runs Python code in a process of its own, as a user has it."""
    # What pytest set for TensorFlow in this process is not what a user has.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", textwrap.dedent(code), *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=300, **options
    )


def test_tensorflow_is_imported_without_a_word_by_whatever_module():
    done = run_program(
        """
        import os, sys
        from keras_showattend.cli.quiet import quiet_tensorflow
        with quiet_tensorflow():
            import keras_hub, tensorflow as tf
            tf.ones(3) + 1
            assert tf.__spec__.loader.get_filename("tensorflow") == tf.__file__
        os.write(2, b"and stderr is back")
        assert [type(finder).__name__ for finder in sys.meta_path].count("_QuietFinder") == 0
        """
    )
    assert (done.returncode, done.stderr) == (0, "and stderr is back")


def test_ctrl_c_ends_a_process_that_computes():
    # The hash takes hours, in one step of Python code that no signal breaks off.
    done = run_program(
        """
        import hashlib, os, signal, threading
        from keras_showattend.cli.interrupts import prompt_interrupts
        # A shell has background processes ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with prompt_interrupts(lambda: "stopped.\\n"):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # as while stderr is held back
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        """
    )
    assert (done.returncode, done.stderr) == (130, "stopped.\n")


def test_ctrl_c_leaves_python_code_its_own_end():
    done = run_program(
        """
        import os, signal, time
        from keras_showattend.cli.interrupts import prompt_interrupts
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with prompt_interrupts(lambda: "not said"):
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(100)
            except KeyboardInterrupt:
                print("tidied up")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "tidied up\n", "")


def test_messages_are_safe_to_show(capsys):
    assert cli.main(["caption", "a\x1b]0;title\x07\n.jpg"]) == 2
    assert r"Received: 'a\x1b]0;title\x07\n.jpg'" in capsys.readouterr().err
    assert cli.main(["caption", "https://a.org/\x1b[31m"]) == 2
    assert r"Received: https://a.org/\x1b[31m" in capsys.readouterr().err
    assert cli.main(["caption", "a.jpg", "--no\x1b[31m"]) == 2
    assert r"unrecognized arguments: --no\x1b[31m" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
def test_a_full_disk_behind_stdout_is_named():
    program = [sys.executable, "-m", "keras_showattend.cli.main", "presets", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("keras-showattend: error: ")
    assert line.endswith("No space left on device: 'stdout'")


def test_defaults_of_the_search_are_those_of_generate(tiny_preset):
    from keras_showattend import ImageCaptioner

    captioner = ImageCaptioner.from_preset(tiny_preset)
    options = captioner.search_options()
    sampler = captioner.generation.search.sampler
    assert {
        "num_beams": sampler.num_beams,
        "length_penalty": options.length_penalty,
        "no_repeat_ngram_size": options.no_repeat_ngram_size,
        "max_length": None,
        "cautious": options.cautious,
    } == search_options.DEFAULTS
