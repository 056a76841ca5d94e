"""What an exported captioner says of itself: the words, and how to read its numbers."""

import dataclasses
from typing import Any

import keras_showattend
from keras_showattend.export.layout import FORMAT_VERSION
from keras_showattend.search.options import SearchOptions


def captioner_metadata(
    captioner: Any, options: SearchOptions, quantization: str | None
) -> dict[str, Any]:
    """Returns the metadata of an exported captioner, which JSON can hold.

    Args:
        captioner: an `ImageCaptioner` with its preprocessor.
        options: `SearchOptions` with a number of beams.
        quantization: see `ImageCaptioner.export`.

    Returns:
        Dict of `format_version`, `package_version`, `license` (expression of SPDX
        identifiers or None), `credits` (list of str), `language`, `vocabulary` (list of str
        by id), `special_tokens` (dict from `pad`, `start`, `end`, `unknown` to ids), `grid`
        (rows and columns of the attention maps), `image_size` (height and width that images
        are resized to), `crop_to_aspect_ratio`, `search` (dict of `num_beams`,
        `max_length`, `length_penalty` and `no_repeat_ngram_size`), `quantization` and
        `calibration` (dict of `slope` and `intercept`, see `Calibration`, or None).
    """
    tokenizer = captioner.preprocessor.tokenizer
    converter = captioner.preprocessor.image_converter
    origin, calibration = captioner.provenance, captioner.calibration
    search = dataclasses.asdict(options)
    del search["cautious"]
    return {
        "format_version": FORMAT_VERSION,
        "package_version": keras_showattend.__version__,
        "license": None if origin is None else origin.license_expression,
        "credits": [] if origin is None else [credit.text for credit in origin.credits],
        "language": None if origin is None else origin.language,
        "vocabulary": tokenizer.get_vocabulary(),
        "special_tokens": {
            "pad": tokenizer.pad_token_id,
            "start": tokenizer.start_token_id,
            "end": tokenizer.end_token_id,
            "unknown": tokenizer.unk_token_id,
        },
        "grid": list(captioner.backbone.grid_shape),
        "image_size": list(converter.image_size),
        "crop_to_aspect_ratio": converter.crop_to_aspect_ratio,
        "search": search,
        "quantization": quantization,
        "calibration": None
        if calibration is None
        else {"slope": calibration.slope, "intercept": calibration.intercept},
    }
