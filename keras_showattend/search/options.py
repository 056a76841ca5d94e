"""The settings of a search, with the defaults of `generate`."""

import dataclasses
import math
import numbers
from typing import Any

import keras_hub


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """Settings of one search; `ImageCaptioner.generate` explains them.

    Attributes:
        max_length: int. Most words.
        num_beams: int, or None for what `compile(sampler=)` says.
        length_penalty: float, see `beam_search`.
        no_repeat_ngram_size: int, see `beam_search`.
        cautious: float in 0..1, the least confidence of a word, or None to take words as
            they come.

    Raises:
        ValueError: for a number of beams or words below 1, a size below 0, a length
            penalty that is not a finite number, or a confidence outside 0..1.
    """

    max_length: int
    num_beams: int | None = None
    length_penalty: float = 0.9
    no_repeat_ngram_size: int = 2
    cautious: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_length", "num_beams"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"`{name}` must be a positive int. Received: {name}={value!r}")
        size = self.no_repeat_ngram_size
        if not isinstance(size, int) or size < 0:
            raise ValueError(
                "`no_repeat_ngram_size` must be a positive int, or 0 to let captions repeat "
                f"themselves. Received: no_repeat_ngram_size={size!r}"
            )
        penalty = self.length_penalty
        if not isinstance(penalty, numbers.Real) or not math.isfinite(penalty):
            raise ValueError(
                "`length_penalty` must be a finite number; 0 ranks by log-probability. "
                f"Received: length_penalty={penalty!r}"
            )
        object.__setattr__(self, "length_penalty", float(penalty))
        cautious = self.cautious
        if cautious is not None:
            if not isinstance(cautious, numbers.Real) or not 0 <= cautious <= 1:
                raise ValueError(
                    "`cautious` is the least confidence of a word, between 0 and 1, or None. "
                    f"Received: cautious={cautious!r}"
                )
            object.__setattr__(self, "cautious", float(cautious))

    def check_assessor(self, assessor: Any) -> None:
        """Raises a `ValueError` if words are to be judged and there is nothing that can."""
        if self.cautious is not None and not getattr(assessor, "knows_words", False):
            raise ValueError(
                "`cautious` needs a captioner whose words are calibrated: run "
                "`keras-showattend evaluate --calibrate` with captioned images, or leave it out. "
                f"Received: cautious={self.cautious!r} with "
                + ("no calibration" if assessor is None else "a calibration of captions alone")
            )

    def resolve(self, sampler: Any) -> "tuple[SearchOptions, Any]":
        """Returns what `num_beams=None` stands for.

        Args:
            sampler: the `keras_hub.samplers.Sampler` of `compile`.

        Returns:
            Tuple of `SearchOptions` with a number of beams and None, or, where captions are
            drawn, of the options as they are and the sampler.
        """
        if self.num_beams is not None:
            return self, None
        if isinstance(sampler, keras_hub.samplers.BeamSampler):
            return dataclasses.replace(self, num_beams=sampler.num_beams), None
        if isinstance(sampler, keras_hub.samplers.GreedySampler):
            return dataclasses.replace(self, num_beams=1), None
        return self, sampler
