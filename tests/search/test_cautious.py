"""Captions reworded until each of their words is sure enough."""

import numpy as np
import pytest
from explain_fixtures import NOUNS, make_tiny_captioner, tiny_picture

from keras_showattend.explain import Calibration
from keras_showattend.explain.caption_model import CAPTION_FEATURES, CaptionModel
from keras_showattend.explain.evidence import WORD_FEATURES
from keras_showattend.explain.familiarity import fit_familiarity
from keras_showattend.explain.logistic import LinearModel, logit
from keras_showattend.explain.rewording import Thesaurus
from keras_showattend.explain.word_model import WordModel, WordRecord

PICTURES = [tiny_picture(48, 64, seed) for seed in range(4)]


def calibration(**confidences):
    """Confidences of words by name, 0.9 for all others; a caption is as sure as its least word."""
    by_record = LinearModel([0.0] * len(WORD_FEATURES) + [1.0], 0.0)
    records = {word: WordRecord(float(logit(sure)), 0.0, 1.0) for word, sure in confidences.items()}
    words = WordModel(by_record, by_record, records, WordRecord(float(logit(0.9)), 0.0, 1.0))
    least = [float(name == "least confidence of a word") for name in CAPTION_FEATURES]
    broader = {noun: [("tree", 0.75)] for noun in NOUNS if noun != "tree"}
    return Calibration(
        1.0,
        0.0,
        0.0,
        0.1,
        0.2,
        0.5,
        100,
        captions=CaptionModel(LinearModel(least, 0.0), words),
        familiarity=fit_familiarity(np.random.default_rng(0).normal(size=(50, 12))),
        thesaurus=Thesaurus(broader, []),
    )


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.fixture(scope="module")
def plain(captioner):
    return captioner.generate(PICTURES, num_beams=3, return_all_beams=True)


def test_hypotheses_are_assessed_with_a_calibration_alone(captioner, plain):
    assert {beams[0].confidence for beams in plain} == {None}
    word = next(w for w in plain[0][0].words if w in NOUNS and w != "tree")
    captioner.calibration = calibration(**{word: 0.25})
    found = captioner.generate(PICTURES, num_beams=3, return_all_beams=True)
    captioner.calibration = None
    assert [[b.text for b in beams] for beams in found] == [[b.text for b in x] for x in plain]
    best, other = found[0][:2]
    assert best.word_confidences[best.words.index(word)] == pytest.approx(0.25)
    assert word in best.shaky_words
    assert best.confidence == pytest.approx(1 / (1 + np.exp(-0.25)))
    assert best.unfamiliar in (True, False)
    assert (other.confidence, other.word_confidences, other.shaky_words) == (None, (), ())


def test_shaky_words_are_replaced_or_left_out(captioner, plain):
    word = next(w for w in plain[0][0].words if w in NOUNS and w != "tree")
    captioner.calibration = calibration(**{word: 0.2})
    cautious = captioner.generate(PICTURES, num_beams=3, return_all_beams=True, cautious=0.5)
    texts = captioner.generate(PICTURES, num_beams=3, cautious=0.5)
    streamed = list(captioner.generate_stream(PICTURES, num_beams=3, cautious=0.5))
    explained = captioner.explain(PICTURES[0], num_beams=3, cautious=0.5)
    captioner.calibration = None
    assert texts == [beams[0].text for beams in cautious]
    assert texts == [beams[0].text for beams in streamed]
    for beams, before in zip(cautious, plain, strict=True):
        best = beams[0]
        sure = [c for c in best.word_confidences if c is not None]
        assert min(sure) >= 0.5
        assert word not in best.words
        assert len(best.words) == len(best.word_confidences)
        assert best.text.lower().split() == list(best.words)
        if word not in before[0].words:
            assert best.text == before[0].text
    assert cautious[0][0].text != plain[0][0].text
    assert plain[0][0].text in [beam.text for beam in cautious[0][1:]]
    assert explained.caption == texts[0]
    assert explained.words == list(cautious[0][0].words)
    assert explained.word_confidences == cautious[0][0].word_confidences
    assert explained.to_dict()["words"][1]["confidence"] == explained.word_confidences[1]


def test_a_least_confidence_of_none_changes_nothing(captioner, plain):
    captioner.calibration = calibration()
    found = captioner.generate(PICTURES, num_beams=3, cautious=0.0)
    captioner.calibration = None
    assert found == [beams[0].text for beams in plain]


def test_without_calibrated_words_it_is_refused(captioner):
    with pytest.raises(ValueError, match="cautious=0.5 with no calibration"):
        captioner.generate(PICTURES, cautious=0.5)
    captioner.calibration = Calibration(1.0, 0.0, 0.0, 0.0, 0.0, 0.5, 100)
    with pytest.raises(ValueError, match="with a calibration of captions alone"):
        captioner.generate_stream(PICTURES, cautious=0.5)
    with pytest.raises(ValueError, match="with a calibration of captions alone"):
        captioner.explain(PICTURES[0], cautious=0.5)
    captioner.calibration = None
    with pytest.raises(ValueError, match="Received: cautious=1.5"):
        captioner.search_options(cautious=1.5)
