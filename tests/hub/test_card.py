"""Model cards: metadata the Hub can read, a snippet that runs, and text that is kept."""

import json
import re

import huggingface_hub
import pytest

from keras_showattend.hub import model_card
from keras_showattend.hub.card import GENERATED

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
