"""Draws the figures of the documentation into docs/images.

    python scripts/figures.py explain model presets [--preset NAME]

`explain` is the attention panel, `model` the way from an image to a word, and `presets` the chart
of all presets in the registry whose speed and CIDEr are known.
"""

import argparse
import pathlib

import numpy as np
from docs_pages import evaluation
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from keras_showattend.presets import list_presets

IMAGES = pathlib.Path(__file__).parents[1] / "docs" / "images"
IMAGE = IMAGES / "astronaut.jpg"
BLUE, GREY = "#1f4e79", "0.35"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", nargs="+", choices=("explain", "model", "presets"))
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--word", type=int, default=5, help="word of the model's figure")
    arguments = parser.parse_args()
    if "presets" in arguments.figures:
        presets_chart().savefig(IMAGES / "presets.png", dpi=110)
    if {"explain", "model"} & set(arguments.figures):
        from keras_showattend import ImageCaptioner

        explanation = ImageCaptioner.from_preset(arguments.preset).explain(IMAGE)
        if "explain" in arguments.figures:
            figure = explanation.plot(columns=3, content_words=True)
            figure.savefig(IMAGES / "explain.jpg", dpi=130, pil_kwargs={"quality": 88})
        if "model" in arguments.figures:
            figure = model_figure(explanation, arguments.word % len(explanation.words))
            figure.savefig(IMAGES / "model.jpg", dpi=110, pil_kwargs={"quality": 88})


def model_figure(explanation, word):
    """The way from an image to one of its words, in four panels."""
    rows, columns = explanation.attention_weights.shape[1:]
    figure = Figure(figsize=(8, 8.6), facecolor="white")
    titles = (
        "1  The image",
        f"2  Encoder: {rows} x {columns} locations",
        "3  Attention: where to look",
        "4  Decoder: the next word",
    )
    # Top row from left to right, bottom row from right to left, as the arrows go.
    places = ((0.02, 0.565), (0.54, 0.565), (0.54, 0.085), (0.02, 0.085))
    panels = []
    for title, (left, bottom) in zip(titles, places, strict=True):
        panel = figure.add_axes((left, bottom, 0.44, 0.39))
        panel.set_title(title, fontsize=17, color=BLUE, pad=8)
        panel.axis("off")
        panels.append(panel)
    image = explanation.image
    panels[0].imshow(image)
    panels[1].imshow(blocks(image, rows, columns))
    panels[2].imshow(explanation.overlay(word, "grid"))
    decoder = panels[3]
    decoder.set(xlim=(0, 1), ylim=(0, 1))
    box = FancyBboxPatch((0.1, 0.1), 0.8, 0.72, boxstyle="round,pad=0.05", fc="#eef3f8", ec=BLUE)
    decoder.add_patch(box)
    before = " ".join(explanation.words[:word])
    for height, text, size, colour in (
        (0.75, "written so far", 14, GREY),
        (0.63, shortened(before), 18, "black"),
        (0.44, "a GRU joins its state, the last\nword and what was seen", 14, GREY),
        (0.22, f"{explanation.words[word]}  {explanation.probabilities[word]:.0%}", 27, BLUE),
    ):
        decoder.text(0.5, height, text, fontsize=size, color=colour, ha="center", va="center")
    arrows = (
        ((0.465, 0.75), (0.535, 0.75), 0),
        ((0.76, 0.56), (0.76, 0.527), 0),
        ((0.535, 0.29), (0.465, 0.29), 0),
        # The state goes back to the attention, for the next word.
        ((0.3, 0.08), (0.7, 0.08), 0.1),
    )
    for start, end, bend in arrows:
        figure.add_artist(
            FancyArrowPatch(
                start,
                end,
                transform=figure.transFigure,
                arrowstyle="-|>",
                mutation_scale=26,
                linewidth=3,
                color=BLUE,
                connectionstyle=f"arc3,rad={bend}",
            )
        )
    figure.text(
        0.5, 0.005, "its state asks where to look next", fontsize=14, color=GREY, ha="center"
    )
    return figure


def shortened(text, most=24):
    """The end of a text that is too long for its box."""
    return text if len(text) <= most else "... " + text[-most:].partition(" ")[2]


def blocks(image, rows, columns):
    """The image as the mean colour of each location."""
    height, width = image.shape[:2]
    edges = [
        np.linspace(0, size, count + 1).astype(int)
        for size, count in ((height, rows), (width, columns))
    ]
    result = np.full_like(image, 255)
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            result[top : bottom - 2, left : right - 2] = image[top:bottom, left:right].mean((0, 1))
    return result


def presets_chart():
    """CIDEr and its interval by speed, a dot a preset; the area of a dot is its size on disk."""
    figure = Figure(figsize=(7, 5), facecolor="white", layout="constrained")
    axes = figure.subplots()
    shown = [preset for preset in list_presets() if preset.speed and "cider" in preset.scores]
    for preset in shown:
        score = 100 * preset.scores["cider"]
        interval = evaluation(preset).get("intervals", {}).get("cider")
        if interval:
            ends = [100 * interval["low"], 100 * interval["high"]]
            axes.plot([preset.speed] * 2, ends, color=BLUE, linewidth=3, alpha=0.35)
        axes.scatter(preset.speed, score, s=12 * preset.megabytes, color=BLUE, zorder=3)
        axes.annotate(
            f"{preset.name}\n{preset.megabytes:.0f} MB",
            (preset.speed, score),
            xytext=(14, 0),
            textcoords="offset points",
            va="center",
            fontsize=13,
        )
    speeds = [preset.speed for preset in shown]
    axes.set_xscale("log")
    axes.set_xlim(min(speeds) / 1.5, max(speeds) * 4)
    ticks = [tick for tick in (0.5, 1, 2, 3, 5, 8) if axes.get_xlim()[0] <= tick <= max(speeds) * 4]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(labelsize=13)
    axes.set_xlabel("images a second, vgg16_gru_flickr8k = 1", fontsize=14)
    axes.set_ylabel("CIDEr on dev, 95 % interval", fontsize=14)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure


if __name__ == "__main__":
    main()
