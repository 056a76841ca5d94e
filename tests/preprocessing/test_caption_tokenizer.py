"""`CaptionTokenizer`: words, vocabulary, the same ids in Python and TensorFlow, files."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_showattend.preprocessing import CaptionTokenizer
from keras_showattend.preprocessing.caption_tokenizer import SPECIAL_TOKENS, split_words

CASES = {
    "A dog runs.": ["a", "dog", "runs"],
    "": [],
    "   \t\n ": [],
    "!?... -- ' - '' \"": [],
    "The man's t-shirt isn't red": ["the", "man's", "t-shirt", "isn't", "red"],
    "the man\u2019s dog": ["the", "man's", "dog"],
    "'quoted' \"words\" \u2018here\u2019": ["quoted", "words", "here"],
    "dogs' -tail- 'n' rock-'n'-roll": ["dogs", "tail", "n", "rock-'n'-roll"],
    "- - a -- b -'- c-": ["a", "b", "c"],
    "x--y a'-'b": ["x--y", "a'-'b"],
    "2 dogs, 3rd; 1.5 metres": ["2", "dogs", "3rd", "1", "5", "metres"],
    "snake_case and/or #tag @home": ["snake", "case", "and", "or", "tag", "home"],
    "Ein Hündchen läuft über Straßen": ["ein", "hündchen", "läuft", "über", "straßen"],
    "ÉCOLE À NOËL": ["école", "à", "noël"],
    # Decomposed accents are composed, so that a word is one word however it is written.
    "e\u0301cole \u00e9cole": ["\u00e9cole", "\u00e9cole"],
    # A mark that has no composed form belongs to its word.
    "x\u0301y": ["x\u0301y"],
    # Zero-width joiners and non-joiners inside words: Sinhala, Bengali, Persian.
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf": [
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
        "\u0dbd\u0d82\u0d9a\u0dcf",
    ],
    "\u09b0\u200d\u09cd\u09af\u09be\u09ac": ["\u09b0\u200d\u09cd\u09af\u09be\u09ac"],
    "\u0645\u06cc\u200c\u0631\u0648\u062f.": ["\u0645\u06cc\u200c\u0631\u0648\u062f"],
    # At the edges of a word they are dropped, except the Malayalam chillu's.
    "\u200da\u200c \u200d b\u200d": ["a", "b"],
    "\u0d05\u0d35\u0d28\u0d4d\u200d \u0d05\u0d35\u0d28\u0d4d\u200d.": 2
    * ["\u0d05\u0d35\u0d28\u0d4d\u200d"],
    # Soft hyphens and what chooses between forms of an emoji are not seen.
    "sun\u00adflower \u2764\ufe0f \ufeffred": ["sunflower", "red"],
    "GROẞE STRAẞE": ["große", "straße"],
    "İSTANBUL": ["i\u0307stanbul"],
    "ΟΔΟΣ ΣΟΦΙΑΣ": ["οδος", "σοφιας"],
    "Собака БЕЖИТ": ["собака", "бежит"],
    "犬が走る。草の上": ["犬が走る", "草の上"],
    "एक कुत्ता घास पर दौड़ रहा है।": ["एक", "कुत्ता", "घास", "पर", "दौड़", "रहा", "है"],
    "كلبٌ يجري": ["كلبٌ", "يجري"],
    "a 🐶 runs 👩‍🚒 home🏠now": ["a", "runs", "home", "now"],
    "a\u00a0dog\u2003runs\u200bfast": ["a", "dog", "runs", "fast"],
    "<start> a <unk> dog <end> <pad>": ["start", "a", "unk", "dog", "end", "pad"],
    "½ x² Ⅷ": ["½", "x²", "ⅷ"],
    "a\0b": ["a", "b"],
}


@pytest.fixture
def tokenizer():
    # Every second of the words above, so that many are unknown.
    words = sorted({word for words in CASES.values() for word in words})
    return CaptionTokenizer([*SPECIAL_TOKENS, *words[::2]])


@pytest.mark.parametrize("text", CASES)
def test_words(text):
    assert split_words(text) == CASES[text]


def test_python_and_tensorflow_give_the_same_ids(tokenizer):
    tf = pytest.importorskip("tensorflow")
    texts = list(CASES)
    expected = [ids.tolist() for ids in tokenizer(texts)]
    assert sum(len(ids) for ids in expected) == sum(map(len, CASES.values()))
    assert any(3 in ids for ids in expected)

    batches = tf.data.Dataset.from_tensor_slices(texts).batch(4).map(tokenizer)
    assert [row for batch in batches for row in batch.to_list()] == expected
    singles = tf.data.Dataset.from_tensor_slices(texts).map(tokenizer)
    assert [ids.numpy().tolist() for ids in singles] == expected
    eager = tokenizer.tokenize(tf.constant(texts))
    assert eager.to_list() == expected
    assert eager.dtype == tf.int32


def test_composed_and_decomposed_words_have_one_id():
    tokenizer = CaptionTokenizer.from_captions(["caf\u00e9 cafe\u0301"], min_count=2)
    assert tokenizer.get_vocabulary()[4:] == ["caf\u00e9"]
    # A vocabulary of before holds the other form.
    old = CaptionTokenizer([*SPECIAL_TOKENS, "cafe\u0301", "a"])
    assert old.get_vocabulary()[4] == "cafe\u0301"
    texts = ["caf\u00e9 a", "cafe\u0301 b"]
    assert [ids.tolist() for ids in old(texts)] == [[4, 5], [4, 3]]
    tf = pytest.importorskip("tensorflow")
    assert old.tokenize(tf.constant(texts)).to_list() == [[4, 5], [4, 3]]


def cut_in_twos(text):
    """A segmenter for tests: two characters make a word."""
    return [text[start : start + 2] for start in range(0, len(text), 2)]


def test_scripts_without_spaces_take_a_segmenter(tmp_path):
    captions = ["小狗奔跑。", "小狗睡觉"]
    with pytest.warns(UserWarning, match="no spaces between words.*Received: '小狗奔跑' as a word"):
        whole = CaptionTokenizer.from_captions(captions, min_count=1)
    assert sorted(whole.get_vocabulary()[4:]) == ["小狗奔跑", "小狗睡觉"]
    tokenizer = CaptionTokenizer.from_captions(captions, min_count=1, segmenter=cut_in_twos)
    assert tokenizer.get_vocabulary()[4:] == ["小狗", "奔跑", "睡觉"]
    assert tokenizer("小狗睡觉").tolist() == [4, 6]
    assert tokenizer.detokenize([4, 6]) == "小狗 睡觉"
    tf = pytest.importorskip("tensorflow")
    assert tokenizer.tokenize(tf.constant(captions)).to_list() == [[4, 5], [4, 6]]
    batches = tf.data.Dataset.from_tensor_slices(captions).batch(2).map(tokenizer)
    assert next(iter(batches)).to_list() == [[4, 5], [4, 6]]
    # What is saved is its name.
    assert tokenizer.get_config()["segmenter"] == "cut_in_twos"
    loaded = CaptionTokenizer.from_config(tokenizer.get_config())
    loaded.set_vocabulary(tokenizer.get_vocabulary())
    assert loaded.detokenize([4]) == "小狗"
    with pytest.raises(ValueError, match=r"segmenter=FUNCTION.*Received: segmenter='cut_in_twos'"):
        loaded("小狗")
    loaded.segmenter = lambda text: " ".join(cut_in_twos(text))
    assert loaded("小狗睡觉").tolist() == [4, 6]
    assert "segmenter" not in whole.get_config()


def test_every_letter_is_lowered_alike():
    """All of the basic plane that has an upper case, in Python and in TensorFlow."""
    tf = pytest.importorskip("tensorflow")
    letters = [chr(code) for code in range(0x2FFF) if chr(code).lower() != chr(code)]
    words = [f"x{letter}y" for letter in letters]
    lowered = [text.decode() for text in tf.strings.lower(words, encoding="utf-8").numpy()]
    differ = {w for w, low in zip(words, lowered, strict=True) if w.lower() != low}
    # A Glagolitic letter that got its lower case in Unicode 14, after TensorFlow's tables.
    assert differ <= {"x\u2c2fy"}


def test_a_turkish_environment_changes_nothing():
    pytest.importorskip("tensorflow")
    code = """
