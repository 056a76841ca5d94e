"""Captions said with fewer shaky words."""

import pytest

from keras_showattend.explain.rewording import MOST_REWORDINGS, Thesaurus, Token

THESAURUS = Thesaurus(
    {"man": [("person", 0.75)], "men": [("people", 0.5)], "dog": [("animal", 0.5)]},
    ["red", "black", "white", "big"],
)
UNJUDGED = {"a", "an", "in", "on", "is", "of", "and", "with", "while", "the", "front"}


def said(text, shaky, sure=0.9, low=0.2):
    """Tokens of a caption of which some words are shaky."""
    return [
        Token(word, None if word in UNJUDGED else low if word in shaky else sure)
        for word in text.split()
    ]


def rewordings(text, *shaky):
    found = THESAURUS.rewordings(said(text, shaky), 0.5)
    assert " ".join(token.word for token in found[0]) == text
    return [" ".join(token.word for token in caption) for caption in found[1:]]


@pytest.mark.parametrize(
    ("text", "shaky", "expected"),
    [
        ("a man is running", ["man"], "a person is running"),
        ("a man in a red shirt", ["red"], "a man in a shirt"),
        ("a black and white dog", ["black"], "a white dog"),
        ("a black and white dog", ["white"], "a black dog"),
        ("a man is standing on a rock", ["standing"], "a man is on a rock"),
        ("a man in a shirt is riding a bike", ["shirt"], "a man is riding a bike"),
        ("a man is riding a bike on a street", ["bike"], "a man on a street"),
        ("two men stand in front of a building", ["building"], "two men stand"),
        ("a dog is running with a ball", ["ball"], "a dog is running"),
        # The article goes with the word after it.
        ("a dog is running", ["dog"], "an animal is running"),
    ],
)
def test_a_shaky_word_is_replaced_or_left_out(text, shaky, expected):
    assert expected in rewordings(text, *shaky)


def test_a_sure_caption_stays_as_it_is():
    assert rewordings("a man in a red shirt") == []


def test_a_broader_word_is_right_where_the_word_is_and_may_be_elsewhere():
    found = THESAURUS.rewordings(said("a man is running", ["man"], low=0.2), 0.5)
    by_words = {tuple(t.word for t in caption): caption for caption in found}
    person = by_words["a", "person", "is", "running"][1]
    # 0.2 that it is a man, and 0.75 that it is a person where it is none.
    assert person.confidence == pytest.approx(0.2 + 0.8 * 0.75)


def test_nothing_is_left_that_wants_more_words():
    found = rewordings("a man in a red shirt is standing on a rock", "man", "red", "shirt", "rock")
    assert found
    assert len(found) < MOST_REWORDINGS
    for text in found:
        words = text.split()
        assert words[-1] not in UNJUDGED
        assert words[0] not in ("in", "on", "is", "of", "and", "with")


def test_the_subject_stays():
    assert rewordings("a ball", "ball") == []
    assert rewordings("two women in a shirt", "women") == []
