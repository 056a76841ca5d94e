"""`evaluate_captions`: scores, protocol, and checks that warn in words."""

import json
import logging

import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, make_tiny_dataset, tiny_picture

from keras_showattend import CaptionDataset
from keras_showattend.data import CaptionedImage
from keras_showattend.evaluation import (
    calibrate,
    compare_evaluations,
    evaluate_captions,
    format_calibration,
    format_comparison,
    format_evaluation,
    write_report,
)
from keras_showattend.evaluation.baseline import constant_baseline
from keras_showattend.evaluation.protocol import model_digest
from keras_showattend.metrics import score_captions
from keras_showattend.presets.provenance import weights_digest

METRICS = ("bleu_1", "bleu_4", "rouge_l", "cider")
FAST = {"metrics": METRICS, "num_samples": 40, "num_beams": 1, "feature_cache": None}


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.fixture(scope="module")
def dataset():
    return make_tiny_dataset(24)


@pytest.fixture(scope="module")
def evaluation(captioner, dataset):
    return evaluate_captions(captioner, dataset, split="dev", preset="tiny", **FAST)


class Parrot:
    """Stands in for the captioner's `generate`, saying what a test tells it to."""

    def __init__(self, captioner, sentences):
        self._captioner, self._sentences = captioner, sentences

    def __getattr__(self, name):
        return getattr(self._captioner, name)

    def generate(self, images, return_all_beams=False, **options):
        from keras_showattend.search import CaptionHypothesis

        longest = self._captioner.preprocessor.sequence_length
        texts = (self._sentences * len(images))[: len(images)]
        return [
            [CaptionHypothesis(text, -1.0 - n, -0.5, complete=len(text.split()) < longest)]
            for n, text in enumerate(texts)
        ]


def said(captioner, dataset, *sentences, **options):
    parrot = Parrot(captioner, list(sentences))
    return evaluate_captions(parrot, dataset, **{**FAST, "split": "dev", **options})


def warned(evaluation, part):
    return [text for text in evaluation["warnings"] if part in text]


def test_scores_are_those_of_score_captions(captioner, dataset, evaluation):
    dev = dataset.split("dev")
    captions = dict(zip(dev.ids, captioner.generate(dev.images, num_beams=1), strict=True))
    assert {row["id"]: row["caption"] for row in evaluation["images"]} == captions
    assert evaluation["scores"] == pytest.approx(
        score_captions(captions, dev.references(), METRICS)
    )
    for name, score in evaluation["scores"].items():
        ends = evaluation["intervals"][name]
        assert ends["low"] <= score + 1e-9
        assert score <= ends["high"] + 1e-9
    mean = np.mean([row["scores"]["rouge_l"] for row in evaluation["images"]])
    assert evaluation["scores"]["rouge_l"] == pytest.approx(mean)


def test_it_is_json_and_repeatable(captioner, dataset, evaluation):
    assert json.loads(json.dumps(evaluation)) == evaluation
    again = evaluate_captions(captioner, dataset, split="dev", preset="tiny", **FAST)
    # The first search of a number of images is not that of the next ones, which XLA compiles.
    for row, first in zip(again.pop("images"), evaluation["images"], strict=True):
        for name in ("log_probability", "score"):
            assert row.pop(name) == pytest.approx(first[name], abs=1e-5)
        assert row == {key: first[key] for key in row}
    assert again == {key: value for key, value in evaluation.items() if key != "images"}


def test_the_protocol_says_how(captioner, dataset, evaluation):
    protocol = evaluation["protocol"]
    assert protocol["split"] == "dev"
    assert protocol["num_images"] == 12
    assert protocol["num_references"] == {"5": 12}
    assert protocol["preset"] == "tiny"
    assert protocol["decoder"] == {
        "search": "greedy",
        "num_beams": 1,
        "length_penalty": 0.9,
        "no_repeat_ngram_size": 2,
        "cautious": None,
        "max_length": 9,
    }
    assert "coco-caption" in protocol["tokenizer"]
    assert {"keras", "keras-hub", "numpy", "python", "backend"} <= set(protocol["versions"])
    assert protocol["metrics_left_out"] == []
    digest = protocol["preset_digest"]
    assert len(digest) == 64
    assert model_digest(make_tiny_captioner()) == digest
    assert model_digest(make_tiny_captioner(seed=1)) != digest
    assert protocol["weights_digest"] == weights_digest(captioner)


