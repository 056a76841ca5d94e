"""What is wrong with a data set: the kinds of problems, their report, and the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MISSING_IMAGE = "missing image file"
UNREADABLE_IMAGE = "image that cannot be read"
EMPTY_CAPTION = "empty caption"
CAPTION_NOT_TEXT = "caption that is not text"
DUPLICATE_CAPTION = "same caption twice for one image"
NO_CAPTIONS = "image without captions"
UNKNOWN_IMAGE = "caption of an image that is not listed"
UNKNOWN_IN_SPLIT = "split naming an unknown image"
IN_TWO_SPLITS = "image in two splits (kept in the first)"
UNREADABLE_LINE = "line that cannot be read"
UNREADABLE_ENTRY = "entry that cannot be read"


class DatasetError(ValueError):
    """Data that cannot be used, or that has problems while `strict=True`; holds the report."""


@dataclass(frozen=True)
class DatasetReport:
    """What a reader left out, by kind of problem; false when nothing was.

    `found` maps a kind to the names concerned (image names, captions' places, line numbers).
    """

    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind: {"empty caption": 2}."""
        return {kind: len(names) for kind, names in self.found.items()}

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        lines = []
        for kind, names in self.found.items():
            more = f", and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"{len(names)} x {kind}: {', '.join(names[:3])}{more}")
        return "\n".join(lines) or "no problems"
