"""Checks of what users hand to the metrics, and the errors that tell them what to change."""

from collections.abc import Hashable, Mapping, Sequence


class MetricUnavailableError(RuntimeError):
    """A metric needs a program or data file that this machine does not have.

    The message names what is missing and how to get it.
    """


def check_captions(
    captions: Mapping[Hashable, str], references: Mapping[Hashable, Sequence[str]]
) -> list[Hashable]:
    """Checks a pair of caption and reference dictionaries.

    Args:
        captions: dict of image id to one caption, a str; an empty str is allowed and scores 0.
        references: dict of image id to a list of at least one reference caption.

    Returns:
        list of the image ids, in the order of `captions`.

    Raises:
        TypeError: if a mapping, a caption or a list of references has the wrong type.
        ValueError: if there are no images, the ids differ, or an image has no references.
    """
    for name, value in (("captions", captions), ("references", references)):
        if not isinstance(value, Mapping):
            raise TypeError(
                f"`{name}` must be a dict keyed by image id. Build one, such as "
                f"{{'photo.jpg': {'...' if name == 'captions' else ['...']!r}}}. "
                f"Received: {type(value).__name__}"
            )
    check_same_ids(captions, references)
    for image_id, caption in captions.items():
        if not isinstance(caption, str):
            raise TypeError(
                "Each value of `captions` must be one str. Pick one caption an image, or join a "
                f"list of words with spaces. Received: {type(caption).__name__} {caption!r:.100} "
                f"for image {image_id!r}"
            )
    check_references(references)
    return list(captions)


def check_same_ids(
    captions: Mapping[Hashable, object], references: Mapping[Hashable, object]
) -> None:
    """Raises ValueError unless both dictionaries hold the same, at least one, image ids."""
    if not captions and not references:
        raise ValueError(
            "At least one image must be scored. Pass `captions` and `references` with the same "
            "image ids. Received: two empty dicts"
        )
    without_references = [key for key in captions if key not in references]
    without_caption = [key for key in references if key not in captions]
    if without_references or without_caption:
        raise ValueError(
            "`captions` and `references` must have the same image ids, since CIDEr counts words "
            "over all images given. Caption every image, or keep only the references of captioned "
            f"images. Received: {len(captions)} captions and references for {len(references)} "
            f"images; {len(without_references)} captions lack references"
            f"{_examples(without_references)}; {len(without_caption)} images with references lack "
            f"a caption{_examples(without_caption)}"
        )


def check_references(references: Mapping[Hashable, Sequence]) -> None:
    """Raises TypeError or ValueError unless every image has a list of at least one reference."""
    for image_id, sentences in references.items():
        if isinstance(sentences, (str, bytes)) or not isinstance(sentences, Sequence):
            raise TypeError(
                "Each value of `references` must be a list of captions. Wrap a single reference: "
                f"['...']. Received: {type(sentences).__name__} {sentences!r:.100} for image "
                f"{image_id!r}"
            )
        if not sentences:
            raise ValueError(
                "Every image needs at least one reference caption. Add one, or leave the image out "
                f"of both dicts. Received: an empty list for image {image_id!r}"
            )


def _examples(ids: list[Hashable], shown: int = 3) -> str:
    if not ids:
        return ""
    more = ", ..." if len(ids) > shown else ""
    return f" ({', '.join(repr(key) for key in ids[:shown])}{more})"
