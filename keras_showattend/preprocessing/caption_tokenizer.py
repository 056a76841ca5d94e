"""Words to ids and back, with a vocabulary learned from captions."""

import collections
import os
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
import regex

from keras_showattend._typing import PathLike, Tensor
from keras_showattend.preprocessing.vocabulary import SPECIAL_TOKENS, UNKNOWN, join_words
from keras_showattend.presets.from_preset import loads_presets

VOCABULARY_FILE = "vocabulary.txt"

# Applied in order, to text in Unicode's form NFC and before lower-casing, which in TensorFlow
# ends at a NUL character. Both engines (`regex` here, RE2 in TensorFlow graphs) read these
# patterns the same way, so the two give the same words.
_NORMALIZATION = (
    ("\u2019", "'"),
    # What lower-casing gives in all languages but Turkish, whose rules TensorFlow applies
    # where the environment is Turkish.
    (r"İ", "i\u0307"),
    # Marks that are not seen: soft hyphens, word joiners, byte-order marks, and what chooses
    # between forms of an emoji.
    ("[\u00ad\u2060\ufeff\ufe00-\ufe0f]", ""),
    # Letters, their combining marks and digits make words of any language. The zero-width
    # joiner and non-joiner choose the shapes of letters in Sinhala, Bengali, Persian, ...
    ("[^\\p{L}\\p{M}\\p{N}'\\-\u200c\u200d]+", " "),
    # Hyphens, apostrophes and joiners belong to a word only between two characters of it, and
    # a mark after a character; but Malayalam ends words in a mark and a joiner.
    ("(^| )['\\-\u200c\u200d\\p{M}]+", " "),
    ("(\\p{M}\u200d|)['\\-\u200c\u200d]*( |$)", r"\1 "),
)
# Scripts that put no spaces between words.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)


def split_words(text: str) -> list[str]:
    """Returns the lower-cased words of a caption.

    Punctuation is dropped; "t-shirt" and "man's" stay whole. Words are between spaces: a
    sentence in Chinese, Japanese or Thai is one word; see `segmenter` of `CaptionTokenizer`.
    """
    text = unicodedata.normalize("NFC", text)
    for pattern, replacement in _NORMALIZATION:
        text = regex.sub(pattern, replacement, text)
    return text.lower().split()


