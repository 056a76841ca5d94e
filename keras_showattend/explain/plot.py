"""An explanation as a matplotlib figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_showattend._install import install_advice
from keras_showattend.explain.overlay import check_style, colour_scale
from keras_showattend.explain.words import content_positions
from keras_showattend.search.assessment import SHAKY

if TYPE_CHECKING:
    from keras_showattend.explain.explanation import Explanation

# Inches. A panel's words stay readable when the figure is shrunk to a thumbnail.
_PANEL_WIDTH = 2.3
_TALLEST_PANEL = 3.3
_SHAKY_COLOUR = "#b25f00"


def plot(
    explanation: Explanation, style: str = "smooth", columns: int = 4, content_words: bool = False
) -> Any:
    """Draws an explanation; see `Explanation.plot`."""
    check_style(style)
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: columns={columns!r}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ModuleNotFoundError(
            f"Plots are drawn with matplotlib. Install it: {install_advice('plots')}; or use "
            f"`save_gif` or `to_html`, which do without. Received: {error}"
        ) from error

    class NotebookFigure(Figure):
        """A figure that a notebook draws when it is the last value of a cell.

        IPython draws figures of pyplot only. Such a figure would stay in memory until it is
        closed, also in a script, and a notebook would draw it twice.
        """

        def _repr_png_(self) -> bytes:
            import io

            stream = io.BytesIO()
            self.savefig(stream, format="png")
            return stream.getvalue()

    positions = range(len(explanation.words))
    shown = content_positions(explanation.words) if content_words else list(positions)
    count = len(shown) + 1
    columns = min(columns, count)
    rows = -(-count // columns)
    height, width = explanation.image.shape[:2]
    panel_height = min(_PANEL_WIDTH * height / width, _TALLEST_PANEL)
    size = (_PANEL_WIDTH * columns, (panel_height + 0.45) * rows + 1.3)
    figure = NotebookFigure(figsize=size, dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03)
    figure.suptitle(_title(explanation), fontsize=17, wrap=True)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    panels[0].imshow(explanation.image)
    panels[0].set_title("image", fontsize=18, color="0.35")
    for panel, index in zip(panels[1:], shown, strict=False):
        panel.imshow(explanation.overlay(index, style))
        word, probability = explanation.words[index], explanation.probabilities[index]
        sure = explanation.word_confidences[index] if explanation.word_confidences else None
        panel.set_title(
            f"{word}  {probability:.0%}",
            fontsize=18,
            parse_math=False,
            color="black" if sure is None or sure >= SHAKY else _SHAKY_COLOUR,
        )
    if style != "spotlight" and shown:
        # The legend shows the colours as they lie on a grey image.
        colours = colour_scale().astype("float64") / 255
        opacity = colours[:, 3:]
        scale = ListedColormap(colours[:, :3] * opacity + 0.75 * (1 - opacity))
        legend = figure.colorbar(
            ScalarMappable(Normalize(0, 1), scale),
            ax=list(panels),
            orientation="horizontal",
            fraction=0.04,
            shrink=0.6,
            aspect=50,
            ticks=[0, 1],
        )
        legend.ax.set_xticklabels(["no attention", "the word's most"], fontsize=13)
        legend.outline.set_visible(False)
    return figure


def _title(explanation: Explanation) -> str:
    # A dollar sign would begin a formula.
    caption = (explanation.caption or "(no words)").replace("$", r"\$")
    if explanation.confidence is None:
        return caption
    return f"{caption}\nconfidence {explanation.confidence:.0%}"
