"""`Explanation`: what a captioner said of one image, where it looked, how sure it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_showattend._typing import PathLike
from keras_showattend.search import CaptionHypothesis
from keras_showattend.search.assessment import shaky_words


@dataclass(frozen=True, eq=False)
class Explanation:
    """One caption taken apart; made by `keras_showattend.explain.explain`.

    T is the number of words. A caption without words has T = 0.

    Attributes:
        image: uint8[H, W, 3]. The image, RGB, upright; large ones are made smaller.
        window: `(left, top, right, bottom)`, int, in pixels of `image`: the part that the
            encoder saw, over which the attention grid lies. The whole image, unless
            the image converter crops.
        caption: str. What `ImageCaptioner.generate` gives with the same settings.
        words: list of T str, as the decoder knows them: lower case.
        log_probabilities: float32[T]. Natural logarithm of each word's probability, given
            the image and the words before it.
        entropies: float32[T]. Entropy of the decoder's choice at each word, in nats: 0 is
            certain, `log(V)` a blind guess among the V tokens.
        attention_weights: float32[T, rows, columns]. Where the decoder looked when it
            chose each word, on the encoder's grid; each word's weights sum to 1.
        end_log_probability: float, nats, of ending the caption after the last word; None
            for a caption that was cut at its greatest length.
        alternatives: list of `CaptionHypothesis`, best first: the beams of the search, the
            caption itself at the head. Holds one for a caption you gave.
        confidence: float in 0..1, or None where the captioner carries no calibration; see
            `keras_showattend.explain.Calibration`.
        word_confidences: tuple of T: the probability that the word is right for the image,
            float in 0..1, or None for words such as "a"; empty without a calibration.
        unfamiliar: bool. Whether the image is unlike those on which the confidence was
            measured; None where that is not known.
    """

    image: np.ndarray
    window: tuple[int, int, int, int]
    caption: str
    words: list[str]
    log_probabilities: np.ndarray
    entropies: np.ndarray
    attention_weights: np.ndarray
    end_log_probability: float | None = None
    alternatives: list[CaptionHypothesis] = field(default_factory=list)
    confidence: float | None = None
    word_confidences: tuple[float | None, ...] = ()
    unfamiliar: bool | None = None

    @property
    def shaky_words(self) -> tuple[str, ...]:
        """The words that are more probably wrong than right, in their order."""
        return shaky_words(self.words, self.word_confidences)

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the whole caption's probability: words and end."""
        return float(self.log_probabilities.sum()) + (self.end_log_probability or 0.0)

    @property
    def probabilities(self) -> np.ndarray:
        """float32[T]. Probability of each word, 0 to 1."""
        return np.exp(self.log_probabilities)

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the attention grid."""
        return self.attention_weights.shape[1], self.attention_weights.shape[2]

    def overlay(self, index: int, style: str = "smooth") -> np.ndarray:
        """Shows on the image where one word looked.

        Args:
            index: int. Position of the word in `words`.
            style: `"smooth"` or `"grid"`, the true cells, in colours from none (the bare image)
                to yellow (the word's greatest weight); or `"spotlight"`, bright where the word
                looked and dark where it did not.

        Returns:
            uint8[H, W, 3].

        Raises:
            ValueError: for an unknown style.
        """
        from keras_showattend.explain.overlay import overlay

        return overlay(self.image, self.attention_weights[index], self.window, style)

    def plot(self, style: str = "smooth", columns: int = 4, content_words: bool = False) -> Any:
        """Draws the image and one panel per word, with matplotlib.

        Args:
            style: see `overlay`.
            columns: int. Panels in a row. Defaults to 4.
            content_words: bool. Whether to leave out words such as "a" and "on", which name
                nothing to be seen. Knows English only.

        Returns:
            `matplotlib.figure.Figure`, which a notebook draws when it stands last in a cell;
            save it with `savefig`. It does not belong to pyplot, so `plt.show()` is not needed.

        Raises:
            ModuleNotFoundError: if matplotlib is not installed; tells the pip line.
            ValueError: for an unknown style, or `columns` below 1.
        """
        from keras_showattend.explain.plot import plot

        return plot(self, style, columns, content_words)

    def save_gif(
        self,
        path: PathLike,
        style: str = "smooth",
        seconds_per_word: float = 0.8,
        content_words: bool = False,
    ) -> None:
        """Writes an animation that goes through the caption word by word.

        Args:
            path: path of the GIF file; it ends in `.gif` and its folder exists.
            style: see `overlay`.
            seconds_per_word: float, seconds. Defaults to 0.8.
            content_words: see `plot`.

        Raises:
            ValueError: for another ending, an unknown style, or `seconds_per_word` not above 0.
        """
        from keras_showattend.explain.animation import save_gif

        save_gif(self, path, style, seconds_per_word, content_words)

    def to_html(self, content_words: bool = False) -> str:
        """Returns a complete page that needs no other file, network or JavaScript.

        Args:
            content_words: see `plot`.
        """
        from keras_showattend.explain.html import page

        return page(self, content_words)

    def _repr_html_(self) -> str:
        from keras_showattend.explain.html import fragment

        return fragment(self)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything but the image, in types that `json.dumps` takes."""
        return {
            "caption": self.caption,
            "confidence": self.confidence,
            "unfamiliar": self.unfamiliar,
            "shaky_words": list(self.shaky_words),
            "log_probability": self.log_probability,
            "words": [
                {
                    "word": word,
                    "confidence": sure,
                    "log_probability": float(log_probability),
                    "entropy": float(entropy),
                    "attention_weights": [[float(cell) for cell in row] for row in weights],
                }
                for word, sure, log_probability, entropy, weights in zip(
                    self.words,
                    self.word_confidences or (None,) * len(self.words),
                    self.log_probabilities,
                    self.entropies,
                    self.attention_weights,
                    strict=True,
                )
            ],
            "end_log_probability": self.end_log_probability,
            "alternatives": [
                {
                    "text": hypothesis.text,
                    "log_probability": hypothesis.log_probability,
                    "score": hypothesis.score,
                    "num_tokens": hypothesis.num_tokens,
                    "complete": hypothesis.complete,
                }
                for hypothesis in self.alternatives
            ],
            "window": list(self.window),
            "image_size": list(self.image.shape[:2]),
        }

    def __repr__(self) -> str:
        rows, columns = self.grid_shape
        return (
            f"Explanation({self.caption!r}, log_probability={self.log_probability:.2f}, "
            f"confidence={self.confidence}, grid={rows}x{columns})"
        )
