"""What a row of `keras-showattend caption` holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_showattend.cli.row_formats import Columns, Row

COLUMNS: Columns = {
    "path": str,
    "caption": str,
    "log_probability": float,
    "score": float,
    "confidence": float,
    "shaky_words": str,
    "unfamiliar": bool,
    "complete": bool,
    "withheld": bool,
    "review": str,
    "content": str,
    "preset": str,
    "settings": str,
}


@dataclasses.dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one run.

    Attributes:
        preset, settings: str. The same in every row: which captioner, and how it searched.
        min_confidence: float in 0..1. A caption with less confidence is withheld: its row
            has an empty one. None for all captions.
        all_beams: bool. Whether a row holds the other beams, too.
    """

    preset: str
    settings: str
    min_confidence: float | None = None
    all_beams: bool = False

    def row(self, path: str, beams: Sequence[Any], content: str) -> Row:
        """Makes the row of an image.

        Args:
            path: the image.
            beams: its `CaptionHypothesis`, best first.
            content: what tells its content from that of others.
        """
        best = beams[0]
        confidence = best.confidence
        withheld = (
            confidence is not None
            and self.min_confidence is not None
            and confidence < self.min_confidence
        )
        row = {
            "path": path,
            **_beam(best),
            "confidence": None if confidence is None else round(confidence, 4),
            "shaky_words": " ".join(best.shaky_words),
            "unfamiliar": best.unfamiliar,
            "complete": best.complete,
            "withheld": withheld,
            "review": "",
            "content": content,
            "preset": self.preset,
            "settings": self.settings,
        }
        if withheld:
            row["caption"] = ""
        if self.all_beams:
            row["alternatives"] = [_beam(beam) for beam in beams[1:]]
        return row

    def copy(self, path: str, original: Row) -> Row:
        """Makes the row of an image from that of another one with the same content.

        Args:
            path: the image.
            original: the other row, which may lack what belongs to its own path.
        """
        own = {"path": path, "preset": self.preset, "settings": self.settings}
        names = [*COLUMNS, *(["alternatives"] if self.all_beams else [])]
        return {name: own.get(name, original.get(name)) for name in names}

    def why_withheld(self, row: Row) -> str:
        """Says why the caption of a row is empty."""
        return f"its confidence is {row['confidence']:.2f}, below {self.min_confidence}"


def _beam(beam: Any) -> dict[str, Any]:
    return {
        "caption": beam.text,
        "log_probability": round(beam.log_probability, 6),
        "score": round(beam.score, 6),
    }
