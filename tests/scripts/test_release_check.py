"""`scripts/release_check.py`: what must be in a wheel and an sdist."""

import io
import tarfile
import zipfile

import pytest
import release_check

import keras_showattend

NAME = f"keras_showattend-{keras_showattend.__version__}"
WEIGHTS = "vgg16_gru_flickr8k/model.weights.h5"


@pytest.fixture
def dist(tmp_path):
    """Writes a wheel and an sdist with these weights, or none."""

    def make(weights):
        with zipfile.ZipFile(tmp_path / f"{NAME}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("keras_showattend/py.typed", "")
            if weights is not None:
                wheel.writestr(f"keras_showattend/bundled_presets/{WEIGHTS}", weights)
        with tarfile.open(tmp_path / f"{NAME}.tar.gz", "w:gz") as sdist:
            if weights is not None:
                info = tarfile.TarInfo(f"{NAME}/presets/{WEIGHTS}")
                info.size = len(weights)
                sdist.addfile(info, io.BytesIO(weights))
        return tmp_path

    return make


def about_vgg16(problems):
    return [problem for problem in problems if problem.endswith("vgg16_gru_flickr8k")]


def test_missing_files(tmp_path):
    assert release_check.find_problems(tmp_path) == [
        f"{NAME}-py3-none-any.whl is missing",
        f"{NAME}.tar.gz is missing",
    ]


def test_missing_weights(dist):
    assert about_vgg16(release_check.find_problems(dist(None))) == [
        f"{NAME}-py3-none-any.whl lacks the weights of vgg16_gru_flickr8k",
        f"{NAME}.tar.gz lacks the weights of vgg16_gru_flickr8k",
    ]


def test_other_weights(dist):
    problems = release_check.find_problems(dist(b"other"))
    assert about_vgg16(problems) == []
    for archive in (f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"):
        assert (
            f"{archive} has other weights of vgg16_gru_flickr8k than the registry says" in problems
        )


def test_large_files(dist, monkeypatch, capsys):
    monkeypatch.setattr(release_check, "MOST_MEGABYTES", 0)
    problems = release_check.find_problems(dist(b"other"))
    assert f"{NAME}.tar.gz has 0.0 MB, more than 0" in problems
    assert f"{NAME}.tar.gz: 0.0 MB" in capsys.readouterr().out
