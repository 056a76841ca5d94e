"""What is wrong with a dataset: the kinds of problems, their report, and the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keras_showattend._text import printable

MISSING_IMAGE = "missing image file"
AMBIGUOUS_IMAGE = "image file with several candidates"
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
# What is used nevertheless.
GUESSED_IMAGE = "image file found under another spelling (used)"
LINE_BREAK = "caption with a line break (used)"
OPEN_QUOTE = "quotation mark that is not closed (used as it is)"
USED = frozenset({GUESSED_IMAGE, LINE_BREAK, OPEN_QUOTE})


class DatasetError(ValueError):
    """Data that cannot be used, or that has problems while `strict=True`; holds the report."""


@dataclass(frozen=True)
class DatasetReport:
    """What a reader left out or had to guess, by kind of problem; false when there is nothing.

    `found` maps a kind to the names concerned (image names, captions' positions, line numbers).
    """

    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind: {"empty caption": 2}."""
        return {kind: len(names) for kind, names in self.found.items()}

    def merged(self, other: DatasetReport) -> DatasetReport:
        """Returns the problems of both reports."""
        kinds = dict.fromkeys([*self.found, *other.found])
        return DatasetReport(
            {kind: (*self.found.get(kind, ()), *other.found.get(kind, ())) for kind in kinds}
        )

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        lines = []
        for kind, names in self.found.items():
            more = f", and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"{len(names)} x {kind}: {printable(', '.join(names[:3]))}{more}")
        return "\n".join(lines) or "no problems"
