"""What is public, what importing costs, and the rules that every module keeps."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import keras_showattend

ROOT = pathlib.Path(__file__).parents[1]
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
        "ExportedCaptioner",
        "ImageCaptioner",
        "ImageCaptionerPreprocessor",
        "ImageError",
        "ShowAttendBackbone",
        "alt_text",
        "average_captioners",
        "create_captioner",
        "data",
        "demo",
        "encoders",
        "engines",
        "evaluation",
        "explain",
        "export",
        "hub",
        "layers",
        "metrics",
        "models",
        "preprocessing",
        "presets",
        "ray",
        "read_captions_file",
        "read_coco",
        "read_flickr8k",
        "recipes",
        "search",
        "training",
        "web",
    ],
    "alt_text": ["AltTextStyle", "Page", "PageImage", "find_pages", "read_page"],
    "data": [
        "CaptionDataset",
        "CaptionStream",
        "CaptionedImage",
        "DatasetError",
        "DatasetReport",
        "FeatureCache",
        "Features",
        "check_images",
        "read_captions_file",
        "read_coco",
        "read_flickr8k",
        "read_hf_dataset",
        "read_records",
        "read_webdataset",
    ],
    "demo": ["check_gradio", "create_demo", "launch_demo", "write_space"],
    "engines": ["KerasEncoder", "OpenVinoEncoder", "check_engine"],
    "evaluation": [
        "attention_deletion",
        "calibrate",
        "compare_evaluations",
        "evaluate_captions",
        "format_calibration",
        "format_comparison",
        "format_evaluation",
        "write_report",
    ],
    "explain": [
        "CALIBRATION_FILE",
        "Calibration",
        "CaptionEvidence",
        "Explanation",
        "compare_searches",
        "explain",
        "fit_calibration",
        "load_calibration",
    ],
    "export": [
        "ExportedCaptioner",
        "FORMATS",
        "QUANTIZATIONS",
        "check_export",
        "export_captioner",
        "read_metadata",
    ],
    "encoders": [
        "EncoderEntry",
        "create_encoder",
        "create_image_converter",
        "encoder_entry",
        "list_encoders",
        "register_encoder",
        "vgg_encoder",
    ],
    "hub": ["HubError", "download_preset", "model_card", "push_space", "push_to_hub"],
    "layers": ["AdditiveAttention", "CaptionDecoder", "CaptionDecoderCell", "ImageEncoder"],
    "metrics": [
        "METRICS",
        "METRIC_NAMES",
        "CiderD",
        "Comparison",
        "DiversityReport",
        "Interval",
        "Metric",
        "MeteorProcess",
        "MetricUnavailableError",
        "ScoreDetails",
        "bootstrap",
        "close_meteor",
        "compare_systems",
        "distinct_n",
        "diversity_report",
        "hub_metric_type",
        "metric_is_defined",
        "metric_label",
        "printed_score",
        "score_captions",
        "score_details",
        "tokenize",
    ],
    "models": [
        "CaptionerEnsemble",
        "ImageCaptioner",
        "ShowAttendBackbone",
        "average_captioners",
        "create_captioner",
    ],
    "preprocessing": [
        "CaptionImageConverter",
        "CaptionTokenizer",
        "ImageCaptionerPreprocessor",
        "ImageError",
        "find_images",
        "list_images",
        "load_image",
    ],
    "presets": [
        "Preset",
        "Provenance",
        "bundled_presets",
        "cache_directory",
        "check_preset",
        "list_presets",
        "preset_names",
        "register_preset",
        "resolve_preset",
    ],
    "ray": ["CaptionImages", "DecodeImages", "Summary", "caption_rows", "caption_source"],
    "recipes": [
        "Recipe",
        "grow_vgg19",
        "load_recipes",
        "train_captioner",
        "untrained_captioner",
    ],
    "search": [
        "CaptionAssessment",
        "CaptionHypothesis",
        "CaptionSearch",
        "GenerateFunction",
        "SearchOptions",
        "beam_search",
        "caption_dataset",
    ],
    "training": [
        "Augmentation",
        "CaptionBatches",
        "CaptionCrossentropy",
        "CaptionScores",
        "Distillation",
        "ImageInputs",
        "ScheduledSampling",
        "SelfCritical",
        "SoftTargets",
        "distillation_loss",
        "doubly_stochastic_penalty",
    ],
    "web": ["write_site"],
}


# From where a name was in version 0.1.0 to where it is.
MOVED = {
    "hub.check_preset": "presets",
    "models.CaptionHypothesis": "search",
    "models.Distillation": "training",
    "models.grow_vgg19": "recipes",
    "models.train_captioner": "recipes",
    "models.untrained_captioner": "recipes",
    "models.vgg_encoder": "encoders",
    "training.Recipe": "recipes",
    "training.caption_dataset": "search",
    "training.load_recipes": "recipes",
}


def module(name):
    return importlib.import_module(f"keras_showattend.{name}".rstrip("."))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name or "keras_showattend")
def test_names(name):
    package = module(name)
    assert sorted(package.__all__) == sorted(NAMES[name])
    for public in NAMES[name]:
        assert getattr(package, public) is not None


@pytest.mark.parametrize("old", MOVED)
def test_moved_names(old):
    package, name = old.split(".")
    with pytest.warns(DeprecationWarning, match=f"Import it from `keras_showattend.{MOVED[old]}`"):
        found = getattr(module(package), name)
    assert found is getattr(module(MOVED[old]), name)


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


def test_the_package_alone_is_enough_for_every_public_name():
    code = (
        "import keras_showattend\n"
        f"for package, names in {NAMES}.items():\n"
        "    found = getattr(keras_showattend, package) if package else keras_showattend\n"
        "    print(*(name for name in names if not hasattr(found, name)))\n"
    )
    assert python(code) == []


def test_keras_hub_finds_our_classes():
    names = ["ImageCaptioner", "ShowAttendBackbone", "CaptionTokenizer", "CaptionImageConverter"]
    names += ["ImageCaptionerPreprocessor", "ImageEncoder", "CaptionDecoder", "CaptionCrossentropy"]
    code = (
        "import keras, keras_showattend\n"
        f"for name in {names}:\n"
        "    found = keras.saving.get_registered_object(f'keras_showattend>{name}')\n"
        "    print(found.__name__)\n"
    )
    assert python(code) == names


def test_types_are_published():
    assert (PACKAGE / "py.typed").is_file()


def imports(path):
    """Full names of what a module imports, inside functions as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folder_of(path):
    """Folder of a module, or None for those beside the folders."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def imported_folder(name):
    """Folder that `name` comes from, or None if it comes from outside or beside the folders."""
    package, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    if package != "keras_showattend" or first.startswith("_") or not first:
        return None
    # `keras_showattend.ImageCaptioner` is defined in a folder, too.
    return keras_showattend._NAMES.get(first, first).partition(".")[0]


@pytest.fixture(scope="module")
def folder_order():
    """Folders, lowest first, from the table in docs/architecture.md: their order's only source."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(\w+)` \|", text, re.M)


def test_every_folder_has_a_place(folder_order):
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert sorted(folder_order) == sorted(folders)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path, folder_order):
    folder = folder_of(path)
    allowed = folder_order[: folder_order.index(folder) + 1] if folder else []
    found = {imported_folder(name) for name in imports(path)} - {None}
    assert found - set(allowed) == set()


def test_the_check_of_imports_sees_all_kinds(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import numpy as np\n"
        "import keras_showattend.layers.time_scan\n"
        "from keras_showattend import ImageCaptioner, __version__, data\n"
        "from keras_showattend._files import write_text\n"
        "def late():\n"
        "    from keras_showattend.cli.main import main\n"
    )
    found = [imported_folder(name) for name in imports(path)]
    assert found == [None, "layers", "models", None, "data", None, "cli"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rules_of_modules(path):
    found = list(imports(path))
    # KerasHub under its old name would be a second registry of classes.
    assert not any(name.split(".")[0] == "keras_nlp" for name in found)
    if path.name != "_compat.py":
        assert not any(re.match(r"keras(_hub)?\.src\b", name) for name in found)
