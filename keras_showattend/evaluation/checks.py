"""Checks against self-deception, and their warnings in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from keras_showattend.data import CaptionDataset
from keras_showattend.metrics import metric_is_defined, metric_label, printed_score
from keras_showattend.preprocessing.images import ImageError, image_digest

USUAL_REFERENCES = 5
# Thresholds of the warnings. None is a law: each is a share at which a person should look.
FEW_DISTINCT = 0.3
ONE_CAPTION = 0.1
MANY_COPIES = 0.5
LENGTH_DIFFERENCE = 0.2
CUT_SHARE = 0.01
UNFINISHED_SHARE = 0.01
STUTTER_SHARE = 0.02
FEW_IMAGES = 100


def shared_images(dataset: CaptionDataset, evaluated: CaptionDataset) -> dict[str, Any]:
    """Finds images of the evaluated split that other splits hold too, by their content.

    Args:
        dataset: all splits.
        evaluated: one of them.

    Returns:
        Dict of `other_splits`, dict of split name to the number of its images compared, and
        `shared`, list of `[evaluated id, other split, other id]`.
    """
    own = set(evaluated.ids)
    digests: dict[str, str] = {}
    for item in evaluated:
        digests.setdefault(image_digest(item.image), item.id)
    others, shared = {}, []
    for name, split in dataset.splits.items():
        if own.isdisjoint(split.ids):
            others[name] = len(split)
            for item in split:
                try:
                    key = digests.get(image_digest(item.image))
                except ImageError:
                    # It is none of the evaluated ones, which could all be read.
                    continue
                if key is not None:
                    shared.append([key, name, item.id])
    return {"other_splits": others, "shared": shared}


def reference_counts(references: Mapping[Hashable, Sequence[str]]) -> dict[str, int]:
    """Returns how many images have how many references: `{"5": 1000}`."""
    counts = Counter(len(texts) for texts in references.values())
    return {str(number): counts[number] for number in sorted(counts)}


def unreadable_images(named: CaptionDataset, evaluated: CaptionDataset) -> list[str]:
    """Returns a warning of the images that were to be evaluated and could not be read, if any."""
    kept = set(evaluated.ids)
    missing = [key for key in named.ids if key not in kept]
    if not missing:
        return []
    return [
        f"{len(missing)} of {len(named)} images cannot be read and are not part of the scores "
        f"(such as '{missing[0]}')."
    ]


def warnings_in_words(evaluation: Mapping[str, Any]) -> list[str]:
    """Returns what a reader of the scores has to know, one sentence each.

    Args:
        evaluation: the dict that `evaluate_captions` makes.
    """
    protocol, checks = evaluation["protocol"], evaluation["checks"]
    found = [*_data_warnings(protocol, checks), *_caption_warnings(checks, protocol)]
    baseline = checks["constant_caption"]
    low = evaluation["intervals"].get("cider", {}).get("low")
    if low is not None and protocol["num_images"] > 1 and low <= baseline["scores"]["cider"]:
        found.append(
            "CIDEr is not clearly above that of one and the same sentence for every image "
            f'("{baseline["caption"]}": {printed_score(baseline["scores"]["cider"])}; the lower '
            f"end of the model's interval is {printed_score(low)}). The model may not look at the "
            "images."
        )
    missing = protocol["metrics_left_out"]
    if missing:
        names = ", ".join(metric_label(name) for name in missing)
        found.append(f"Not computed, for want of their data or program: {names}.")
    return found


def _data_warnings(protocol: Mapping[str, Any], checks: Mapping[str, Any]) -> list[str]:
    found = []
    number = protocol["num_images"]
    unreadable = protocol["unreadable_images"]
    if unreadable:
        found.append(
            f"{len(unreadable)} images could not be read and are left out: "
            f"{', '.join(unreadable[:3])}{', ...' if len(unreadable) > 3 else ''}."
        )
    if not metric_is_defined("cider", number):
        found.append(
            "One image only: CIDEr is 0 by definition, since its word weights compare images."
        )
    elif number < FEW_IMAGES:
        found.append(f"Only {number} images: the intervals are wide, and CIDEr's weights rough.")
    few = {int(n): count for n, count in protocol["num_references"].items()}
    lacking = sum(count for n, count in few.items() if n < USUAL_REFERENCES)
    if lacking:
        found.append(
            f"{lacking} of {number} images have fewer than {USUAL_REFERENCES} references. Scores "
            "fall with fewer references: do not compare them with published ones."
        )
    if protocol["split"] == "train":
        found.append("These are training images: the scores say nothing about new images.")
    elif protocol["split"] is None and checks["shared_images"] is None:
        found.append("No split was named: the images may be among those of the training.")
    shared = (checks["shared_images"] or {}).get("shared") or []
    if shared:
        splits = Counter(split for _, split, _ in shared)
        places = ", ".join(f"{count} with '{split}'" for split, count in splits.items())
        found.append(
            f"Images shared with other splits, by content: {places} "
            f"(such as '{shared[0][0]}'). What was trained on them scores too high."
        )
    return found


def _caption_warnings(checks: Mapping[str, Any], protocol: Mapping[str, Any]) -> list[str]:
    found = []
    number = protocol["num_images"]
    diversity = checks["diversity"]
    if number > 1 and diversity["distinct_captions"] < FEW_DISTINCT:
        found.append(
            f"Only {diversity['distinct_captions']:.0%} of the captions differ from one another."
        )
    caption, count = diversity["most_common"][0]
    if count > 2 and count / number > ONE_CAPTION:
        found.append(f'{count / number:.0%} of the images got the same caption: "{caption}".')
    copied = diversity["copied_captions"]
    if copied is not None and copied > MANY_COPIES:
        found.append(f"{copied:.0%} of the captions are training captions, word for word.")
    if diversity["empty_captions"]:
        found.append(f"{diversity['empty_captions']:.1%} of the captions have no word.")
    if diversity["unfinished_captions"] > UNFINISHED_SHARE:
        found.append(
            f"{diversity['unfinished_captions']:.1%} of the captions end in a word such as 'a' or "
            "'with' that wants another one behind it."
        )
    if diversity["stuttering_captions"] > STUTTER_SHARE:
        found.append(
            f"{diversity['stuttering_captions']:.1%} of the captions say a word twice in a row."
        )
    ratio = diversity["mean_length"] / max(diversity["mean_reference_length"], 1e-9)
    if abs(ratio - 1) > LENGTH_DIFFERENCE:
        found.append(
            f"Captions have {diversity['mean_length']:.1f} words on average, the references "
            f"{diversity['mean_reference_length']:.1f}. BLEU penalizes short ones; the "
            "length penalty of the search changes that."
        )
    if checks["cut_captions"] > CUT_SHARE:
        found.append(
            f"{checks['cut_captions']:.1%} of the captions were cut at "
            f"{protocol['decoder']['max_length']} words without an end: raise `max_length`."
        )
    return found
