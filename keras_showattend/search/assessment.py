"""How far a caption and its words can be trusted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

# A content word with less confidence is more probably wrong than right.
SHAKY = 0.5


class CaptionAssessment(NamedTuple):
    """What a calibration says of one caption of T words.

    Attributes:
        confidence: float, 0..1, of the caption; see `keras_showattend.explain.Calibration`.
        word_confidences: tuple of T: the probability that the word is right for the image,
            float in 0..1; None for words such as "a" and "on", which name nothing to be seen,
            and for all words where the calibration knows nothing of words.
        unfamiliar: bool. Whether the image is unlike those on which the confidence was
            measured, so that it may not hold. None where the calibration does not know them.
    """

    confidence: float
    word_confidences: tuple[float | None, ...]
    unfamiliar: bool | None = None


class Assessor(Protocol):
    """What a search needs to know of a `keras_showattend.explain.Calibration`."""

    @property
    def knows_words(self) -> bool:
        """Whether `assess` tells how probably a word is right."""
        ...

    def assess(
        self,
        words: Sequence[str],
        beams: Sequence[Sequence[str]],
        reading: Mapping[str, np.ndarray],
    ) -> CaptionAssessment:
        """Judges one caption.

        Args:
            words: list of T str.
            beams: the words of all captions that the search found for the image.
            reading: dict of arrays; see `CaptionReader`, without the axis of the batch. The
                rows after the first T are those of the end token, if the caption has one, and
                of padding.
        """
        ...

    def rewordings(
        self, words: Sequence[str], word_confidences: Sequence[float | None], least: float
    ) -> Sequence[tuple[tuple[str, ...], tuple[float | None, ...]]]:
        """Says a caption in other ways, with fewer words below a confidence.

        Args:
            words: list of T str.
            word_confidences: list of T, as `assess` gives them.
            least: float, 0..1.

        Returns:
            List of captions, each its words and their confidences; the caption itself is one.
        """
        ...


def shaky_words(words: Sequence[str], word_confidences: Sequence[float | None]) -> tuple[str, ...]:
    """Returns the words whose confidence is below `SHAKY`, in their order."""
    # A caption that was not assessed has no confidences.
    pairs = zip(words, word_confidences, strict=False)
    return tuple(word for word, sure in pairs if sure is not None and sure < SHAKY)
