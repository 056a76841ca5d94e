"""Formats beyond the usual ones, limits on what a file may cost, and files that end early."""

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image
from PIL import features as pillow_features

from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.preprocessing.image_formats import unreadable_content
from keras_showattend.preprocessing.images import ImageError, image_digest, load_image


def encoded(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def two_colours(height, width):
    pixels = np.full((height, width, 3), (200, 0, 0), np.uint8)
    pixels[:, width // 2 :] = (0, 0, 200)
    return Image.fromarray(pixels)


def check_two_colours(loaded, height, width):
    assert loaded.shape == (height, width, 3)
    np.testing.assert_allclose(loaded[1, 1], (200, 0, 0), atol=12)
    np.testing.assert_allclose(loaded[-2, -2], (0, 0, 200), atol=12)


def test_heic_in_a_fresh_process(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "IMG_0001.HEIC"
    pillow_heif.from_pillow(two_colours(48, 64)).save(path, quality=90)
    check_two_colours(load_image(path), 48, 64)
    check_two_colours(load_image(path.read_bytes(), (24, 32)), 24, 32)
    # Nobody has to make the package known to Pillow.
    code = """
import sys
from keras_showattend.preprocessing import find_images, load_image
print([load_image(path).shape for path in find_images(sys.argv[1])])
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "[(48, 64, 3)]\n"


@pytest.mark.skipif(not pillow_features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif():
    check_two_colours(load_image(encoded(two_colours(48, 64), "AVIF", quality=90)), 48, 64)


@pytest.mark.skipif(not pillow_features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
def test_jpeg_2000():
    check_two_colours(load_image(encoded(two_colours(48, 64), "JPEG2000")), 48, 64)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pip install pillow-heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "pip install pillow-heif"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF: install a newer Pillow"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "EPS is a program"),
        (b"%PDF-1.7", "A PDF is a document"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><svg', "convert it to PNG"),
        (b"<svg xmlns", "convert it to PNG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"words", "no image Pillow can read"),
    ],
)
def test_what_cannot_be_read_is_named(start, words):
    assert words in unreadable_content(start)


@pytest.mark.parametrize("content", [b"%PDF-1.7\n%x", b"<svg xmlns='x'/>", b"<html></html>"])
def test_refused_content_names_it(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(ImageError, match="not an image.*Received: "):
            load_image(source)


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536), (1, 80_000_000)])
def test_sides_are_limited(size):
    from test_images import one_bit_png

    content = one_bit_png(*size)
    assert len(content) < 80
    with pytest.raises(ImageError, match=rf"at most 65535 pixels a side.*{size[0]} x {size[1]}"):
        load_image(content, (8, 9))


@pytest.fixture
def small_limit(monkeypatch):
    """A limit of 10,000 pixels, so that tests need no large images."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)


def test_a_large_jpeg_is_decoded_at_a_fraction(small_limit):
    # 96,000 pixels, 9.6 times the limit, which Pillow itself refuses above 2 times.
    content = encoded(two_colours(240, 400))
    with pytest.raises(ImageError, match="More than 10000 pixels.*raise the limit"):
        load_image(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_two_colours(load_image(content, (24, 40)), 24, 40)
    # Only 1/2 is left of the size for 100 columns, 24,000 pixels.
    with pytest.raises(ImageError, match="More than 10000"):
        load_image(content, (60, 100))


def test_a_jpeg_may_be_twelve_times_larger(small_limit):
    assert load_image(encoded(two_colours(300, 400)), (24, 32)).shape == (24, 32, 3)
    with pytest.raises(ImageError, match="More than 10000"):
        load_image(encoded(two_colours(301, 400)), (24, 32))


def test_a_progressive_jpeg_may_be_twice_as_large(small_limit):
    content = encoded(two_colours(100, 200), progressive=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_two_colours(load_image(content, (12, 20)), 12, 20)
    with pytest.raises(ImageError, match="More than 10000"):
        load_image(encoded(two_colours(101, 200), progressive=True), (12, 20))


def test_other_formats_are_not_decoded_at_a_fraction(small_limit):
    with pytest.raises(ImageError, match="More than 10000"):
        load_image(encoded(two_colours(200, 300), "PNG"), (12, 20))


def test_transparency_in_bands_is_transparency_at_once():
    # More than one band of 2 ** 20 pixels.
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (1030, 1100, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    expected = np.array(Image.alpha_composite(white, image).convert("RGB"))
    np.testing.assert_array_equal(load_image(image), expected)


def test_sixteen_bits_are_rounded():
    values = np.arange(0, 65_536, dtype=np.uint16).reshape(256, 256)
    loaded = load_image(Image.fromarray(values))
    np.testing.assert_array_equal(loaded[:, :, 1], np.rint(values / 257.0).astype(np.uint8))


def test_a_jpeg_without_its_end_marker(tmp_path):
    whole = encoded(two_colours(48, 64))
    assert whole.endswith(b"\xff\xd9")
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[:-2])
    with pytest.raises(ImageError, match=r"JPEG is truncated.*accept_truncated=True.*a\.jpg"):
        load_image(path)
    for source in (path, whole[:-2], io.BytesIO(whole[:-2])):
        with pytest.warns(UserWarning, match="ends early") as caught:
            loaded = load_image(source, accept_truncated=True)
        np.testing.assert_array_equal(loaded, load_image(whole))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image(whole, accept_truncated=True)


@pytest.mark.parametrize("progressive", [False, True])
def test_half_a_jpeg(progressive):
    noise = Image.effect_noise((640, 480), 90).convert("RGB")
    whole = encoded(noise, progressive=progressive)
    with pytest.warns(UserWarning, match="ends early"):
        loaded = load_image(whole[: len(whole) // 2], accept_truncated=True)
    assert loaded.shape == (480, 640, 3)
    if not progressive:
        np.testing.assert_array_equal(loaded[:160], load_image(whole)[:160])
        assert len(np.unique(loaded[-16:])) == 1


def test_only_a_truncated_jpeg_is_accepted():
    noise = Image.effect_noise((90, 70), 99)
    with pytest.raises(ImageError, match="truncated or damaged"):
        load_image(encoded(noise, "PNG")[:700], accept_truncated=True)
    with pytest.raises(ImageError):
        load_image(encoded(noise)[:100], accept_truncated=True)


def test_the_converter_accepts_truncated_images():
    content = encoded(two_colours(48, 64))[:-2]
    converter = CaptionImageConverter((8, 12))
    with pytest.raises(ImageError):
        converter.load(content)
    converter.accept_truncated = True
    with pytest.warns(UserWarning, match="ends early"):
        check_two_colours(converter.load(content), 8, 12)
    # A setting of this process, which no preset carries.
    assert "accept_truncated" not in converter.get_config()
    assert len(image_digest(content)) == 64
