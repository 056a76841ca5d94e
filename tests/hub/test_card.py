"""Model cards: metadata the Hub can read, a snippet that runs, and text that is kept."""

import json
import re

import huggingface_hub
import pytest

from keras_showattend._templates import plain_markdown
from keras_showattend.hub import model_card
from keras_showattend.hub.card import GENERATED
from keras_showattend.hub.evaluations import read_evaluation

pytest_plugins = ["hub_fixtures"]

EVALUATION = {
    "scores": {"bleu_4": 0.2513, "cider": 0.61, "cider_d": 0.61, "meteor_nltk": 0.4502},
    "dataset": {"name": "Flickr8k", "id": "jxie/flickr8k", "split": "test"},
}


def parse(text):
    """The card as the Hub reads it."""
    return huggingface_hub.ModelCard(text, ignore_metadata_errors=False)


def test_metadata(preset):
    card = parse(
        model_card(preset, "alice/tiny", EVALUATION, datasets=["jxie/flickr8k"], license="mit")
    )
    data = card.data
    assert data.library_name == "keras-showattend"
    assert data.pipeline_tag == "image-to-text"
    assert (data.license, data.language, data.datasets) == ("mit", "en", ["jxie/flickr8k"])
    assert {"keras-hub", "image-captioning"} <= set(data.tags)
    assert data.metrics == ["bleu", "cider", "meteor"]
    assert data.model_name == "tiny"
    assert all(example["src"].startswith("https://") for example in data.widget)
    results = {result.metric_name: result.metric_value for result in data.eval_results}
    assert results == {"BLEU-4": 0.2513, "CIDEr-D": 0.61, "METEOR (NLTK)": 0.4502}
    assert {result.dataset_type for result in data.eval_results} == {"jxie/flickr8k"}
    assert {result.dataset_split for result in data.eval_results} == {"test"}


