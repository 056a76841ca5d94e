"""The calibration of a captioner's confidence, from images that people captioned."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import Any

from keras_showattend.data import CaptionDataset
from keras_showattend.evaluation.checks import reference_counts
from keras_showattend.evaluation.protocol import decoder_settings, model_digest
from keras_showattend.explain.calibration import Calibration
from keras_showattend.explain.evidence import Recorder
from keras_showattend.explain.fitting import fit_calibration
from keras_showattend.metrics import printed_score
from keras_showattend.metrics.tokenizer import Segmenter
from keras_showattend.search import caption_dataset


def calibrate(
    captioner: Any,
    dataset: CaptionDataset | Mapping[str, Any],
    *,
    split: str | None = None,
    feature_cache: str | None = "auto",
    batch_size: int = 50,
    seed: int = 0,
    segment: Segmenter | None = None,
    **search_options: Any,
) -> Calibration:
    """Captions images and fits the confidence of captions and words.

    Words are judged by WordNet where it is installed (the extra `wordnet`), and otherwise word
    for word. They are calibrated from 100 images on.

    Args:
        captioner: an `ImageCaptioner`; a `CaptionerEnsemble` has no confidence.
        dataset: a `CaptionDataset`, or a dict of `images` and `captions`; all can be read.
        split: str. Split to use, on which nothing was trained; None takes the whole dataset.
        feature_cache, batch_size: as for `evaluate_captions`.
        seed: int, of the folds of the cross-validation.
        segment: see `keras_showattend.metrics.score_captions`.
        **search_options: of `ImageCaptioner.generate`. The confidence holds for these.

    Returns:
        `Calibration`. Set it as `captioner.calibration`, and keep it with
        `calibration.save(preset_folder)`.

    Raises:
        DatasetError: for a split that is not there.
        ImageError: if an image cannot be read.
        ValueError: if fewer than 10 images have 2 references or more, or for `cautious`: what it
            rewords is not what was measured.
    """
    if search_options.get("cautious") is not None:
        raise ValueError(
            "A calibration measures captions as they are found: leave out `cautious`. "
            f"Received: cautious={search_options['cautious']!r}"
        )
    if not isinstance(dataset, CaptionDataset):
        dataset = CaptionDataset.from_dict(dataset)
    if split is not None:
        dataset = dataset.split(split)
    recorder = Recorder()
    recording = types.SimpleNamespace(
        generate=functools.partial(captioner.generation.generate, assessor=recorder),
        cached_features=captioner.cached_features,
    )
    found = caption_dataset(
        recording,
        dataset,
        feature_cache=feature_cache,
        batch_size=batch_size,
        return_all_beams=True,
        **search_options,
    )
    evidence = dict(zip(found, recorder.evidence, strict=True))
    references = {item.id: list(item.captions) for item in dataset}
    tokenizer = captioner.preprocessor.tokenizer
    special = {*tokenizer.forbidden_token_ids, tokenizer.end_token_id}
    return fit_calibration(
        {key: one.mean_log_probability for key, one in evidence.items()},
        {key: beams[0].text for key, beams in found.items()},
        references,
        seed=seed,
        segment=segment,
        settings={
            # The digest and not the name, which may be a path on one machine.
            "preset_digest": model_digest(captioner),
            "split": split,
            "num_references": reference_counts(references),
            "decoder": decoder_settings(captioner, captioner.search_options(**search_options)),
        },
        evidence=evidence,
        vocabulary=[
            word
            for token_id, word in enumerate(tokenizer.get_vocabulary())
            if token_id not in special
        ],
    )


def format_calibration(calibration: Calibration) -> str:
    """Returns the figures of a calibration, by cross-validation, as text for a terminal."""
    lines = [
        f"confidence by cross-validation over {calibration.num_images} images: expected "
        f"calibration error {calibration.expected_calibration_error:.3f}, Brier score "
        f"{calibration.brier_score:.4f} (base rate: {calibration.brier_base_rate:.4f})"
    ]
    if calibration.coverage is not None:
        lines += [
            f"surest {row['coverage']:4.0%}: CIDEr {printed_score(row['cider']):>6}, "
            f"{row['cider_ratio']:.2f} times that of all; {row['outcome']:.0%} keep up with people"
            for row in calibration.coverage["surest"]
        ]
        area = calibration.coverage["area"]
        lines.append(
            f"area under the risk-coverage curve {area['confidence']:.3f} "
            f"(random order {area['random']:.3f}, oracle {area['oracle']:.3f})"
        )
    words = calibration.word_figures
    if words is None:
        lines.append("words are not calibrated: that takes 100 images")
    else:
        lines.append(
            f"{words['num_words']} words, {words['base_rate']:.1%} right: expected calibration "
            f"error {words['expected_calibration_error']:.3f}, Brier score "
            f"{words['brier_score']:.4f} (base rate: {words['brier_base_rate']:.4f})"
        )
    return "\n".join(lines)