@loads_presets
@keras.saving.register_keras_serializable(package="keras_showattend")
class CaptionTokenizer(keras_hub.tokenizers.Tokenizer):
    """Word tokenizer whose vocabulary is learned from captions.

    The order of the vocabulary is `<pad>` (id 0), `<start>` (1), `<end>` (2), `<unk>`
    (3), then words by falling frequency. It works in Python and inside `tf.data`.

    Args:
        vocabulary: list of str with the four special tokens first, or the path of a text
            file with one token a line. May be left out when assets are loaded later.
        segmenter: function from a caption to a list of its words, or to the caption with
            spaces between them, for scripts that put none (Chinese, Japanese, Thai, ...).
            What it returns is still lower-cased and freed of punctuation. A preset keeps its
            name alone: pass it to `from_preset` as well, to train; generation needs none.
        **kwargs: as for `keras_hub.tokenizers.Tokenizer`.

    Call arguments:
        inputs: str, or list or array of str: captions. `<start>` and `<end>` are not
            added; that is `ImageCaptionerPreprocessor`'s part.

    Returns:
        int32[T] for one caption, a list of int32[T] for several (a `tf.RaggedTensor`
        inside a TensorFlow graph).

    Raises:
        ValueError: if the vocabulary lacks a special token, or repeats a word.
        TypeError: if a caption is not text.

    Example:

    ```python
    tokenizer = CaptionTokenizer.from_captions(["A dog runs.", "a dog jumps"], min_count=2)
    assert tokenizer.get_vocabulary()[4:] == ["a", "dog"]
    assert tokenizer("A dog barks!").tolist() == [4, 5, 3]
    ```
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | PathLike | None = None,
        segmenter: Callable[[str], str | list[str]] | str | None = None,
        **kwargs: Any,
    ):
        kwargs.setdefault("dtype", "int32")
        super().__init__(**kwargs)
        for token, name in zip(
            SPECIAL_TOKENS, ("pad_token", "start_token", "end_token", "unk_token"), strict=True
        ):
            self._add_special_token(token, name)
        self.file_assets = [VOCABULARY_FILE]
        # A str is the name of the function that a preset was made with.
        self.segmenter = segmenter
        self.set_vocabulary(vocabulary)

    @classmethod
    def from_captions(
        cls,
        captions: Iterable[str],
        min_count: int = 5,
        max_size: int | None = None,
        **kwargs: Any,
    ) -> "CaptionTokenizer":
        """Learns the vocabulary.

        Args:
            captions: iterable of str. Training captions only, never those of the
                validation or test split.
            min_count: int. A word seen less often becomes `<unk>`. Defaults to 5.
            max_size: int or None. Most tokens kept, special ones included.
            **kwargs: of the constructor.

        Raises:
            ValueError: if no word reaches `min_count`.

        Warns:
            UserWarning: if most words are of scripts without spaces and there is no
                `segmenter`, so that each sentence counts as one word.
        """
        cut = cls(**kwargs).split
        counts = collections.Counter(word for text in captions for word in cut(text))
        unspaced = sum(count for word, count in counts.items() if _UNSPACED.search(word))
        if kwargs.get("segmenter") is None and 2 * unspaced > counts.total():
            warnings.warn(
                "Most captions are in a script that puts no spaces between words, so that each "
                "sentence counts as one word. Pass `segmenter=`, a function that cuts a caption "
                f"into words. Received: {next(filter(_UNSPACED.search, counts))!r} as a word",
                UserWarning,
                stacklevel=2,
            )
        words = [word for word, count in counts.items() if count >= min_count]
        if not words:
            raise ValueError(
                "The vocabulary would be empty: no word is seen `min_count` times. Give more "
                f"captions or a lower `min_count`. Received: min_count={min_count}, "
                f"{len(counts)} different words"
            )
        # By spelling where counts tie, so that the same captions give the same ids.
        words.sort(key=lambda word: (-counts[word], word))
        vocabulary = [*SPECIAL_TOKENS, *words]
        return cls(vocabulary[:max_size], **kwargs)

    def split(self, text: str) -> list[str]:
        """Returns the words of a caption, cut by the `segmenter` if there is one.

        Raises:
            ValueError: if the preset's `segmenter` was not passed to `from_preset`.
        """
        return split_words(self._segment(text))

    def _segment(self, text: str) -> str:
        if self.segmenter is None:
            return text
        if isinstance(self.segmenter, str):
            raise ValueError(
                "A preset keeps the name of its `segmenter` and not the function: pass it, "
                "`CaptionTokenizer.from_preset(..., segmenter=FUNCTION)` or "
                f"`tokenizer.segmenter = FUNCTION`. Received: segmenter={self.segmenter!r}"
            )
        words = self.segmenter(text)
        return words if isinstance(words, str) else " ".join(words)

    @property
    def forbidden_token_ids(self) -> tuple[int, ...]:
        """Ids of tokens that no generated caption holds."""
        return (self.pad_token_id, self.start_token_id, self.unk_token_id)

    def set_vocabulary(self, vocabulary: Sequence[str] | PathLike | None) -> None:
        """Sets the vocabulary: list of str, path of a text file, or None."""
        self._tf_table: Any = None
        if vocabulary is None:
            self.vocabulary, self._ids = None, {}
            return
        if isinstance(vocabulary, str | os.PathLike):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = file.read().splitlines()
        vocabulary = list(vocabulary)
        if tuple(vocabulary[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
            raise ValueError(
                f"A vocabulary must begin with the special tokens {SPECIAL_TOKENS}. Put them "
                "first, or learn one with `CaptionTokenizer.from_captions`. "
                f"Received: {vocabulary[:6]}..."
            )
        self._ids = {token: index for index, token in enumerate(vocabulary)}
        if len(self._ids) != len(vocabulary):
            repeated = [t for t, n in collections.Counter(vocabulary).items() if n > 1]
            raise ValueError(
                f"A vocabulary must not repeat a word. Received: {repeated[:5]} more than once"
            )
        # Captions are looked up in NFC, and older vocabularies may hold another form.
        for token, index in list(self._ids.items()):
            self._ids.setdefault(unicodedata.normalize("NFC", token), index)
        self.vocabulary = vocabulary
        self._update_special_token_ids()

    def _check_vocabulary(self) -> None:
        if self.vocabulary is None:
            raise ValueError(
                "The tokenizer has no vocabulary. Learn one with "
                "`CaptionTokenizer.from_captions(captions)`, or load a preset. "
                "Received: vocabulary=None"
            )

    def get_vocabulary(self) -> list[str]:
        """Returns all tokens, by id."""
        self._check_vocabulary()
        return self.vocabulary or []

    def vocabulary_size(self) -> int:
        """Returns the number of tokens, special ones included."""
        return len(self.get_vocabulary())

    def id_to_token(self, id: int) -> str:
        """Returns the token of an id."""
        return self.get_vocabulary()[id]

    def token_to_id(self, token: str) -> int:
        """Returns the id of a token; that of `<unk>` for an unknown word."""
        self._check_vocabulary()
        return self._ids.get(token, self._ids[UNKNOWN])

    def tokenize(self, inputs: Any) -> Any:
        """Turns words into ids; see the class docstring."""
        self._check_vocabulary()
        if type(inputs).__module__.startswith("tensorflow"):
            return self._tokenize_tensor(inputs)
        if isinstance(inputs, str | bytes):
            return self._tokenize_text(inputs)
        return [self._tokenize_text(text) for text in inputs]

    def _tokenize_text(self, text: str | bytes) -> np.ndarray:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        if not isinstance(text, str):
            raise TypeError(f"A caption must be a str. Received: {text!r} ({type(text).__name__})")
        unknown = self._ids[UNKNOWN]
        ids = [self._ids.get(word, unknown) for word in self.split(text)]
        return np.array(ids, dtype="int32")

    def _tokenize_tensor(self, inputs: Tensor) -> Tensor:
        import tensorflow as tf

        text = tf.convert_to_tensor(inputs)
        if self.segmenter is not None:
            text = _map_in_python(self._segment, text)
        text = _compose(text)
        for pattern, replacement in _NORMALIZATION:
            text = tf.strings.regex_replace(text, pattern, replacement)
        # A to Z on their own first, again for Turkish.
        text = tf.strings.lower(tf.strings.lower(text), encoding="utf-8")
        words = tf.strings.split(text)
        if self._tf_table is None:
            # Lifted out of the graph under construction, which may be thrown away.
            with tf.init_scope():
                self._tf_table = tf.lookup.StaticHashTable(
                    tf.lookup.KeyValueTensorInitializer(
                        list(self._ids), tf.constant(list(self._ids.values()), "int32")
                    ),
                    default_value=self._ids[UNKNOWN],
                )
        if isinstance(words, tf.RaggedTensor):
            return tf.ragged.map_flat_values(self._tf_table.lookup, words)
        return self._tf_table.lookup(words)

    def detokenize(self, inputs: Any, capitalize: bool = False) -> Any:
        """Turns ids into text; special tokens are never shown.

        Args:
            inputs: int[T] or int[B, T], or lists of those.
            capitalize: bool. Whether the first letter is made upper-case.

        Returns:
            str for one row of ids, a list of str for several.
        """
        if len(inputs) and np.ndim(inputs[0]) != 0:
            return [self.detokenize(row, capitalize) for row in inputs]
        return join_words(inputs, self.get_vocabulary(), capitalize)

    def call(self, inputs: Any, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        """Turns words into ids; see the class docstring."""
        return self.tokenize(inputs, *args, **kwargs)

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary into a folder, one token a line."""
        with open(os.path.join(dir_path, VOCABULARY_FILE), "w", encoding="utf-8") as file:
            file.writelines(f"{token}\n" for token in self.get_vocabulary())

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabulary from a folder."""
        self.set_vocabulary(os.path.join(dir_path, VOCABULARY_FILE))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that rebuild the layer; the vocabulary travels as an asset."""
        config = {**super().get_config(), "vocabulary": None}
        if self.segmenter is not None:
            config["segmenter"] = getattr(self.segmenter, "__qualname__", str(self.segmenter))
        return config