def test_metadata_survives_the_files_of_huggingface_hub(preset, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(model_card(preset, "alice/tiny", EVALUATION), encoding="utf-8")
    metadata = huggingface_hub.metadata_load(path)
    assert metadata["model-index"][0]["name"] == "tiny"
    # Nothing that YAML cannot say in plain words, such as Python objects.
    assert "!!" not in path.read_text(encoding="utf-8")


def test_text(preset):
    text = parse(model_card(preset, "alice/tiny", EVALUATION, limits="Only dogs.")).text
    assert "| BLEU-4 | 25.1 |" in text
    assert text.count("CIDEr-D |") == 1
    assert "Flickr8k, test split" in text
    assert "Only dogs." in text
    for heading in ("Use", "Results", "Limits and biases", "Credits"):
        assert f"## {heading}\n" in text
    assert "| Vocabulary | 13 |" in text


def test_snippet_runs(preset, monkeypatch, tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (20, 10), "red").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    text = model_card(preset, "alice/tiny")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert '"hf://alice/tiny"' in snippet
    exec(compile(snippet.replace("hf://alice/tiny", str(preset)), "card", "exec"), {})
    # An untrained captioner may have nothing to say, but it says it.
    assert capsys.readouterr().out.endswith("\n")


def test_without_results_nothing_is_claimed(preset):
    card = parse(model_card(preset, "alice/tiny"))
    assert card.data.eval_results is None
    assert card.data.metrics is None
    assert "Not measured." in card.text


WARNINGS = [
    "Only 60 images: the intervals are wide, and CIDEr's weights rough.",
    "60 of 60 images have fewer than 5 references. Scores fall with fewer references.",
    "No split was named: the images may be among those of the training.",
]
OWN = {
    "format": 1,
    "scores": {"bleu_4": 0.2513, "cider": 0.61, "cider_d": 0.61},
    "intervals": {"bleu_4": {"low": 0.2, "high": 0.3}},
    "protocol": {
        "preset": "/home/me/my captioner",
        "split": None,
        "num_images": 60,
        "num_references": {"1": 40, "3": 20},
        "decoder": {"search": "beam", "num_beams": 5},
    },
    "checks": {"shared_images": {"shared": [["IMG_1.jpg", "train", "IMG_2.jpg"]]}, "cut": 0.0},
    "warnings": WARNINGS,
    "images": [{"id": "IMG_1.jpg", "caption": "a dog", "references": ["my dog Rex"]}],
}


def test_a_card_says_what_the_evaluation_says(preset):
    card = parse(model_card(preset, "alice/tiny", OWN))
    assert {result.dataset_split for result in card.data.eval_results} == {None}
    assert {result.dataset_name for result in card.data.eval_results} == {"not named"}
    assert "split: test" not in str(card)
    assert "test split" not in str(card)
    assert "On a dataset that was not named, no split named; captions by beam search" in card.text
    assert "| BLEU-4 | 25.1 | 20.0 to 30.0 | 60 | 1 to 3 |" in card.text
    assert "| CIDEr-D | 61.0 |  | 60 | 1 to 3 |" in card.text
    for warning in WARNINGS:
        assert f"- {warning}\n" in card.text


def test_without_a_protocol_nothing_is_made_up(preset):
    card = parse(model_card(preset, "alice/tiny", {"bleu_4": 0.3}))
    assert "| BLEU-4 | 30.0 |  | not stated | not stated |" in card.text
    assert "- No split was named" in card.text
    assert [result.metric_value for result in card.data.eval_results] == [0.3]


def test_what_is_published_of_an_evaluation(preset):
    published = read_evaluation(preset, OWN).published
    assert published["warnings"] == WARNINGS
    assert published["protocol"] == {**OWN["protocol"], "preset": "my captioner"}
    assert published["checks"] == {"cut": 0.0}
    text = json.dumps(published)
    for private in ("home", "IMG_1", "Rex"):
        assert private not in text
    # What was published is read again as the same.
    assert model_card(preset, "a/b", published) == model_card(preset, "a/b", OWN)


def test_a_real_evaluation(preset, tmp_path):
    from captioner_checks import save_pictures

    from keras_showattend import ImageCaptioner
    from keras_showattend.evaluation import evaluate_captions

    images = save_pictures(tmp_path, 3)
    data = {"images": images, "captions": [["a dog"], ["a cat sits"], ["a red dog"]]}
    options = {"metrics": ["bleu_1"], "num_samples": 10, "num_beams": 1, "max_length": 3}
    evaluation = evaluate_captions(ImageCaptioner.from_preset(preset), data, **options)
    stored = json.loads((preset / "metadata.json").read_text())["digest"]
    assert evaluation["protocol"]["weights_digest"] == stored
    (tmp_path / "own.json").write_text(json.dumps(evaluation))
    card = parse(model_card(preset, "alice/tiny", tmp_path / "own.json"))
    assert card.data.eval_results[0].dataset_split is None
    assert "| 3 | 1 |" in card.text
    assert "greedy search" in card.text
    assert len(evaluation["warnings"]) >= 3
    for warning in evaluation["warnings"]:
        # As text: what is markup in Markdown is escaped.
        assert plain_markdown(warning) in card.text


def test_the_licence_is_asked_for(preset):
    metadata = json.loads((preset / "metadata.json").read_text())
    del metadata["license"]
    (preset / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=r"licence .* is not known.*`license=`.*`--license`"):
        model_card(preset, "alice/tiny")
    card = parse(model_card(preset, "alice/tiny", license="cc-by-4.0"))
    assert card.data.license == "cc-by-4.0"
    assert "## Licence\n\ncc-by-4.0\n" in card.text
    # An owner who wrote the card has stated it there.
    (preset / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    assert parse(model_card(preset, "alice/tiny")).data.license == "mit"


def test_text_of_others_is_no_markup(preset):
    metadata = json.loads((preset / "metadata.json").read_text())
    metadata |= {
        "description": "<img src=x> [a](http://b) | c\n# d \x1b[31m \u202e",
        "limits": ["one\n\n## Licence\n\nmit"],
        "training_command": "train '```'\x1b]0;x",
    }
    (preset / "metadata.json").write_text(json.dumps(metadata))
    text = model_card(preset, "alice/tiny")
    assert r"\<img src=x\> \[a\](http://b) \| c \# d \\x1b\[31m \\u202e" in text
    assert text.count("\n## Licence\n") == 1
    assert "- one \\#\\# Licence mit\n" in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert "\n````sh\ntrain '```\\x1b]0;x'\n````\n" in text


def test_what_the_folder_tells(preset):
    (preset / "evaluation.json").write_text(json.dumps(EVALUATION))
    metadata = json.loads((preset / "metadata.json").read_text())
    metadata |= {
        "license": "cc-by-4.0",
        "datasets": ["nlphuji/flickr30k"],
        "language": "de",
        "description": "Says it in German.",
        "training_command": "python train.py",
        "origin": "Grown in a garden",
    }
    (preset / "metadata.json").write_text(json.dumps(metadata))
    card = parse(model_card(preset, "alice/tiny"))
    assert (card.data.license, card.data.language) == ("cc-by-4.0", "de")
    assert card.data.datasets == ["nlphuji/flickr30k"]
    assert len(card.data.eval_results) == 3
    for part in ("Says it in German.", "python train.py", "Grown in a garden"):
        assert part in card.text


def test_training_command_loses_its_folders(preset):
    command = "python train.py --images /home/me/Images --out=~/presets/x 'C:\\me\\a b' --epochs 3"
    text = model_card(preset, "alice/tiny", training_command=command)
    assert "python train.py --images Images --out=x 'a b' --epochs 3" in text
    assert "home" not in text


def test_text_by_hand_is_kept_and_its_metadata_refreshed(preset):
    (preset / "README.md").write_text(
        "---\nlicense: mit\nlibrary_name: old\n---\n# Mine\n\nText.\n"
    )
    text = model_card(preset, "alice/tiny", EVALUATION)
    card = parse(text)
    assert card.text.strip() == "# Mine\n\nText."
    assert card.data.library_name == "keras-showattend"
    assert len(card.data.eval_results) == 3


def test_text_without_metadata_is_kept(preset):
    (preset / "README.md").write_text("# Mine\n\nText --- and a rule.\n\n---\n\nMore.\n")
    assert parse(model_card(preset, "alice/tiny")).text.strip().endswith("---\n\nMore.")


def test_generated_text_is_written_anew(preset):
    (preset / "README.md").write_text(model_card(preset, "alice/tiny", EVALUATION))
    text = model_card(preset, "alice/tiny", {"bleu_4": 0.3})
    assert text.count(GENERATED) == 1
    assert "| BLEU-4 | 30.0 |" in text
    assert "0.2513" not in text


def test_evaluation_from_a_file(preset, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(EVALUATION))
    assert model_card(preset, "a/b", path) == model_card(preset, "a/b", EVALUATION)


@pytest.mark.parametrize("evaluation", [{}, {"scores": 3}, {"scores": {"bleu_4": "high"}}, 3, []])
def test_evaluation_that_cannot_be_read(preset, evaluation):
    with pytest.raises(ValueError, match=r"`evaluation` must be.*Received: "):
        model_card(preset, "alice/tiny", evaluation)


def test_evaluation_file_that_cannot_be_read(preset, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    for name in ("bad.json", "missing.json"):
        with pytest.raises(ValueError, match=r"`evaluation` must be.*Received: "):
            model_card(preset, "alice/tiny", tmp_path / name)
