"""Which words are right for an image, by what people wrote of it."""

import pytest

from keras_showattend.metrics.word_truth import WordTruth


@pytest.fixture(scope="module")
def truth():
    found = WordTruth()
    assert found.has_wordnet
    return found


@pytest.mark.parametrize(
    ("word", "said", "right"),
    [
        ("dog", {"dog"}, True),
        ("dogs", {"dog"}, True),
        ("running", {"runs"}, True),
        # Synonyms.
        ("woods", {"forest"}, True),
        ("little", {"small"}, True),
        # A person is what a man is; people who say "person" do not contradict "man".
        ("person", {"man"}, True),
        ("man", {"person"}, True),
        ("people", {"boys"}, True),
        # Neither is the other.
        ("man", {"woman"}, False),
        ("boy", {"man"}, False),
        ("cat", {"dog"}, False),
        ("red", {"blue"}, False),
        # "White" is no person here, though WordNet has that sense.
        ("white", {"person"}, False),
        ("bench", {"grass", "dog"}, False),
        ("dog", set(), False),
        ("qwertz", {"dog"}, False),
        ("qwertz", {"qwertz"}, True),
    ],
)
def test_a_word_is_right_if_people_said_it_or_the_like(truth, word, said, right):
    assert truth.is_right(word, said) is right


def test_broader_words_are_nouns_of_the_vocabulary(truth):
    vocabulary = {"person", "people", "animal", "animals", "clothing", "coat", "object", "man"}
    assert truth.broader_words("man", vocabulary) == ["person"]
    assert truth.broader_words("women", vocabulary) == ["people"]
    assert truth.broader_words("dog", vocabulary) == ["animal"]
    assert truth.broader_words("dogs", vocabulary) == ["animals"]
    # "A clothing" and "an object" are not among them.
    assert truth.broader_words("jacket", vocabulary) == ["coat"]
    assert truth.broader_words("red", vocabulary) == []
    assert truth.broader_words("qwertz", vocabulary) == []


def test_modifiers(truth):
    assert truth.is_modifier("red")
    assert truth.is_modifier("little")
    assert not truth.is_modifier("dog")
    assert not truth.is_modifier("qwertz")


def test_word_for_word_without_wordnet(monkeypatch):
    from keras_showattend.metrics import MetricUnavailableError, meteor_nltk

    def missing():
        raise MetricUnavailableError("no WordNet")

    monkeypatch.setattr(meteor_nltk, "load_wordnet", missing)
    truth = WordTruth()
    assert not truth.has_wordnet
    assert truth.is_right("dog", {"dog"})
    assert not truth.is_right("dogs", {"dog"})
    assert truth.broader_words("man", {"person"}) == []
    assert not truth.is_modifier("red")