def test_the_cache_of_features_changes_nothing_but_rounding(
    captioner, dataset, evaluation, tmp_path
):
    cached = evaluate_captions(
        captioner, dataset, split="dev", preset="tiny", **{**FAST, "feature_cache": str(tmp_path)}
    )
    assert list(tmp_path.rglob("*.npy"))
    for one, other in zip(cached["images"], evaluation["images"], strict=True):
        # float16 features may tip a tie, and then only to an equally probable caption.
        assert one["log_probability"] == pytest.approx(other["log_probability"], abs=0.05)


def test_a_dict_without_splits_is_evaluated_whole(captioner):
    data = {"images": [tiny_picture(40, 60, n) for n in range(3)], "captions": ["a dog runs"] * 3}
    evaluation = evaluate_captions(captioner, data, **FAST)
    assert evaluation["protocol"]["split"] is None
    assert evaluation["checks"]["shared_images"] is None
    assert evaluation["checks"]["constant_caption"]["from"] == "the model's captions"
    assert evaluation["checks"]["diversity"]["copied_captions"] is None
    assert warned(evaluation, "3 of 3 images have fewer than 5 references")
    assert warned(evaluation, "No split was named")


def test_the_same_caption_for_every_image_is_noticed(captioner, dataset):
    evaluation = said(captioner, dataset, "A dog waits on the grass")
    assert warned(evaluation, "Only 8% of the captions differ")
    assert warned(evaluation, '100% of the images got the same caption: "a dog waits on the grass"')
    assert warned(evaluation, "one and the same sentence for every image")
    assert evaluation["checks"]["diversity"]["vocabulary_size"] == 6


def test_copies_empty_captions_and_lengths_are_noticed(captioner, dataset):
    train = dataset.split("train").captions
    copied = said(captioner, dataset, *(texts[0] for texts in train))
    assert copied["checks"]["diversity"]["copied_captions"] == 1
    assert warned(copied, "100% of the captions are training captions")
    silent = said(captioner, dataset, "", "A dog")
    assert warned(silent, "50.0% of the captions have no word")
    assert warned(silent, "Captions have 1.0 words on average, the references 6.0")
    long = said(captioner, dataset, "a a a a a a a a a")
    assert warned(long, "100.0% of the captions were cut at 9 words")
    assert warned(long, "100.0% of the captions end in a word such as 'a'")
    assert warned(long, "100.0% of the captions say a word twice in a row")
    fresh = said(captioner, dataset, "A zebra", train_captions=["A zebra."])
    assert fresh["checks"]["diversity"]["copied_captions"] == 1
    assert fresh["checks"]["constant_caption"]["caption"] == "a zebra"


def test_a_model_that_knows_the_answers_is_not_accused(captioner, dataset):
    answers = [texts[1] for texts in dataset.split("dev").captions]
    evaluation = said(captioner, dataset, *answers, train_captions=["a man stands", "a cat eats"])
    assert evaluation["scores"]["cider"] > 1
    assert not warned(evaluation, "one and the same sentence")
    assert not warned(evaluation, "training captions")
    assert all("Only 12 images" in text for text in evaluation["warnings"])


def test_images_in_two_splits_are_found_by_content(captioner, tmp_path):
    items = list(make_tiny_dataset(8))
    copy = CaptionedImage(items[5].image.copy(), ("a dog runs",) * 5, "another name")
    dataset = CaptionDataset(
        [*items, copy],
        {"train": [i.id for i in items[:4]] + ["another name"], "dev": [i.id for i in items[4:]]},
    )
    evaluation = evaluate_captions(captioner, dataset, split="dev", **FAST)
    assert evaluation["checks"]["shared_images"] == {
        "other_splits": {"train": 5},
        "shared": [[items[5].id, "train", "another name"]],
    }
    assert warned(evaluation, "1 with 'train' (such as 'photo5')")
    unread = evaluate_captions(captioner, dataset, split="dev", check_images=False, **FAST)
    assert unread["checks"]["shared_images"] is None


def test_training_images_and_a_single_image_are_noticed(captioner, dataset):
    evaluation = evaluate_captions(captioner, dataset, split="train", **FAST)
    assert warned(evaluation, "These are training images")
    with pytest.warns(UserWarning, match="single image"):
        one = evaluate_captions(captioner, dataset[:1], **FAST)
    assert one["scores"]["cider"] == 0
    assert warned(one, "CIDEr is 0 by definition")


def test_captions_in_other_scripts(captioner):
    data = {
        "images": [tiny_picture(40, 60, n) for n in range(3)],
        "captions": [["Ein Hund läuft über Schnee."], ["一只狗在草地上"], ["собака бежит"]],
    }
    evaluation = evaluate_captions(captioner, data, **FAST)
    assert evaluation["images"][1]["references"] == ["一只狗在草地上"]
    assert json.loads(json.dumps(evaluation)) == evaluation