import tensorflow as tf
from keras_showattend.preprocessing import CaptionTokenizer
tokenizer = CaptionTokenizer(["<pad>", "<start>", "<end>", "<unk>", "hi", "i\u0307"])
text = "HI \u0130"
print(tokenizer.tokenize(tf.constant(text)).numpy().tolist(), tokenizer(text).tolist())
"""
    environment = {**os.environ, "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[4, 5] [4, 5]\n"


def test_one_caption_or_many(tokenizer):
    one = tokenizer("a dog")
    assert isinstance(one, np.ndarray)
    assert one.dtype == np.int32
    for many in (["a dog", ""], ("a dog", ""), np.array(["a dog", ""]), [b"a dog", b""]):
        rows = tokenizer(many)
        assert [row.tolist() for row in rows] == [one.tolist(), []]
    assert tokenizer(b"a dog").tolist() == one.tolist()
    assert tokenizer("").shape == (0,)
    assert tokenizer("").dtype == np.int32


@pytest.mark.parametrize("caption", [3, None, 2.5, ["a"]])
def test_captions_are_text(tokenizer, caption):
    with pytest.raises(TypeError, match="A caption must be a str"):
        tokenizer(["a dog", caption])


def test_a_number_is_no_caption(tokenizer):
    with pytest.raises(TypeError):
        tokenizer(3)


def test_vocabulary_order_counts_and_ties():
    captions = ["b b b c c d d e", "a A a. c"]
    tokenizer = CaptionTokenizer.from_captions(captions, min_count=2)
    # Falling counts 3, 3, 3, 2; ties by spelling; "e" is too rare.
    assert tokenizer.get_vocabulary() == [*SPECIAL_TOKENS, "a", "b", "c", "d"]
    assert tokenizer.vocabulary_size() == 8
    assert tokenizer("d e a").tolist() == [7, 3, 4]
    shuffled = CaptionTokenizer.from_captions(captions[::-1], min_count=2)
    assert shuffled.get_vocabulary() == tokenizer.get_vocabulary()
    everything = CaptionTokenizer.from_captions((text for text in captions), min_count=1)
    assert everything.get_vocabulary()[4:] == ["a", "b", "c", "d", "e"]


def test_default_min_count_is_five():
    tokenizer = CaptionTokenizer.from_captions(["five four"] * 4 + ["five"])
    assert tokenizer.get_vocabulary()[4:] == ["five"]


def test_max_size_counts_special_tokens():
    tokenizer = CaptionTokenizer.from_captions(["a a a b b c"], min_count=1, max_size=6)
    assert tokenizer.get_vocabulary() == [*SPECIAL_TOKENS, "a", "b"]


def test_special_tokens(tokenizer):
    ids = [tokenizer.pad_token_id, tokenizer.start_token_id, tokenizer.end_token_id]
    assert [*ids, tokenizer.unk_token_id] == [0, 1, 2, 3]
    assert tokenizer.id_to_token(2) == "<end>"
    assert tokenizer.token_to_id("<start>") == 1
    assert tokenizer.token_to_id("zebra") == 3
    # Written in a caption they are words, and never steer the model.
    assert not {0, 1, 2} & set(tokenizer("<start> <end> <pad>").tolist())


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (["a", "dog"], "must begin with the special tokens"),
        (["<start>", "<pad>", "<end>", "<unk>", "a"], "must begin with the special tokens"),
        (["<pad>", "<start>", "<end>"], "must begin with the special tokens"),
        ([], "must begin with the special tokens"),
        ([*SPECIAL_TOKENS, "a", "b", "a"], r"must not repeat a word. Received: \['a'\]"),
        ([*SPECIAL_TOKENS, "<pad>"], "must not repeat a word"),
    ],
)
def test_wrong_vocabularies(vocabulary, message):
    with pytest.raises(ValueError, match=message):
        CaptionTokenizer(vocabulary)


def test_nothing_left_to_learn():
    with pytest.raises(ValueError, match=r"would be empty.*min_count=5, 2 different words"):
        CaptionTokenizer.from_captions(["a dog"])


def test_without_a_vocabulary():
    tokenizer = CaptionTokenizer()
    for call in (
        lambda: tokenizer("a dog"),
        lambda: tokenizer.detokenize([1]),
        tokenizer.vocabulary_size,
        tokenizer.get_vocabulary,
        lambda: tokenizer.token_to_id("a"),
    ):
        with pytest.raises(ValueError, match="has no vocabulary"):
            call()


def test_detokenize():
    tokenizer = CaptionTokenizer([*SPECIAL_TOKENS, "a", "dog", "élan"])
    assert tokenizer.detokenize([1, 4, 5, 2, 0, 0]) == "a dog"
    assert tokenizer.detokenize([4, 3, 5]) == "a dog"
    assert tokenizer.detokenize([[4, 5], [5, 2]]) == ["a dog", "dog"]
    assert tokenizer.detokenize(np.array([[4, 5], [6, 2]]), capitalize=True) == ["A dog", "Élan"]
    assert tokenizer.detokenize(keras.ops.array([4, 5])) == "a dog"
    assert tokenizer.detokenize([]) == ""
    assert tokenizer.detokenize([1, 2, 0], capitalize=True) == ""
    assert tokenizer.detokenize(tokenizer("A DOG!")) == "a dog"


def test_assets(tokenizer, tmp_path):
    tokenizer.save_assets(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["vocabulary.txt"]
    text = (tmp_path / "vocabulary.txt").read_text(encoding="utf-8")
    assert text.startswith("<pad>\n<start>\n<end>\n<unk>\n")
    assert text.count("\n") == tokenizer.vocabulary_size()
    loaded = CaptionTokenizer()
    loaded.load_assets(str(tmp_path))
    from_path = CaptionTokenizer(tmp_path / "vocabulary.txt")
    for copy in (loaded, from_path):
        assert copy.get_vocabulary() == tokenizer.get_vocabulary()
        assert copy.pad_token_id == 0
        assert copy("a dog").tolist() == tokenizer("a dog").tolist()


def test_a_new_vocabulary_replaces_the_old_in_tensorflow_too():
    tf = pytest.importorskip("tensorflow")
    tokenizer = CaptionTokenizer([*SPECIAL_TOKENS, "a", "dog"])
    assert tokenizer.tokenize(tf.constant(["a dog"])).to_list() == [[4, 5]]
    tokenizer.set_vocabulary([*SPECIAL_TOKENS, "dog"])
    assert tokenizer.tokenize(tf.constant(["a dog"])).to_list() == [[3, 4]]
    assert tokenizer("a dog").tolist() == [3, 4]


def test_serialization(tokenizer):
    serialized = keras.saving.serialize_keras_object(tokenizer)
    assert serialized["registered_name"] == "keras_showattend>CaptionTokenizer"
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert copy.get_config() == tokenizer.get_config()
    # The vocabulary is an asset and no part of the config.
    assert copy.vocabulary is None
    copy.set_vocabulary(tokenizer.get_vocabulary())
    assert copy("a dog").tolist() == tokenizer("a dog").tolist()
