"""Resampling of images, and the figures on diversity."""

import numpy as np
import pytest

from keras_showattend.metrics import (
    bootstrap,
    compare_systems,
    distinct_n,
    diversity_report,
    score_captions,
    score_details,
)

NAMES = ["bleu_1", "bleu_4", "rouge_l"]
REFERENCES = {i: [f"a dog number {i} runs on the green grass"] for i in range(40)}
GOOD = {i: f"a dog number {i} runs on the green grass" for i in REFERENCES}
MIXED = {i: GOOD[i] if i % 2 else "two dogs run" for i in REFERENCES}


def test_weights_are_repeated_images():
    details = score_details(MIXED, REFERENCES, NAMES)
    weights = np.zeros(40)
    weights[[0, 1, 3]] = [2, 1, 1]
    repeated = {"a": 0, "b": 0, "c": 1, "d": 3}
    expected = score_captions(
        {key: MIXED[i] for key, i in repeated.items()},
        {key: REFERENCES[i] for key, i in repeated.items()},
        NAMES,
    )
    scores = details.corpus_scores(np.stack([weights, np.ones(40)]))
    assert {name: values[0] for name, values in scores.items()} == pytest.approx(expected)
    assert {name: values[1] for name, values in scores.items()} == pytest.approx(
        score_captions(MIXED, REFERENCES, NAMES)
    )


def test_interval_has_the_width_of_theory():
    # ROUGE-L is 1 or 0 by halves: the mean of 40 has standard deviation 0.5 / sqrt(40).
    details = score_details(MIXED, REFERENCES, ["rouge_l"])
    interval = bootstrap(details, num_samples=4000)["rouge_l"]
    assert interval.score == pytest.approx(0.5)
    assert interval.mean == pytest.approx(0.5, abs=0.01)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, rel=0.1)
    narrow = bootstrap(details, num_samples=4000, confidence=0.5)["rouge_l"]
    assert interval.low < narrow.low < narrow.high < interval.high


def test_bootstrap_is_repeatable_and_constant_scores_have_no_width():
    details = score_details(MIXED, REFERENCES, NAMES)
    assert bootstrap(details, 50, seed=3) == bootstrap(details, 50, seed=3)
    assert bootstrap(details, 50, seed=3) != bootstrap(details, 50, seed=4)
    perfect = bootstrap(score_details(GOOD, REFERENCES, NAMES), 50)
    assert {(i.low, i.high) for i in perfect.values()} == {(1.0, 1.0)}


def test_compare_systems():
    good, mixed = (score_details(c, REFERENCES, NAMES) for c in (GOOD, MIXED))
    result = compare_systems(mixed, good, 500)
    assert result["rouge_l"].difference == pytest.approx(0.5)
    assert 0 < result["rouge_l"].low < 0.5 < result["rouge_l"].high
    assert result["rouge_l"].p_value == pytest.approx(2 / 501)
    assert compare_systems(good, mixed, 500)["bleu_4"].difference < 0
    assert compare_systems(good, good, 500)["bleu_4"].p_value == 1.0


def test_bootstrap_errors():
    details = score_details(MIXED, REFERENCES, ["rouge_l"])
    with pytest.raises(ValueError, match=r"`num_samples` must be at least 1.*Received: 0"):
        bootstrap(details, 0)
    with pytest.raises(ValueError, match=r"between 0 and 1.*Received: 95"):
        bootstrap(details, confidence=95)
    other = score_details({0: "a dog"}, {0: ["a dog"]}, ["rouge_l"])
    with pytest.raises(ValueError, match=r"same images.*Received: 40 and 1 images, 1 of them"):
        compare_systems(details, other)


def test_diversity_by_hand():
    report = diversity_report(
        {1: "A dog runs .", 2: "a dog runs", 3: "a cat", 4: ""},
        {1: ["a b c d"], 2: ["a b"], 3: ["a b c"], 4: ["a b c"]},
        training_captions=["A cat!", "a bird"],
        num_most_common=1,
    )
    assert report.num_captions == 4
    assert report.distinct_captions == pytest.approx(3 / 4)
    assert report.distinct_1 == pytest.approx(4 / 8)
    # Pairs: a-dog, dog-runs twice each, a-cat once.
    assert report.distinct_2 == pytest.approx(3 / 5)
    assert report.vocabulary_size == 4
    assert report.empty_captions == pytest.approx(1 / 4)
    assert report.mean_length == pytest.approx(2.0)
    assert report.mean_reference_length == pytest.approx(3.0)
    assert report.reference_vocabulary_size == 4
    assert report.copied_captions == pytest.approx(1 / 4)
    assert report.most_common == [("a dog runs", 2)]


def test_broken_sentences_by_hand():
    report = diversity_report(
        {
            1: "A dog runs with a .",
            2: "a man in",
            3: "the dog the dog runs",
            4: "a big big dog",
            5: "a dog and a dog",
            6: "",
            7: "of",
            8: "a a",
        }
    )
    # 1, 2, 7 and 8 end open; 3, 4 and 8 stutter.
    assert report.unfinished_captions == pytest.approx(4 / 8)
    assert report.stuttering_captions == pytest.approx(3 / 8)


def test_diversity_without_references():
    report = diversity_report({1: "a dog"})
    assert report.mean_reference_length is None
    assert report.reference_vocabulary_size is None
    assert report.copied_captions is None
    assert distinct_n([["a"]], 2) == 0.0


def test_diversity_errors():
    with pytest.raises(ValueError, match="At least one image"):
        diversity_report({})
    with pytest.raises(TypeError, match=r"`training_captions` must be a list.*Received: str"):
        diversity_report({1: "a"}, training_captions="a dog")
    with pytest.raises(ValueError, match="same image ids"):
        diversity_report({1: "a"}, {2: ["a"]})
