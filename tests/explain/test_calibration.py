"""Confidence: the event, the fit, and its file."""

import json

import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture

from keras_showattend.explain import Calibration, explain, fit_calibration, load_calibration
from keras_showattend.explain.evidence import CaptionEvidence
from keras_showattend.explain.fitting import FEWEST_IMAGES_FOR_WORDS, fit_logistic
from keras_showattend.explain.outcomes import expected_calibration_error, keeps_up_with_people


def test_the_logistic_curve_is_recovered():
    generator = np.random.default_rng(0)
    x = generator.normal(-1.5, 0.5, 200_000)
    y = generator.random(len(x)) < 1 / (1 + np.exp(-(2.0 * x + 2.5)))
    slope, intercept = fit_logistic(x, y.astype(float))
    assert slope == pytest.approx(2.0, abs=0.05)
    assert intercept == pytest.approx(2.5, abs=0.08)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([-3.0, -2.0, -1.0], [0.0, 0.0, 1.0]),
        ([-3.0, -2.0, -1.0], [0.0, 0.0, 0.0]),
        ([-2.0, -2.0, -2.0], [0.0, 1.0, 0.5]),
        ([-3.0, -1.0], [1.0, 0.0]),
    ],
)
def test_awkward_data_give_a_finite_rising_curve(x, y):
    slope, intercept = fit_logistic(np.array(x), np.array(y))
    assert slope >= 0
    assert np.isfinite([slope, intercept]).all()


def test_expected_calibration_error_by_hand():
    confidence = np.repeat([0.2, 0.9], 10)
    outcome = np.repeat([0.5, 0.9], 10)
    assert expected_calibration_error(confidence, outcome) == pytest.approx(0.15)
    assert expected_calibration_error(np.array([0.5]), np.array([1.0])) == pytest.approx(0.5)


def test_the_event_compares_with_people_who_are_left_out():
    references = {
        "a": ["a dog runs on grass", "the dog runs over grass", "a dog on the grass"],
        "b": ["two boys play ball", "boys play with a ball", "two boys with a red ball"],
        "c": ["a boat on the water", "a boat sails", "one small boat"],
        "d": ["only one caption"],
    }
    captions = {"a": "a dog runs on the grass", "b": "snow", "c": "a boat sails", "d": "one"}
    shares = keeps_up_with_people(captions, references)
    assert list(shares) == ["a", "b", "c"]
    assert shares["a"] == 1
    # Nothing in common with anyone: only a tie at zero could win, and no person has zero here.
    assert shares["b"] == 0
    # Its own words among the references: never worse than the person who said them.
    assert shares["c"] >= 1 / 3


def good_and_bad(count):
    """Half of the captions are a person's words said with confidence, half are not."""
    references, captions, scores = {}, {}, {}
    for index in range(count):
        noun = f"noun{index}"
        references[index] = [f"a {noun} on grass", f"the {noun} stands", f"one {noun} on the grass"]
        good = index % 2 == 0
        captions[index] = f"the {noun} on the grass" if good else "something else"
        scores[index] = (-0.5 if good else -2.0) + 0.01 * (index % 7)
    return scores, captions, references


def test_confidence_rises_with_the_score_and_is_calibrated():
    calibration = fit_calibration(*good_and_bad(60), settings={"split": "dev"})
    assert calibration(-0.5) > 0.8
    assert calibration(-2.0) < 0.2
    assert calibration(-0.5) > calibration(-1.0) > calibration(-2.0)
    assert calibration.expected_calibration_error < 0.1
    assert calibration.brier_score < calibration.brier_base_rate
    assert calibration.num_images == 60
    assert sum(group["num_images"] for group in calibration.reliability) == 60


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 10 images"):
        fit_calibration(*good_and_bad(6))


