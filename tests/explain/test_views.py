"""An explanation drawn: as a figure, as a GIF, as HTML and as JSON."""

import io
import json
import sys

import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture
from PIL import Image

from keras_showattend.explain import explain


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.fixture(scope="module")
def explanation(captioner):
    return explain(captioner, tiny_picture(90, 200, seed=3), num_beams=3)


def test_plot_has_the_picture_and_a_panel_a_word(explanation):
    for style in ("smooth", "grid"):
        figure = explanation.plot(style, columns=3)
        panels = [panel for panel in figure.axes if panel.images]
        assert len(panels) == len(explanation.words) + 1
        titles = [panel.get_title() for panel in panels[1:]]
        assert [title.split()[0] for title in titles] == explanation.words
        np.testing.assert_array_equal(panels[0].images[0].get_array(), explanation.image)
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        assert Image.open(stream).width > 300
    with pytest.raises(ValueError, match="Received: style='round'"):
        explanation.plot("round")
    with pytest.raises(ValueError, match="Received: columns=0"):
        explanation.plot(columns=0)


def test_plot_without_matplotlib_tells_the_pip_line(explanation, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-showattend\[plots\]'"):
        explanation.plot()


def test_gif_goes_through_the_words(explanation, tmp_path):
    path = tmp_path / "caption.gif"
    explanation.save_gif(path, seconds_per_word=0.5)
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == len(explanation.words) + 1
        assert gif.info["duration"] == 500
        assert gif.width == 480
    with pytest.raises(ValueError, match="seconds_per_word=0"):
        explanation.save_gif(path, seconds_per_word=0)


def test_html_stands_alone(explanation):
    page = explanation.to_html()
    assert page.startswith("<!doctype html>")
    for outside in ("http:", "https:", "<script", 'src="/', "@import"):
        assert outside not in page
    fragment = explanation._repr_html_()
    assert "<html" not in fragment
    for word in explanation.words:
        assert f"Attention for the word {word}: " in fragment
    # Two outputs of one notebook must not steer each other.
    assert fragment.split('id="')[1] != explanation._repr_html_().split('id="')[1]


def test_html_escapes_what_the_model_or_the_user_says(captioner):
    explanation = explain(captioner, tiny_picture(48, 64), caption='<b>"dog" & Émile</b>')
    page = explanation.to_html()
    assert '<b>"dog"' not in page
    assert "&lt;b&gt;" in page
    assert "&lt;unk&gt;" in page


def test_to_dict_is_json(explanation):
    record = json.loads(json.dumps(explanation.to_dict()))
    assert [word["word"] for word in record["words"]] == explanation.words
    assert np.array(record["words"][0]["attention_weights"]).shape == (3, 4)
