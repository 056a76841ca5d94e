"""An explanation drawn: as a figure, as a GIF, as HTML and as JSON."""

import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture
from PIL import Image

from keras_showattend.explain import explain
from keras_showattend.explain.overlay import colour_scale, overlay
from keras_showattend.explain.words import content_positions


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


def test_plot_marks_shaky_words_where_they_stand(explanation):
    count = len(explanation.words)
    same = dataclasses.replace(
        explanation,
        words=["dog"] * count,
        word_confidences=(0.9, 0.1, *[None] * (count - 2)),
    )
    panels = [panel for panel in same.plot().axes if panel.images]
    colours = [panel.title.get_color() for panel in panels[1:]]
    assert colours == ["black", "#b25f00", *["black"] * (count - 2)]


def test_plot_without_matplotlib_tells_the_pip_line(explanation, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "\.\[plots\]"'):
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


def mean_colour_error(gif_path, frame, source):
    """Mean distance of a frame's image from float[H, W, 3], over blocks of 8 x 8 pixels."""
    with Image.open(gif_path) as gif:
        gif.seek(frame)
        shown = np.asarray(gif.convert("RGB"), "float64")[: source.shape[0]]
    # Dithering mixes colours that the palette lacks; the eye, and a mean, sees the mixture.
    rows, columns = source.shape[0] // 8, source.shape[1] // 8

    def blocks(pixels):
        cut = pixels[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8, 3)
        return cut.mean(axis=(1, 3))

    return np.abs(blocks(shown) - blocks(source)).max()


def test_gif_keeps_the_colours_of_the_image(explanation, tmp_path):
    # Skin, a red and a blue flag, a grey wall: few pixels each, and no yellow anywhere.
    colours = [(224, 172, 150), (198, 134, 110), (178, 34, 52), (60, 59, 110), (235, 235, 235)]
    picture = np.full((240, 480, 3), 120, "uint8")
    picture += np.linspace(0, 60, 480).astype("uint8")[None, :, None]
    for number, colour in enumerate(colours):
        picture[40:200, 20 + 90 * number : 90 + 90 * number] = colour
    words = explanation.words
    flat = np.zeros_like(explanation.attention_weights)
    flat[:, 0, 0] = 1
    shown = dataclasses.replace(
        explanation, image=picture, window=(0, 0, 480, 240), attention_weights=flat
    )
    path = tmp_path / "faces.gif"
    shown.save_gif(path)
    assert mean_colour_error(path, 0, picture.astype("float64")) < 12
    for index in range(len(words)):
        expected = shown.overlay(index).astype("float64")
        assert mean_colour_error(path, index + 1, expected) < 12
    with pytest.raises(ValueError, match=r"end the path in `.gif`.*Received: path='.*photo.png'"):
        shown.save_gif(tmp_path / "photo.png")
    assert [file.name for file in tmp_path.iterdir()] == ["faces.gif"]


def test_colours_tell_the_attention_and_leave_the_image_in_sight():
    scale = colour_scale().astype("float64")
    light = scale[:, :3] @ [0.299, 0.587, 0.114]
    assert np.all(np.diff(light) > 0)
    dark = np.full((20, 30, 3), 10, "uint8")
    weights = np.array([[0.0, 0.0, 1.0]])
    shown = overlay(dark, weights, (0, 0, 30, 20), "grid")
    # Nearly as it was without attention, and bright on the darkest image with it.
    assert np.abs(shown[:, :20].astype(int) - 10).max() <= 20
    assert shown[:, 20:].min(axis=(0, 1)).tolist() == [182, 189, 27]
    bright = np.full((20, 30, 3), 250, "uint8")
    assert overlay(bright, weights, (0, 0, 30, 20), "grid")[:, :20].mean() > 220
    cropped = overlay(bright, weights, (10, 0, 20, 20), "grid")
    assert cropped[:, :10].max() == cropped[:, 20:].max() == 100
    with pytest.raises(ValueError, match="Received: style='round'"):
        overlay(dark, weights, (0, 0, 30, 20), "round")


def test_content_words_alone(captioner, tmp_path):
    explanation = explain(captioner, tiny_picture(48, 64), caption="A dog runs on the sand")
    assert content_positions(explanation.words) == [1, 2, 5]
    assert content_positions(["on", "the"]) == [0, 1]
    panels = [axes for axes in explanation.plot(content_words=True).axes if axes.images]
    titles = [panel.get_title().split()[0] for panel in panels]
    assert titles == ["image", "dog", "runs", "sand"]
    explanation.save_gif(tmp_path / "dog.gif", content_words=True)
    with Image.open(tmp_path / "dog.gif") as gif:
        assert gif.n_frames == 4
    page = explanation.to_html(content_words=True)
    assert page.count("<figure>") == 3
    assert "Attention for the word on: " not in page


def test_html_explains_its_numbers(explanation):
    page = dataclasses.replace(explanation, confidence=0.43).to_html()
    for name in ("Colour", "Percentage", "Entropy", "Score", "Confidence"):
        assert page.count(f"<dt>{name}</dt><dd>") == 1
    assert "no attention" in page
    assert "<dt>Confidence</dt>" not in explanation.to_html()


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
