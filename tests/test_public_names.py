"""What is public, what importing costs, and the rules that every module keeps."""

import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import keras_showattend

PACKAGE = pathlib.Path(keras_showattend.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = {
    "": [
        "CaptionDataset",
        "CaptionHypothesis",
        "CaptionImageConverter",
        "CaptionTokenizer",
        "CaptionerEnsemble",
        "DatasetError",
        "Distillation",
        "ImageCaptioner",
        "ImageCaptionerPreprocessor",
        "ImageError",
        "ShowAttendBackbone",
        "average_captioners",
        "create_captioner",
        "data",
        "evaluation",
        "explain",
        "hub",
        "layers",
        "metrics",
        "models",
        "preprocessing",
        "presets",
        "read_captions_file",
        "read_coco",
        "read_flickr8k",
        "search",
        "training",
    ],
    "data": [
        "CaptionDataset",
        "CaptionedImage",
        "DatasetError",
        "DatasetReport",
        "FeatureCache",
        "Features",
        "read_captions_file",
        "read_coco",
        "read_flickr8k",
    ],
    "engines": ["KerasEncoder", "OpenVinoEncoder", "check_engine"],
    "evaluation": [
        "attention_deletion",
        "calibrate",
        "compare_evaluations",
        "evaluate_captions",
        "format_comparison",
        "format_evaluation",
        "write_report",
    ],
    "explain": [
        "CALIBRATION_FILE",
        "Calibration",
        "Explanation",
        "explain",
        "fit_calibration",
        "load_calibration",
    ],
    "hub": ["HubError", "check_preset", "download_preset", "model_card", "push_to_hub"],
    "layers": ["AdditiveAttention", "CaptionDecoder", "CaptionDecoderCell", "ImageEncoder"],
    "metrics": [
        "METRIC_NAMES",
        "CiderD",
        "Comparison",
        "DiversityReport",
        "Interval",
        "MeteorProcess",
        "MetricUnavailableError",
        "ScoreDetails",
        "bootstrap",
        "close_meteor",
        "compare_systems",
        "distinct_n",
        "diversity_report",
        "score_captions",
        "score_details",
        "tokenize",
    ],
    "models": [
        "CaptionHypothesis",
        "CaptionerEnsemble",
        "Distillation",
        "ImageCaptioner",
        "ShowAttendBackbone",
        "average_captioners",
        "create_captioner",
        "grow_vgg19",
        "train_captioner",
        "untrained_captioner",
        "vgg_encoder",
    ],
    "preprocessing": ["CaptionImageConverter", "CaptionTokenizer", "ImageCaptionerPreprocessor"],
    "search": ["CaptionSearch", "GenerateFunction", "SearchOptions", "beam_search"],
    "training": [
        "CaptionBatches",
        "CaptionCrossentropy",
        "CaptionScores",
        "ImageInputs",
        "Recipe",
        "ScheduledSampling",
        "SelfCritical",
        "SoftTargets",
        "caption_dataset",
        "distillation_loss",
        "doubly_stochastic_penalty",
        "load_recipes",
    ],
}


def module(name):
    return importlib.import_module(f"keras_showattend.{name}".rstrip("."))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name or "keras_showattend")
def test_names(name):
    package = module(name)
    assert sorted(package.__all__) == sorted(NAMES[name])
    for public in NAMES[name]:
        assert getattr(package, public) is not None


def test_no_package_is_left_out():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    with_names = {name for name in packages if hasattr(module(name), "__all__")}
    assert with_names == set(NAMES) - {""}
    assert packages - with_names == {"cli"}


@pytest.mark.parametrize("name", [*NAMES, "data", "models"])
def test_unknown_names(name):
    with pytest.raises(AttributeError, match=r"has no attribute 'Transformer'"):
        module(name).Transformer  # noqa: B018


def python(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_the_package_alone_imports_nothing_slow():
    heavy = {"keras", "keras_hub", "tensorflow", "jax", "torch", "matplotlib", "nltk"}
    code = "import sys, keras_showattend; print(*{name.partition('.')[0] for name in sys.modules})"
    assert heavy & set(python(code)) == set()


def test_keras_hub_finds_our_classes():
    names = ["ImageCaptioner", "ShowAttendBackbone", "CaptionTokenizer", "CaptionImageConverter"]
    names += ["ImageCaptionerPreprocessor", "ImageEncoder", "CaptionDecoder", "CaptionCrossentropy"]
    code = (
        "import keras_hub, keras_showattend, keras\n"
        f"for name in {names}:\n"
        "    found = keras.saving.get_registered_object(f'keras_showattend>{name}')\n"
        "    print(found.__name__)\n"
    )
    assert python(code) == names


def test_types_are_published():
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rules_of_modules(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 300
    imports = re.findall(r"^\s*(?:from|import) ([\w.]+)", text, re.M)
    # KerasHub under its old name would be a second registry of classes.
    assert not any(name.split(".")[0] == "keras_nlp" for name in imports)
    if path.name != "_compat.py":
        assert not any(re.match(r"keras(_hub)?\.src\b", name) for name in imports)