def test_metrics_that_cannot_be_computed_are_named(captioner, dataset, monkeypatch):
    from keras_showattend.metrics import report

    def missing(*args):
        raise report.MetricUnavailableError("none here")

    monkeypatch.setattr(report, "meteor_nltk", missing)
    monkeypatch.setattr(report, "check_meteor", missing)
    logging.getLogger("keras_showattend.metrics.report").setLevel(logging.ERROR)
    evaluation = evaluate_captions(captioner, dataset, split="dev", **{**FAST, "metrics": None})
    assert evaluation["protocol"]["metrics_left_out"] == ["meteor_nltk", "meteor"]
    assert warned(
        evaluation, "Not computed, for want of their data or program: METEOR (NLTK), METEOR 1.5"
    )


def test_metrics_are_checked_before_anything_is_captioned(dataset, monkeypatch):
    from keras_showattend.metrics import report

    def missing():
        raise report.MetricUnavailableError("no Java")

    monkeypatch.setattr(report, "check_meteor", missing)
    no_captioner = None
    with pytest.raises(report.MetricUnavailableError, match="no Java"):
        evaluate_captions(no_captioner, dataset, metrics=["cider", "meteor"])
    with pytest.raises(ValueError, match=r"must name at least one of .*'blue_4'"):
        evaluate_captions(no_captioner, dataset, metrics=["blue_4"])


def test_the_baseline_is_the_luckiest_sentence():
    references = {n: [f"a dog runs {n}", "the dog runs"] for n in range(6)}
    references[6] = references[7] = ["two boats"]
    sentences = ["snow"] * 9 + ["a dog runs"] * 2 + ["two boats"] + ["", "a"]
    baseline = constant_baseline(references, sentences, ("bleu_1", "cider"))
    assert baseline["caption"] == "a dog runs"
    expected = score_captions(dict.fromkeys(references, "a dog runs"), references, ["cider"])
    assert baseline["scores"]["cider"] == pytest.approx(expected["cider"])
    assert constant_baseline(references, [], ("bleu_1",))["caption"] == ""


def test_text_for_a_terminal(evaluation):
    text = format_evaluation(evaluation)
    assert text.startswith("tiny on dev: 12 images, greedy search")
    assert f"{100 * evaluation['scores']['cider']:.1f}" in text
    assert "\nCIDEr " in text
    assert text.count("Warning: ") == len(evaluation["warnings"])


def test_comparison_of_two(captioner, dataset, evaluation):
    answers = [texts[2] for texts in dataset.split("dev").captions]
    better = said(captioner, dataset, *answers, preset="knows")
    comparison = compare_evaluations(evaluation, better, num_samples=50)
    cider = comparison["scores"]["cider"]
    assert cider["difference"] == pytest.approx(cider["second"] - cider["first"])
    assert cider["low"] > 0
    assert cider["p_value"] < 0.05
    assert comparison["presets"] == ["tiny", "knows"]
    assert any(text.startswith("CIDEr: knows is better") for text in comparison["verdicts"])
    assert comparison["warnings"] == ["Both are the same model."]
    assert json.loads(json.dumps(comparison)) == comparison
    assert "CIDEr: knows is better" in format_comparison(comparison)
    # Read back from JSON, in another order of images: the same.
    shuffled = json.loads(json.dumps(better))
    shuffled["images"].reverse()
    assert compare_evaluations(evaluation, shuffled, num_samples=50) == comparison
    same = compare_evaluations(evaluation, evaluation, num_samples=20)
    assert same["same_captions"] == 1
    assert same["presets"] == ["tiny (first)", "tiny (second)"]
    assert all("no clear difference" in text for text in same["verdicts"])


def test_comparison_needs_the_same_images(captioner, dataset, evaluation):
    other = evaluate_captions(captioner, dataset, split="train", **FAST)
    with pytest.raises(ValueError, match="12 and 12 images, 0 of them alike"):
        compare_evaluations(evaluation, other)


