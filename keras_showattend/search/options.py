"""How captions are searched for: the settings of `generate`, with their defaults."""

import dataclasses

import keras_hub


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """Settings of one search; what they mean is told by `ImageCaptioner.generate`.

    Attributes:
        max_length: int. Most words.
        num_beams: int, or None for what `compile(sampler=)` says.
        length_penalty: float, see `beam_search`.
        no_repeat_ngram_size: int, see `beam_search`.

    Raises:
        ValueError: for a number of beams or words below 1, or a size below 0.
    """

    max_length: int
    num_beams: int | None = None
    length_penalty: float = 0.9
    no_repeat_ngram_size: int = 2

    def __post_init__(self):
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
        object.__setattr__(self, "length_penalty", float(self.length_penalty))

    def resolve(self, sampler):
        """What `num_beams=None` stands for.

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