def _compose(text: Tensor) -> Tensor:
    """Brings a TensorFlow string tensor to Unicode's form NFC."""
    try:
        import tensorflow_text
    except ImportError:
        # It has no wheels for Windows.
        return _map_in_python(lambda value: unicodedata.normalize("NFC", value), text)
    return tensorflow_text.normalize_utf8(text, "NFC")


def _map_in_python(function: Callable[[str], str], text: Tensor) -> Tensor:
    """Applies a Python function to each element of a TensorFlow string tensor."""
    import tensorflow as tf

    def apply(values: np.ndarray) -> np.ndarray:
        mapped = [function(value.decode("utf-8")).encode() for value in np.ravel(values)]
        return np.array(mapped, dtype=object).reshape(np.shape(values))

    result = tf.numpy_function(apply, [text], tf.string)
    result.set_shape(text.shape)
    return result


def require_same_vocabulary(tokenizer: CaptionTokenizer, other: CaptionTokenizer) -> None:
    """Checks that two tokenizers give the same ids to the same tokens.

    Raises:
        ValueError: if they do not; names the first id that differs.
    """
    tokens, others = tokenizer.get_vocabulary(), other.get_vocabulary()
    if tokens == others:
        return
    pairs = zip(tokens, others, strict=False)
    shorter = min(len(tokens), len(others))
    first = next((i for i, (one, two) in enumerate(pairs) if one != two), shorter)
    raise ValueError(
        "Captioners must have the same vocabulary, token by token, to be used together. Train "
        "them with one `CaptionTokenizer`. Received: vocabularies of "
        f"{len(tokens)} and {len(others)} tokens, which differ first at id {first}: "
        f"{tokens[first : first + 1]} and {others[first : first + 1]}"
    )
