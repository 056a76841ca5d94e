"""BLEU, ROUGE-L, CIDEr and the entry point, against hand-worked numbers and pycocoevalcap."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest

from keras_showattend.metrics import CiderD, score_captions, score_details, tokenize

FAST = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d"]
PETS = {"1.jpg": ["a dog"], "2.jpg": ["a cat"]}
WORDS = ["a", "the", "two", "man", "dog", "runs", "in", "red", "grass", "child's", ",", "."]


def test_bleu_by_hand():
    # Matches 5/6, 3/5, 1/4, 0/3: (5/6)^1, (5/6 3/5)^(1/2), (5/6 3/5 1/4)^(1/3), 0.
    scores = score_captions(
        {"x": "the cat sat on the mat"}, {"x": ["The cat is on the mat ."]}, FAST[:4]
    )
    assert list(scores) == FAST[:4]
    assert list(scores.values()) == pytest.approx([5 / 6, math.sqrt(0.5), 0.5, 0.0])
    assert all(type(value) is float for value in scores.values())


@pytest.mark.parametrize(
    ("caption", "references", "expected"),
    [
        ("a dog", ["a dog runs here"], math.exp(-1)),
        # Lengths 2 and 4 are as near to 3: the shorter counts, so there is no penalty.
        ("a dog runs", ["a dog", "dog runs a lot"], 1.0),
        # Clipped: "the" occurs once in any one reference.
        ("the the the", ["the cat sat", "on the mat"], 1 / 3),
        ("", ["a dog"], 0.0),
    ],
)
def test_bleu_1_by_hand(caption, references, expected):
    scores = score_captions({0: caption}, {0: references}, ["bleu_1"])
    assert scores == {"bleu_1": pytest.approx(expected)}


def test_corpus_bleu_adds_counts_and_not_scores():
    # 1 of 1 and 1 of 3 words: 2 of 4, not the mean of 1 and 1/3.
    captions = {"x": "dog", "y": "a red cat"}
    details = score_details(captions, {"x": ["dog"], "y": ["the big cat"]}, ["bleu_1"])
    assert details.corpus_scores()["bleu_1"] == pytest.approx(0.5)
    assert details.per_image["bleu_1"].tolist() == pytest.approx([1.0, 1 / 3])


@pytest.mark.parametrize(
    ("caption", "references", "expected"),
    [
        ("police kill the gunman", ["police killed the gunman"], 0.75),
        # Common "a c": precision 2/4, recall 2/3, beta 1.2.
        ("a b c d", ["a x c"], 2.44 * (1 / 2) * (2 / 3) / (2 / 3 + 1.44 / 2)),
        # Best precision from the first reference, best recall from the second.
        ("a b", ["a b c d", "a"], 1.0),
        ("x", ["y"], 0.0),
        ("", ["y"], 0.0),
        ("y", ["."], 0.0),
    ],
)
def test_rouge_l_by_hand(caption, references, expected):
    scores = score_captions({0: caption}, {0: references}, ["rouge_l"])
    assert scores["rouge_l"] == pytest.approx(expected)


def test_cider_by_hand():
    # "a" is in both images and weighs 0; "dog" and "a dog" match whole; no 3- or 4-grams.
    captions = {"1.jpg": "a dog", "2.jpg": "a dog"}
    details = score_details(captions, PETS, ["cider", "cider_d"])
    assert details.per_image["cider"].tolist() == pytest.approx([5.0, 0.0])
    assert details.corpus_scores()["cider_d"] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("caption", "clip", "expected"),
    [
        # 1 of 2 dogs counts: cosine 1/2 for one of four orders.
        ("dog dog", True, 1.25),
        ("dog dog", False, 2.5),
        # One word too short: exp(-1 / (2 * 6^2)).
        ("dog", True, 2.5 * math.exp(-1 / 72)),
        ("dog", False, 2.5),
        ("", True, 0.0),
    ],
)
def test_cider_d_clips_and_punishes_length(caption, clip, expected):
    scorer = CiderD(PETS, clip=clip)
    scores = scorer.score(["1.jpg"], [caption])
    assert scores.dtype == np.float32
    assert scores.tolist() == pytest.approx([expected])


def test_cider_d_end_token():
    scorer = CiderD(PETS, end_token="</s>")
    ended, broken_off = scorer.score(
        ["1.jpg", "1.jpg"], [["a", "dog", "</s>"], ["a", "dog"]]
    ).tolist()
    assert ended == pytest.approx(7.5)
    # Of the reference's bigrams (a dog), (dog </s>) one is there: cosine 1 / sqrt(2).
    assert broken_off == pytest.approx(2.5 * (1 + 1 / math.sqrt(2)) * math.exp(-1 / 72), rel=1e-5)


def test_cider_d_takes_token_ids():
    ids = CiderD({1: [[7, 3]], 2: [[7, 4]]})
    assert ids.score([1, 2, 1], [[7, 3], [7, 3], [3]]).tolist() == pytest.approx(
        CiderD(PETS).score(["1.jpg", "2.jpg", "1.jpg"], ["a dog", "a dog", "dog"]).tolist()
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.score(["3.jpg"], ["a dog"]), ValueError, r"'3.jpg', not one of 2 known"),
        (lambda s: s.score(["1.jpg"], ["a", "dog"]), ValueError, r"1 image ids and 2 captions"),
        (lambda s: s.score(["1.jpg"], "a dog"), TypeError, r"`captions` must be a list.*Received"),
        (lambda s: CiderD({}), ValueError, r"Received: an empty dict"),
        (lambda s: CiderD({"1.jpg": "a dog"}), TypeError, r"list of captions.*Received: str"),
        (lambda s: CiderD(["a dog"]), TypeError, r"must be a dict.*Received: list"),
    ],
)
def test_cider_d_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(CiderD(PETS))


def test_one_image_warns():
    with pytest.warns(UserWarning, match=r"CIDEr of a single image is always 0.*1 image 'x'"):
        assert score_captions({"x": "a dog"}, {"x": ["a dog"]}, ["cider"]) == {"cider": 0.0}


@pytest.mark.parametrize(
    ("captions", "references", "error", "message"),
    [
        ({}, {}, ValueError, r"At least one image"),
        ({"x": "a"}, {"x": []}, ValueError, r"at least one reference.*image 'x'"),
        ({"x": "a"}, {"x": "a"}, TypeError, r"list of captions.*Received: str 'a'"),
        ({"x": ["a"]}, {"x": ["a"]}, TypeError, r"must be one str.*Received: list"),
        (["a"], {"x": ["a"]}, TypeError, r"`captions` must be a dict.*Received: list"),
        ({"x": "a"}, [["a"]], TypeError, r"`references` must be a dict.*Received: list"),
        ({"x": "a"}, {"x": [1]}, TypeError, r"must be one str.*Received: int"),
        (
            dict.fromkeys("abcde", "dog"),
            {"e": ["dog"], "f": ["dog"]},
            ValueError,
            r"same image ids.*Received: 5 captions and references for 2 images; 4 captions lack "
            r"references \('a', 'b', 'c', \.\.\.\); 1 images with references lack "
            r"a caption \('f'\)",
        ),
    ],
)
def test_bad_captions_and_references(captions, references, error, message):
    with pytest.raises(error, match=message):
        score_captions(captions, references, ["bleu_1"])


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ("cider", TypeError, r"Wrap a single one.*Received: str 'cider'"),
        (["bleu_5"], ValueError, r"Drop or correct.*Received: \['bleu_5'\]"),
        ([], ValueError, r"at least one.*Received: \[\]"),
    ],
)
def test_bad_metrics(metrics, error, message):
    with pytest.raises(error, match=message):
        score_captions({"x": "a"}, {"x": ["a"]}, metrics)


def test_empty_caption_scores_zero():
    details = score_details({"1.jpg": "", "2.jpg": "a cat"}, PETS, FAST)
    assert all(details.per_image[name][0] == 0.0 for name in FAST)
    assert details.corpus_scores()["cider"] == pytest.approx(2.5)


def test_agrees_with_pycocoevalcap():
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu", reason="pycocoevalcap is not installed")
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    chooser = random.Random(7)

    def sentence(shortest):
        return " ".join(chooser.choices(WORDS, k=chooser.randrange(shortest, 15)))

    references = {i: [sentence(5) for _ in range(chooser.randrange(1, 6))] for i in range(60)}
    captions = {i: sentence(1) for i in references}
    # Some near hits, so that no order of n-grams goes without a match.
    captions |= {i: " ".join(references[i][0].split()[1:]) for i in range(0, 60, 3)}
    captions[3] = ""
    truths = {i: [" ".join(tokenize(text)) for text in texts] for i, texts in references.items()}
    candidates = {i: [" ".join(tokenize(text))] for i, text in captions.items()}

    details = score_details(captions, references, FAST)
    scores = details.corpus_scores()
    expected = bleu.Bleu(4).compute_score(truths, candidates, verbose=0)[0]
    assert [scores[name] for name in FAST[:4]] == pytest.approx(expected, abs=1e-6)
    corpus, per_image = Rouge().compute_score(truths, candidates)
    assert scores["rouge_l"] == pytest.approx(corpus)
    assert details.per_image["rouge_l"] == pytest.approx(per_image)
    corpus, per_image = Cider().compute_score(truths, candidates)
    assert scores["cider"] == scores["cider_d"] == pytest.approx(corpus, abs=1e-6)
    assert details.per_image["cider"] == pytest.approx(per_image, abs=1e-6)


def test_imports_neither_keras_nor_nltk():
    code = (
        "import sys; before = set(sys.modules); import keras_showattend.metrics; "
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax', 'nltk'} & set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
