"""`preprocessing.images`: literal pixels, every kind of file, and what is refused."""

import hashlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_showattend.preprocessing.images import (
    ImageError,
    as_image_list,
    describe_source,
    image_digest,
    load_image,
)

HEIGHT, WIDTH = 6, 10
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def red_corner(height=HEIGHT, width=WIDTH):
    pixels = np.full((height, width, 3), (0, 0, 255), dtype=np.uint8)
    pixels[0, 0] = RED
    return pixels


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


class Tensor:
    """What TensorFlow's and torch's tensors have in common."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    def numpy(self):
        return self.values


def test_every_way_in_gives_the_same_pixels(tmp_path):
    pixels = red_corner()
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    sources = [str(path), path, content, bytearray(content), memoryview(content)]
    sources += [io.BytesIO(content), Image.open(path), pixels, pixels.astype(np.float32)]
    sources += [pixels.astype(np.int64), Tensor(pixels), pixels[:, ::-1][:, ::-1]]
    for source in sources:
        loaded = load_image(source)
        assert loaded.dtype == np.uint8
        assert loaded.shape == (HEIGHT, WIDTH, 3)
        assert loaded.flags.c_contiguous
        np.testing.assert_array_equal(loaded, pixels)


def test_result_shares_no_memory():
    pixels = red_corner()
    load_image(pixels)[:] = 7
    np.testing.assert_array_equal(pixels, red_corner())


def test_file_object_keeps_its_position(tmp_path):
    stream = io.BytesIO(b"header" + encoded(Image.fromarray(red_corner())))
    stream.seek(6)
    digest = image_digest(stream)
    assert stream.tell() == 6
    assert load_image(stream).shape == (HEIGHT, WIDTH, 3)
    assert image_digest(stream) == digest


# Where the red corner of the stored picture is seen, by EXIF's definition of each orientation.
@pytest.mark.parametrize(
    ("orientation", "row", "column", "shape"),
    [
        (1, 0, 0, (6, 10, 3)),
        (2, 0, 9, (6, 10, 3)),
        (3, 5, 9, (6, 10, 3)),
        (4, 5, 0, (6, 10, 3)),
        (5, 0, 0, (10, 6, 3)),
        (6, 0, 5, (10, 6, 3)),
        (7, 9, 5, (10, 6, 3)),
        (8, 9, 0, (10, 6, 3)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_exif_orientation(orientation, row, column, shape, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_image(encoded(Image.fromarray(red_corner()), kind, exif=exif))
    assert loaded.shape == shape
    assert tuple(loaded[row, column]) == RED


def test_exif_orientation_of_a_large_jpeg_decoded_at_a_fraction():
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[:200, :400] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    loaded = load_image(encoded(Image.fromarray(pixels), "JPEG", exif=exif), (20, 10))
    assert loaded.shape == (20, 10, 3)
    assert loaded[3, 7, 0] > 250
    assert loaded[3, 2, 0] < 5
    assert loaded[16, 7, 0] < 5


def test_broken_exif_does_not_lose_the_picture():
    content = encoded(Image.fromarray(red_corner()), "JPEG", exif=b"Exif\x00\x00garbage")
    assert load_image(content).shape == (HEIGHT, WIDTH, 3)


def palette_with_transparency():
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([*RED, *GREEN])
    image.putpixel((0, 0), 0)
    return encoded(image, transparency=1)


@pytest.mark.parametrize(
    ("content", "corner", "rest"),
    [
        (encoded(Image.new("L", (10, 6), 77)), (77, 77, 77), (77, 77, 77)),
        (encoded(Image.new("LA", (10, 6), (0, 127))), (128, 128, 128), (128, 128, 128)),
        (encoded(Image.new("RGBA", (10, 6), (255, 0, 0, 0))), WHITE, WHITE),
        (encoded(Image.new("RGBA", (10, 6), (255, 0, 0, 255))), RED, RED),
        (encoded(Image.new("1", (10, 6), 1)), WHITE, WHITE),
        (encoded(Image.new("RGB", (10, 6), GREEN), transparency=GREEN), WHITE, WHITE),
        (palette_with_transparency(), RED, WHITE),
        (encoded(Image.new("CMYK", (10, 6), (0, 0, 0, 0)), "JPEG"), WHITE, WHITE),
        (encoded(Image.new("I;16", (10, 6), 32896)), (128, 128, 128), (128, 128, 128)),
        (encoded(Image.new("I;16", (10, 6), 65535), "TIFF"), WHITE, WHITE),
        (encoded(Image.new("F", (10, 6), 77.6), "TIFF"), (78, 78, 78), (78, 78, 78)),
        (b"P5 10 6 65535\n" + b"\x80\x80" * 60, (128, 128, 128), (128, 128, 128)),
    ],
)
def test_modes_become_rgb(content, corner, rest):
    loaded = load_image(content)
    assert loaded.shape == (6, 10, 3)
    assert tuple(loaded[0, 0]) == corner
    assert tuple(loaded[5, 9]) == rest


def test_pil_image_of_small_whole_numbers_is_8_bit():
    loaded = load_image(Image.fromarray(np.full((3, 4), 200, np.int32)))
    assert loaded[2, 3].tolist() == [200, 200, 200]


def test_pil_image_of_a_user_is_not_reduced(tmp_path):
    path = tmp_path / "large.jpg"
    Image.new("RGB", (800, 400)).save(path)
    with Image.open(path) as image:
        load_image(image, (10, 20))
        assert image.size == (800, 400)


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in (RED, GREEN)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(load_image(content)[3, 3]) == RED


@pytest.mark.parametrize(
    ("array", "pixel"),
    [
        (np.full((4, 5), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5, 1), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 5, 4), (255, 0, 0, 255), np.uint8), [255, 0, 0]),
        (np.full((4, 5, 4), (255, 0, 0, 0), np.uint8), [255, 255, 255]),
        (np.full((4, 5, 3), 99.6, np.float32), [100, 100, 100]),
        (np.full((4, 5, 3), 99.4, np.float16), [99, 99, 99]),
        (np.full((4, 5, 3), 255.3), [255, 255, 255]),
        (np.zeros((4, 5, 3), np.float32), [0, 0, 0]),
        (np.ones((4, 5, 3), np.float32), [1, 1, 1]),
    ],
)
def test_arrays(array, pixel):
    loaded = load_image(array)
    assert loaded.shape == (4, 5, 3)
    assert loaded[3, 4].tolist() == pixel


def test_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert load_image(np.full((4, 5, 3), 128, bfloat16))[0, 0].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((4, 5, 3), 0.5), "multiply the array by 255"),
        (np.full((4, 5, 3), 256), "values 256..256"),
        (np.full((4, 5, 3), -1), "values -1..-1"),
        (np.full((4, 5, 3), -0.6), "undo a normalisation"),
        (np.full((4, 5), 40000, np.uint16), "divide 16-bit values by 257"),
        (np.full((4, 5, 3), np.nan), "NaN"),
        (np.full((4, 5, 3), np.inf, np.float32), "infinity"),
        (np.zeros((0, 5, 3), np.uint8), "empty"),
        (np.zeros((4, 0), np.uint8), "empty"),
        (np.zeros((3, 40, 50), np.uint8), "np.moveaxis"),
        (np.zeros((4, 5, 2), np.uint8), r"uint8 array \(4, 5, 2\)"),
        (np.zeros((2, 4, 5, 3), np.uint8), "one by one"),
        (np.zeros(7, np.uint8), "H x W"),
        (np.zeros((4, 5, 3), bool), "mask"),
        (np.full((4, 5, 3), "x"), "Pixels are"),
        (np.zeros((4, 5, 3), complex), "Pixels are"),
    ],
)
def test_refused_arrays(array, words):
    with pytest.raises(ImageError, match=words) as caught:
        load_image(array)
    assert "Received: " in str(caught.value)
    assert str(array.shape) in str(caught.value)


def test_resize_squashes_by_default_and_crops_on_demand():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:40], pixels[:, 40:] = RED, GREEN, WHITE
    squashed = load_image(pixels, (8, 12))
    assert squashed.shape == (8, 12, 3)
    assert [tuple(squashed[4, column]) for column in (0, 6, 11)] == [RED, GREEN, WHITE]
    cropped = load_image(pixels, (7, 7), crop=True)
    assert cropped.shape == (7, 7, 3)
    assert (cropped == GREEN).all()
    tall = load_image(pixels.transpose(1, 0, 2), (7, 7), crop=True)
    assert (tall == GREEN).all()


def test_resize_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = load_image(stripes, (8, 8))
    assert small[3, 3].tolist() == [128, 128, 128]


@pytest.mark.parametrize("crop", [False, True])
def test_reduced_jpeg_is_close_to_the_full_one(crop):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (5, 11, 3), dtype=np.uint8))
    content = encoded(noise.resize((1500, 600), Image.Resampling.BICUBIC), "JPEG", quality=95)
    reduced = load_image(content, (31, 29), crop=crop).astype(float)
    whole = load_image(load_image(content), (31, 29), crop=crop).astype(float)
    assert np.abs(reduced - whole).mean() < 1.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 10000), (10000, 1)])
@pytest.mark.parametrize("crop", [False, True])
def test_extreme_shapes(shape, crop):
    content = encoded(Image.new("RGB", (shape[1], shape[0]), GREEN), "JPEG", quality=100)
    assert load_image(content).shape == (*shape, 3)
    loaded = load_image(content, (31, 29), crop=crop)
    assert loaded.shape == (31, 29, 3)
    assert loaded[15, 15, 1] > 250


@pytest.mark.parametrize("size", [224, (224,), (0, 3), (-1, 5), (2.5, 3), (1, 2, 3), "ab"])
def test_wrong_size_is_no_image_error(size):
    with pytest.raises(ValueError, match="Received: size=") as caught:
        load_image(red_corner(), size)
    assert not isinstance(caught.value, ImageError)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.jpg", b"no picture at all, only words", "no image Pillow can read"),
        ("empty.jpg", b"", "zero bytes"),
        ("cut.jpg", encoded(Image.effect_noise((90, 70), 99), "JPEG")[:700], "truncated"),
        ("cut.png", encoded(Image.effect_noise((90, 70), 99))[:700], "truncated"),
        ("eps.eps", encoded(Image.new("RGB", (9, 7)), "EPS"), "convert it"),
    ],
)
def test_refused_files(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError, match=words) as caught:
        load_image(path, (8, 9))
    assert f"Received: {path}" in str(caught.value)
    with pytest.raises(ImageError, match=words):
        load_image(content)
    with pytest.raises(ImageError, match=words):
        load_image(io.BytesIO(content))


def test_refused_sources(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("words")
    with text.open() as opened, pytest.raises(ImageError, match="mode 'rb'"):
        load_image(opened)
    for source, words in [
        (tmp_path / "missing.jpg", "no such file"),
        ("", "no such file.*an empty string"),
        (str(tmp_path), "find_images"),
        ("https://example.org/a.jpg", "Nothing is downloaded"),
        ("data:image/png;base64,AAAA", "Nothing is downloaded"),
        ("a\0b.jpg", "cannot be opened"),
        (None, "Received: NoneType None"),
        (3, "Received: int 3"),
        ({"images": 1}, "Received: dict"),
        ([red_corner()], "Received: list"),
    ]:
        with pytest.raises(ImageError, match=words):
            load_image(source)


def test_tensor_without_values():
    class Symbolic:
        shape, dtype = (None, 5, 3), "float32"

        def numpy(self):
            raise NotImplementedError("symbolic")

    with pytest.raises(ImageError, match=r"compiled function.*float32 tensor \(None, 5, 3\)"):
        load_image(Symbolic())


def one_bit_png(width, height):
    """Write a huge black PNG without ever holding its pixels."""

    def chunk(name, body):
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("width", [10_000, 20_000])
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_decompression_bomb(width, action):
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(ImageError, match=r"More than 89478485 pixels.*MAX_IMAGE_PIXELS"):
            load_image(one_bit_png(width, 10_000), (8, 9))


def test_the_limit_is_pillows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 59)
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(ImageError, match="More than 59"),
    ):
        load_image(encoded(Image.new("L", (WIDTH, HEIGHT))))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load_image(encoded(Image.new("L", (WIDTH, HEIGHT)))).shape == (6, 10, 3)


def test_describe_source(tmp_path):
    assert describe_source("photo.jpg") == "photo.jpg"
    assert describe_source(np.zeros((224, 225, 3), np.uint8)) == "uint8 array (224, 225, 3)"
    assert describe_source(Tensor(np.zeros((2, 3), np.float32))) == "float32 tensor (2, 3)"
    assert describe_source(Image.new("L", (10, 6))) == "L PIL image of 6 x 10"
    assert describe_source(b"12345") == "5 bytes"
    assert describe_source("x" * 500) == "..." + "x" * 117
    assert describe_source(io.BytesIO(b"1")) == "file object"
    path = tmp_path / "a.bin"
    path.write_bytes(b"1")
    with path.open("rb") as file:
        assert describe_source(file) == f"file object {path}"
    assert len(describe_source(list(range(1000)))) < 80


def test_as_image_list_one_picture(tmp_path):
    pixels = red_corner()
    singles = ["a.jpg", tmp_path / "a.jpg", b"12", Image.new("L", (3, 4)), pixels, pixels[..., 0]]
    for single in [*singles, io.BytesIO(b"1")]:
        sources, is_single = as_image_list(single)
        assert is_single is True
        assert len(sources) == 1
        assert sources[0] is single
    sources, is_single = as_image_list(Tensor(pixels))
    assert is_single is True
    np.testing.assert_array_equal(sources[0], pixels)


def test_as_image_list_many_pictures(tmp_path):
    mixed = ["a.jpg", tmp_path / "b.png", red_corner(), Image.new("L", (3, 4))]
    assert as_image_list(mixed) == (mixed, False)
    assert as_image_list(tuple(mixed)) == (mixed, False)
    batch = np.stack([red_corner(), red_corner()])
    for images in (batch, Tensor(batch), batch[:1]):
        sources, is_single = as_image_list(images)
        assert is_single is False
        assert [source.shape for source in sources] == [(6, 10, 3)] * images.shape[0]
    assert as_image_list(np.array(["a.jpg", "b.jpg"])) == (["a.jpg", "b.jpg"], False)


def test_as_image_list_refuses(tmp_path):
    for images, words in [
        ([], "At least one"),
        (np.zeros((0, 4, 5, 3), np.uint8), r"At least one.*uint8 array \(0, 4, 5, 3\)"),
        (str(tmp_path), "find_images"),
        (tmp_path, "find_images"),
        ({"images": []}, "out of a dict"),
        ((name for name in "ab"), "generator"),
        (None, "Received: NoneType"),
        (np.zeros((1, 2, 3, 4, 5)), r"\[B, H, W, C\]"),
        (np.zeros(4), r"\[H, W, C\]"),
    ]:
        with pytest.raises(ImageError, match=words):
            as_image_list(images)


def test_image_digest(tmp_path):
    path = tmp_path / "photo.bin"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert image_digest(path) == image_digest(b"abc") == image_digest(io.BytesIO(b"abc"))
    assert image_digest(str(path)) == expected
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert image_digest(array) == hashlib.sha256(b"|u1(2, 4, 3)" + bytes(range(24))).hexdigest()
    assert image_digest(array) == image_digest(Tensor(array))
    assert image_digest(array) == image_digest(Image.fromarray(array))
    assert image_digest(array) != image_digest(array.reshape(4, 2, 3))
    assert image_digest(array) != image_digest(array.astype(np.int8))
    for source in (tmp_path / "none.jpg", tmp_path, "http://example.org/a.jpg", None):
        with pytest.raises(ImageError, match="Received: "):
            image_digest(source)
