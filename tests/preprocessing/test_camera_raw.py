"""Camera raw is read by its preview, and what else a file holds is told."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from raw_files import save_dng

from keras_showattend.preprocessing.image_formats import has_several_frames, image_extensions
from keras_showattend.preprocessing.images import ImageError, load_image

RED, BLUE = (200, 30, 40), (0, 0, 254)


@pytest.fixture
def preview():
    """120 x 80 red pixels, blue in the upper left quarter."""
    image = Image.new("RGB", (120, 80), RED)
    image.paste(BLUE, (0, 0, 60, 40))
    return image


@pytest.mark.parametrize(
    ("orientation", "shape", "corner"),
    [
        (1, (80, 120), (0, 0)),
        (3, (80, 120), (1, 1)),
        (6, (120, 80), (0, 1)),
        (8, (120, 80), (1, 0)),
    ],
)
def test_the_preview_is_upright(tmp_path, preview, orientation, shape, corner):
    pytest.importorskip("rawpy", reason="the extra `raw` reads camera raw")
    pixels = load_image(save_dng(tmp_path / "a.dng", preview, orientation))
    assert pixels.shape == (*shape, 3)
    places = [(row, column) for row in (0, 1) for column in (0, 1)]
    blue = [place for place in places if pixels[-8 * place[0] + 4, -8 * place[1] + 4, 2] > 200]
    assert blue == [corner]
    assert load_image(tmp_path / "a.dng", (12, 18)).shape == (12, 18, 3)
    assert ".dng" in image_extensions()


def test_raw_without_a_preview_and_other_content(tmp_path):
    pytest.importorskip("rawpy", reason="the extra `raw` reads camera raw")
    with pytest.raises(ImageError, match=r"this file has none: export it as JPEG\. Received: .*a"):
        load_image(save_dng(tmp_path / "a.dng"))
    (tmp_path / "b.nef").write_bytes(b"no sensor data")
    with pytest.raises(ImageError, match="no camera raw that can be read"):
        load_image(tmp_path / "b.nef")
    with pytest.raises(ImageError, match="There is no such file"):
        load_image(tmp_path / "c.cr2")


def test_raw_without_rawpy(tmp_path, preview):
    path = save_dng(tmp_path / "a.dng", preview)
    code = """
import sys
sys.modules["rawpy"] = None
from keras_showattend.preprocessing.images import load_image, list_images
try:
    load_image(sys.argv[1])
except ValueError as error:
    print(error)
print(list_images(sys.argv[2]))
"""
    words = [sys.executable, "-c", code, path, tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Camera raw needs one more package: `pip install rawpy`. Received: " in done.stdout
    assert "images=[], unreadable=[" in done.stdout


def test_animations_and_pages(tmp_path):
    colours = np.random.default_rng(4).integers(0, 256, (3, 9, 12, 3), dtype=np.uint8)
    first, *rest = map(Image.fromarray, colours)
    for name in ("a.gif", "b.tif", "c.webp", "d.png"):
        options = {"lossless": True} if name == "c.webp" else {}
        first.save(tmp_path / name, save_all=True, append_images=rest, **options)
        assert has_several_frames(str(tmp_path / name)), name
        first.save(tmp_path / f"one-{name}")
        assert not has_several_frames(str(tmp_path / f"one-{name}")), name
    # The second image of a phone's photo is no page.
    first.save(tmp_path / "e.jpg", "MPO", save_all=True, append_images=rest)
    assert not has_several_frames(str(tmp_path / "e.jpg"))
    (tmp_path / "f.gif").write_text("no image")
    assert not has_several_frames(str(tmp_path / "f.gif"))
    assert not has_several_frames(str(tmp_path / "none.tif"))
    np.testing.assert_array_equal(load_image(tmp_path / "b.tif"), colours[0])
