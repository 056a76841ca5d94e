"""An explanation as HTML: no other file, no network, no JavaScript."""

from __future__ import annotations

import base64
import io
import itertools
import os
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from keras_showattend.explain.overlay import SHADE, describe_place, heat_map

if TYPE_CHECKING:
    from keras_showattend.explain.explanation import Explanation

# Longest sides, in pixels: of the picture as stored and as shown, and of the shades, which
# browsers enlarge smoothly.
PICTURE_SIDE = 480
STAGE_SIDE = 400
SHADE_SIDE = 48

# Colours are the page's own or half-transparent, so that a notebook's theme shows through.
STYLE = """
.ksa{position:relative;font:15px/1.5 system-ui,sans-serif;color:inherit;max-width:60rem}
.ksa input{position:absolute;opacity:0;pointer-events:none}
.ksa .say{display:flex;flex-wrap:wrap;gap:.15rem .3rem;margin:.6rem 0;font-size:1.25rem}
.ksa .say label{cursor:pointer;padding:0 .25rem;border-radius:.25rem;border-bottom:3px solid}
.ksa .say .whole{font-size:.85rem;border-color:transparent;opacity:.75;align-self:center}
.ksa .pic{position:relative;background-size:100% 100%;border-radius:.3rem;overflow:hidden}
.ksa .pic img{position:absolute;inset:0;width:100%;height:100%;margin:0;max-width:none}
.ksa .stage{max-width:100%}
.ksa .stage img{opacity:0;transition:opacity .15s}
.ksa .tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.7rem;
margin:1rem 0;padding:0}
.ksa figure{margin:0}
.ksa figcaption{font-size:.85rem;line-height:1.35;margin-top:.2rem}
.ksa .bar{height:5px;border-radius:3px;background:rgba(128,128,128,.3);margin:.15rem 0}
.ksa .bar i{display:block;height:100%;border-radius:3px;background:#2f7fd1}
.ksa .dim{opacity:.75}
.ksa table{border-collapse:collapse;font-size:.9rem;color:inherit;background:none}
.ksa th,.ksa td{padding:.2rem .8rem .2rem 0;text-align:left;border:0;background:none;
border-bottom:1px solid rgba(128,128,128,.35)}
.ksa td.n,.ksa th.n{text-align:right;font-variant-numeric:tabular-nums}
""".strip()

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>:root{{color-scheme:light dark}}body{{margin:1.2rem auto;padding:0 1rem;max-width:60rem}}
</style></head><body><main>{body}</main></body></html>
"""

_counter = itertools.count()


def page(explanation: Explanation) -> str:
    """A complete HTML page; see `Explanation.to_html`."""
    return _PAGE.format(title=escape(explanation.caption or "No words"), body=fragment(explanation))


def fragment(explanation: Explanation) -> str:
    """The part of a page that shows one explanation, with its style; for notebooks too."""
    # Several may stand on one page, also of several processes: a notebook reopened.
    name = f"ksa-{os.getpid():x}-{next(_counter)}"
    height, width = explanation.image.shape[:2]
    picture = picture_uri(explanation.image)
    shades = [shade_uri(explanation, index) for index in range(len(explanation.words))]
    alt = escape(f"The picture captioned: {explanation.caption}", quote=True)
    rules = [
        f"#{name} .pic{{background-image:url({picture});aspect-ratio:{width}/{height}}}",
        f"#{name} .stage{{width:{STAGE_SIDE * min(1, width / height):.0f}px}}",
    ]
    radios = [_radio(name, "all", checked=True)]
    labels = [f'<label class="whole" for="{name}-all">whole picture</label>']
    for index, word in enumerate(explanation.words):
        key = f"{name}-{index}"
        rules.append(
            f"#{key}:checked~.stage .s{index}{{opacity:1}}"
            f"#{key}:checked~.say label[for={key}]{{background:rgba(47,127,209,.25)}}"
            f"#{key}:focus-visible~.say label[for={key}]{{outline:2px solid #2f7fd1}}"
        )
        radios.append(_radio(name, index))
        strength = 0.15 + 0.85 * float(explanation.probabilities[index])
        labels.append(
            f'<label for="{key}" style="border-color:rgba(47,127,209,{strength:.2f})">'
            f"{escape(word)}</label>"
        )
    layers = "".join(
        f'<img class="s{index}" alt="" src="{shade}">' for index, shade in enumerate(shades)
    )
    return (
        f'<div class="ksa" id="{name}"><style>{STYLE}\n{"".join(rules)}</style>'
        f"{''.join(radios)}"
        f'<div class="say" role="group" aria-label="Words of the caption">{"".join(labels)}</div>'
        f'<div class="pic stage" role="img" aria-label="{alt}">{layers}</div>'
        f'<p class="dim">{_summary(explanation)}</p>'
        f"{tiles(explanation, shades)}{_alternatives(explanation)}</div>"
    )


def tiles(explanation: Explanation, shades: list[str] | None = None) -> str:
    """One small picture a word, inside an element whose style gives `.pic` its background.

    Args:
        explanation: an `Explanation`.
        shades: data URIs from `shade_uri`, one a word; made here if None.
    """
    shades = shades or [shade_uri(explanation, i) for i in range(len(explanation.words))]
    figures = []
    for index, word in enumerate(explanation.words):
        place = describe_place(explanation.attention_weights[index])
        probability = float(explanation.probabilities[index])
        label = escape(f"Attention for the word {word}: {place}", quote=True)
        figures.append(
            f'<figure><div class="pic" role="img" aria-label="{label}">'
            f'<img alt="" src="{shades[index]}"></div><figcaption><b>{escape(word)}</b> '
            f'{probability:.0%}<div class="bar" aria-hidden="true">'
            f'<i style="width:{probability:.1%}"></i></div>'
            f'<span class="dim">entropy {explanation.entropies[index]:.1f} nats</span>'
            "</figcaption></figure>"
        )
    return f'<div class="tiles">{"".join(figures)}</div>'


def picture_uri(image: np.ndarray, side: int = PICTURE_SIDE, quality: int = 80) -> str:
    """A small JPEG of uint8[H, W, 3] as a data URI; `side` is its longest, in pixels."""
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _data_uri(picture, "JPEG", quality=quality, optimize=True)


def shade_uri(explanation: Explanation, index: int) -> str:
    """What darkens the picture where one word did not look: a tiny PNG as a data URI."""
    height, width = explanation.image.shape[:2]
    scale = SHADE_SIDE / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    left, right = (round(n * shape[1] / width) for n in explanation.window[::2])
    top, bottom = (round(n * shape[0] / height) for n in explanation.window[1::2])
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    alpha = np.full(shape, 1 - SHADE / 2)
    heat = heat_map(explanation.attention_weights[index], (bottom - top, right - left))
    alpha[top:bottom, left:right] = (1 - SHADE) * (1 - heat)
    # Steps of 4 are below what the eye sees, and compress far better.
    levels = np.rint(alpha * 63).astype("uint8") * 4
    return _data_uri(Image.fromarray(np.stack([np.zeros_like(levels), levels], -1)), "PNG")


def _data_uri(picture: Image.Image, image_format: str, **options: int | bool) -> str:
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{image_format.lower()};base64,{encoded}"


def _radio(name: str, key: str | int, checked: bool = False) -> str:
    state = " checked" if checked else ""
    return f'<input type="radio" name="{name}" id="{name}-{key}"{state}>'


def _summary(explanation: Explanation) -> str:
    parts = [f"Log-probability {explanation.log_probability:.2f} nats"]
    if explanation.confidence is not None:
        parts.insert(0, f"Confidence {explanation.confidence:.0%}")
    if explanation.end_log_probability is None:
        parts.append("Cut at the greatest length, without an end")
    rows, columns = explanation.grid_shape
    return ". ".join([*parts, f"Attention over {rows} x {columns} places."])


def _alternatives(explanation: Explanation) -> str:
    if len(explanation.alternatives) < 2:
        return ""
    rows = "".join(
        f'<tr><td>{escape(beam.text)}</td><td class="n">{beam.score:.3f}</td>'
        f'<td class="n">{beam.log_probability:.2f}</td></tr>'
        for beam in explanation.alternatives
    )
    return (
        "<details open><summary>What else the search found</summary><table><thead><tr>"
        '<th scope="col">Caption</th><th scope="col" class="n">Score</th>'
        f'<th scope="col" class="n">Log-probability</th></tr></thead><tbody>{rows}</tbody></table>'
        "</details>"
    )