def test_the_file(tmp_path):
    assert load_calibration(tmp_path) is None
    calibration = fit_calibration(*good_and_bad(20))
    path = calibration.save(tmp_path)
    assert json.loads(path.read_text())["event"].startswith("the caption scores")
    loaded = load_calibration(tmp_path)
    assert loaded(-1.0) == calibration(-1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["calibration.json"]
    path.write_text('{"slope": 1}')
    with pytest.raises(ValueError, match=r"calibration\.json must be"):
        load_calibration(tmp_path)


def test_explanations_carry_it():
    captioner = make_tiny_captioner()
    picture = tiny_picture(48, 64)
    assert explain(captioner, picture).confidence is None
    captioner.calibration = Calibration(2.0, 1.0, 0.0, 0.0, 0.0, 0.5, 100)
    for seed in range(3):
        explanation = explain(captioner, tiny_picture(48, 64, seed))
        tokens = len(explanation.words) + (explanation.end_log_probability is not None)
        expected = 1 / (1 + np.exp(-(2 * explanation.log_probability / tokens + 1)))
        assert explanation.confidence == pytest.approx(expected)
        assert "Confidence" in explanation.to_html()


def with_evidence(count):
    """Half of the captions are right; their words were sure, those of the others were not."""
    generator = np.random.default_rng(5)
    scores, captions, references, evidence = {}, {}, {}, {}
    for index in range(count):
        animal, place = ("dog", "cat", "horse")[index % 3], ("grass", "sand")[index // 3 % 2]
        references[index] = [f"a {animal} on {place}", f"the {animal} stands on {place}", "a photo"]
        good = index % 2 == 0
        words = ("a", animal, "on", place) if good else ("a", "bench", "on", "snow")
        log_probabilities = generator.normal(-0.3 if good else -1.5, 0.2, 5)
        reading = {
            "log_probabilities": log_probabilities,
            "entropies": -log_probabilities,
            "mean_annotations": generator.normal(size=7),
        }
        captions[index] = " ".join(words)
        evidence[index] = CaptionEvidence.of(words, [words, words[:2]], reading)
        scores[index] = evidence[index].mean_log_probability
    return scores, captions, references, evidence


def test_words_are_calibrated_with_enough_images(tmp_path):
    scores, captions, references, evidence = with_evidence(120)
    vocabulary = ["animal", "dog", "seat"]
    calibration = fit_calibration(
        scores, captions, references, evidence=evidence, vocabulary=vocabulary
    )
    assert calibration.knows_words
    assert calibration.word_figures["num_words"] == 240
    assert calibration.word_figures["base_rate"] == pytest.approx(0.5)
    assert calibration.word_figures["expected_calibration_error"] < 0.1
    ratios = [row["cider_ratio"] for row in calibration.coverage["surest"]]
    assert ratios[0] == pytest.approx(1)
    assert ratios[2] > 1.9
    # "Bench" was wrong everywhere, and so was "seat"; "dog" was never wrong.
    assert calibration.thesaurus.broader == {}
    calibration.save(tmp_path)
    loaded = load_calibration(tmp_path)
    assert (tmp_path / "calibration.json").stat().st_size < 20_000
    for given in (calibration, loaded):
        for right, key in ((True, 0), (False, 1)):
            found = evidence[key]
            reading = {
                "log_probabilities": found.log_probabilities,
                "entropies": found.entropies,
                "mean_annotations": found.mean_annotation,
            }
            judged = given.assess(found.words, [found.words], reading)
            assert (judged.confidence > 0.5) is right
            assert judged.word_confidences[0] is judged.word_confidences[2] is None
            assert (judged.word_confidences[1] > 0.5) is right
            assert (judged.word_confidences[3] > 0.5) is right
    one = calibration.assess(found.words, [found.words], reading)
    other = loaded.assess(found.words, [found.words], reading)
    assert other.confidence == pytest.approx(one.confidence, abs=1e-3)
    far = {**reading, "mean_annotations": np.full(7, 9.0)}
    assert loaded.assess(found.words, [found.words], far).unfamiliar is True


def test_few_images_calibrate_captions_alone():
    scores, captions, references, evidence = with_evidence(FEWEST_IMAGES_FOR_WORDS - 1)
    calibration = fit_calibration(scores, captions, references, evidence=evidence)
    assert not calibration.knows_words
    assert calibration.word_figures is None
    assert calibration.coverage["surest"][2]["cider_ratio"] > 1.5
