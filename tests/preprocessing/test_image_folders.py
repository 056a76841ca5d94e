"""Which files of a folder are images, and which of them are read."""

import subprocess
import sys

import pytest

from keras_showattend.preprocessing.image_formats import (
    has_image_extension,
    image_extensions,
    unreadable_image_extensions,
)
from keras_showattend.preprocessing.images import ImageError, find_images, list_images


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_find_images(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    touch(tmp_path, "b.JPG", "a.jpeg", "c.webp", "d.tif", "notes.txt", ".e.jpg", "sub/f.png")
    touch(tmp_path, ".hidden/g.png")
    found = find_images(tmp_path)
    expected = ["a.jpeg", "b.JPG", "c.webp", "d.tif", "sub/f.png"]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == expected
    flat = find_images(str(tmp_path), recursive=False)
    assert [path.name for path in flat] == ["a.jpeg", "b.JPG", "c.webp", "d.tif"]
    with pytest.raises(ImageError, match="existing folder"):
        find_images(tmp_path / "none")
    with pytest.raises(ImageError, match="pass a file to"):
        find_images(tmp_path / "b.JPG")


def test_list_images_names_what_is_not_read(tmp_path):
    touch(tmp_path, "a.jfif", "b.jp2", "c.PSD", "d.svg", "sub/e.kra", ".f.svg")
    touch(tmp_path, "g.pdf", "h.mpg", "i.csv", "j")
    listing = list_images(tmp_path)
    assert [path.name for path in listing.images] == ["a.jfif", "b.jp2", "c.PSD"]
    assert [path.name for path in listing.unreadable] == ["d.svg", "e.kra"]
    assert [path.name for path in list_images(tmp_path, recursive=False).unreadable] == ["d.svg"]


def test_extensions_come_from_pillow():
    assert {".jpg", ".jpe", ".jfif", ".png", ".apng", ".mpo", ".tif", ".qoi"} <= image_extensions()
    others = {".pdf", ".eps", ".ps", ".mpg", ".h5", ".wmf", ".grib", ".fits"}
    assert not image_extensions() & others
    assert not image_extensions() & unreadable_image_extensions()
    # HEIC is readable or not, as `pillow-heif` is installed; it is an image either way.
    assert has_image_extension("IMG_0001.HEIC")
    assert has_image_extension("scan.svg")
    assert not has_image_extension("notes.txt")
    assert not has_image_extension("jpg")


def test_listing_imports_no_keras(tmp_path):
    touch(tmp_path, "a.jpg")
    code = """
import sys
from keras_showattend.preprocessing.images import list_images
print(len(list_images(sys.argv[1]).images), {"keras", "tensorflow"} & set(sys.modules))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "1 set()\n"
