"""Histograms and curves as inline SVG, in the colours of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 360, 170
LEFT, BOTTOM, TOP = 40, 34, 8


def histogram(
    series: Mapping[str, Sequence[float]], label: str, *, integers: bool = False, bins: int = 24
) -> str:
    """Draws how often values occur, several series over one another, as shares in percent.

    Args:
        series: dict of name to values, at least one value each; one or two series.
        label: str. What the values are, with their unit.
        integers: bool. Whether each whole number gets a bar of its own.
        bins: int. Number of bars otherwise.

    Returns:
        str: an `<svg>` element, whose CSS classes `s0` and `s1` colour the series.
    """
    values = np.concatenate([np.asarray(v, "float64") for v in series.values()])
    low, high = float(values.min()), float(values.max())
    if integers:
        edges = np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.5)
    else:
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    shares = [100 * np.histogram(v, edges)[0] / len(v) for v in series.values()]
    tallest = max(float(s.max()) for s in shares)
    span = float(edges[-1] - edges[0])

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 6) * (value - float(edges[0])) / span

    def down(share: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share / tallest

    parts = []
    for number, heights in enumerate(shares):
        bars = "".join(
            f"M{across(edges[i]) + 0.6:.1f} {down(0):.1f}V{down(height):.1f}"
            f"H{across(edges[i + 1]) - 0.6:.1f}V{down(0):.1f}Z"
            for i, height in enumerate(heights)
            if height
        )
        parts.append(f'<path class="s{number}" d="{bars}"/>')
    for tick in _ticks(low, high, integers):
        parts.append(
            f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">'
            f"{tick:g}</text>"
        )
    parts.append(f'<text x="{LEFT - 4}" y="{TOP + 9}" text-anchor="end">{tallest:.0f} %</text>')
    return _svg(f"Histogram of {label}: {', '.join(series)}", label, parts)


def curves(
    x: Sequence[float], series: Mapping[str, Sequence[float]], x_label: str, y_label: str
) -> str:
    """Draws one or two curves between 0 and 1 on both axes.

    Args:
        x: float[N], 0..1.
        series: dict of name to float[N], 0..1.
        x_label, y_label: str. What the axes are.

    Returns:
        str: an `<svg>` element, whose CSS classes `l0` and `l1` colour the curves.
    """

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 6) * value

    def down(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value

    parts = []
    for number, values in enumerate(series.values()):
        points = " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in zip(x, values, strict=True))
        parts.append(f'<polyline class="l{number}" points="{points}"/>')
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">'
            f"{tick:.0%}</text>"
        )
    for tick in (0, 0.5, 1):
        parts.append(
            f'<text x="{LEFT - 4}" y="{down(tick) + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
        )
    return _svg(f"{y_label} by {x_label}: {', '.join(series)}", x_label, parts)


def _svg(title: str, x_label: str, parts: Sequence[str]) -> str:
    """Joins the parts of a chart with its axes and the label below them."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>'
        f"{''.join(parts)}"
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - 6}"/>'
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{escape(x_label)}</text></svg>"
    )


def _ticks(low: float, high: float, integers: bool) -> list[float]:
    """About 5 round numbers between two ends."""
    span = max(high - low, 1e-9)
    step = 10 ** np.floor(np.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    if integers:
        step = max(1.0, step)
    first = np.ceil(low / step) * step
    return [round(float(tick), 10) for tick in np.arange(first, high + step / 1000, step)]