def test_one_unreadable_image_does_not_lose_the_others(captioner, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    items = [*make_tiny_dataset(4), CaptionedImage(broken, ("a dog runs",) * 5, "broken.jpg")]
    with pytest.warns(UserWarning, match="1 of 5 images cannot be read"):
        evaluation = evaluate_captions(captioner, CaptionDataset(items), **FAST)
    assert evaluation["protocol"]["num_images"] == 4
    assert evaluation["protocol"]["unreadable_images"] == ["broken.jpg"]
    assert warned(evaluation, "1 images could not be read and are left out: broken.jpg.")


def test_a_segmenter_reaches_scores_checks_and_baseline(captioner, dataset):
    data = {
        "images": [tiny_picture(40, 60, n) for n in range(3)],
        "captions": [["狗在草地上", "一只狗"], ["猫睡觉", "猫在睡"], ["男孩跑", "男孩在跑"]],
    }
    options = {**FAST, "split": None, "segment": list, "train_captions": ["狗在跑", "猫睡觉"]}
    evaluation = said(captioner, data, "狗在跑", "猫睡觉", "男孩", **options)
    # Captions of 3, 3 and 2 characters.
    assert evaluation["checks"]["diversity"]["mean_length"] == pytest.approx(8 / 3)
    assert evaluation["checks"]["diversity"]["copied_captions"] == pytest.approx(2 / 3)
    assert evaluation["protocol"]["segmenter"] == "builtins:list"
    assert evaluation["checks"]["constant_caption"]["scores"]["bleu_1"] > 0
    comparison = compare_evaluations(evaluation, evaluation, num_samples=5, segment=list)
    assert comparison["scores"]["bleu_1"]["difference"] == 0
    assert comparison["num_references"] == {"2": 3}
    assert comparison["evaluation_warnings"][0] == evaluation["warnings"]


def test_control_characters_of_captions_are_escaped_in_text(evaluation):
    shown = {**evaluation, "warnings": ["the caption \x1b[31mred"]}
    assert "\x1b" not in format_evaluation(shown)
    assert r"the caption \x1b[31mred" in format_evaluation(shown)


def test_a_calibrated_captioner_is_told_how_its_confidence_did(dataset, evaluation, tmp_path):
    assert evaluation["confidence"] is None
    captioner = make_tiny_captioner()
    options = {"num_beams": 1, "feature_cache": None}
    calibration = calibrate(captioner, dataset, split="dev", **options)
    assert calibration.num_images == 12
    assert calibration.settings["split"] == "dev"
    assert calibration.settings["decoder"]["num_beams"] == 1
    assert "12 images" in format_calibration(calibration)
    assert "that takes 100 images" in format_calibration(calibration)
    captioner.calibration = calibration
    found = evaluate_captions(captioner, dataset, split="dev", **FAST)
    assert found["scores"] == evaluation["scores"]
    figures = found["confidence"]
    rows = found["images"]
    assert figures["mean"] == pytest.approx(np.mean([row["confidence"] for row in rows]))
    assert figures["outcome"] == pytest.approx(calibration.base_rate)
    assert figures["surest"][0]["cider"] == pytest.approx(found["scores"]["cider"])
    assert figures["words"] is None
    # The caption words, none of which is judged.
    assert [word for word, _ in rows[0]["words"]] == rows[0]["caption"].lower().split()
    assert {sure for _, sure in rows[0]["words"]} == {None}
    assert "came true" in format_evaluation(found)
    assert warned(found, "those of the fit")
    page = write_report(found, tmp_path / "report.html").read_text()
    assert "Area under the risk-coverage curve" in page
    assert page.count("polyline") == 4
    assert json.loads(json.dumps(found)) == found


def test_what_is_reworded_calibrates_nothing(captioner, dataset):
    with pytest.raises(ValueError, match="leave out `cautious`"):
        calibrate(captioner, dataset, split="dev", cautious=0.5)


def test_unknown_names_are_refused(captioner, dataset):
    with pytest.raises(ValueError, match="cider_x"):
        evaluate_captions(captioner, dataset, **{**FAST, "metrics": ["cider_x"]})
    with pytest.raises(ValueError, match="Received: 'test'"):
        evaluate_captions(captioner, dataset, split="test", **FAST)


def test_unreadable_images_are_left_out_and_told(captioner, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    items = [
        CaptionedImage(tiny_picture(16, 24, 0), ("a dog",), "first"),
        CaptionedImage(str(tmp_path / "bad.png"), ("a cat",), "second"),
        CaptionedImage(tiny_picture(16, 24, 1), ("a dog runs",), "third"),
    ]
    with pytest.warns(UserWarning, match="1 of 3 images cannot be read"):
        evaluation = evaluate_captions(captioner, CaptionDataset(items), **FAST)
    assert [row["id"] for row in evaluation["images"]] == ["first", "third"]
    assert evaluation["protocol"]["num_images"] == 2
    assert evaluation["warnings"][0] == (
        "1 of 3 images cannot be read and are not part of the scores (such as 'second')."
    )
