"""One image captioned by several searches, side by side."""

from __future__ import annotations

from typing import Any

import keras_hub

from keras_showattend.search.generation import Generation
from keras_showattend.search.hypothesis import CaptionHypothesis


def compare_searches(
    captioner: Any,
    image: Any,
    *,
    num_beams: int = 5,
    num_samples: int = 3,
    top_p: float = 0.9,
    seed: int | None = 0,
    **options: Any,
) -> dict[str, list[CaptionHypothesis]]:
    """Captions one image by greedy search, beam search and sampling.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`. Its own sampler is left alone.
        image: one image, as `ImageCaptioner.generate` takes it.
        num_beams: int, beams of the beam search. Defaults to 5.
        num_samples: int, captions drawn. Defaults to 3.
        top_p: float. Words are drawn from the most probable ones that together reach this
            probability (Holtzman et al. 2020). Defaults to 0.9.
        seed: int of the drawing, or None for other captions at every call. Defaults to 0.
        **options: `max_length`, `length_penalty`, `no_repeat_ngram_size` and `capitalize` of
            `ImageCaptioner.generate`.

    Returns:
        Dict of `"greedy"`, `"beam"` and `"sampled"`, each a list of `CaptionHypothesis`: one,
        the beams from the best on, and the drawn captions as they came.

    Raises:
        ImageError: if the image cannot be read.
        ValueError: for a number of beams or samples below 1.

    Example:
        for search, captions in compare_searches(captioner, "photo.jpg").items():
            print(search, captions[0].text)
    """
    if num_samples < 1:
        raise ValueError(
            f"`num_samples` must be a positive int. Received: num_samples={num_samples!r}"
        )
    generate = captioner.generate
    sampler = keras_hub.samplers.TopPSampler(p=top_p, seed=seed)
    drawing = Generation(captioner.backbone, captioner.preprocessor, sampler)
    drawn = drawing.generate([image] * num_samples, return_all_beams=True, **options)
    return {
        "greedy": generate(image, num_beams=1, return_all_beams=True, **options),
        "beam": generate(image, num_beams=num_beams, return_all_beams=True, **options),
        "sampled": [captions[0] for captions in drawn],
    }
