"""Where images are looked for, and which spellings are taken for the same."""

import unicodedata

import pytest
from PIL import Image

from keras_showattend.data import DatasetError, read_captions_file
from keras_showattend.data.image_files import find_files


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4)).save(path, "PNG")


def captions(folder, *names):
    path = folder / "captions.csv"
    path.write_text("image,caption\n" + "".join(f"{name},of {name}\n" for name in names))
    return path


def relative(data, folder):
    return [str(image).removeprefix(f"{folder}/") for image in data.images]


def test_each_image_is_found_where_it_is(tmp_path):
    touch(tmp_path, "a.jpg", "images/b.jpg", "images/c.jpg", "other/d.jpg")
    data = read_captions_file(captions(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg"), strict=True)
    assert relative(data, tmp_path) == ["a.jpg", "images/b.jpg", "images/c.jpg", "other/d.jpg"]


def test_images_in_sub_folders_of_images(tmp_path):
    touch(tmp_path / "coco", "train2014/a.jpg", "train2014/b.jpg", "val2014/c.jpg")
    path = captions(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    data = read_captions_file(path, images=tmp_path / "coco", strict=True)
    found = ["coco/train2014/a.jpg", "coco/train2014/b.jpg", "coco/val2014/c.jpg"]
    assert relative(data, tmp_path) == found


def test_the_folder_with_most_files_counts(tmp_path):
    touch(tmp_path, "a.jpg", "images/a.jpg", "images/b.jpg")
    data = read_captions_file(captions(tmp_path, "a.jpg", "b.jpg"), strict=True)
    assert relative(data, tmp_path) == ["images/a.jpg", "images/b.jpg"]


def test_two_candidates_in_sub_folders_are_none(tmp_path):
    touch(tmp_path, "a.jpg", "x/b.jpg", "y/b.jpg")
    with pytest.warns(UserWarning, match=r"several candidates: b.jpg \(.*x/b.jpg or .*y/b.jpg\)"):
        data = read_captions_file(captions(tmp_path, "a.jpg", "b.jpg"))
    assert data.ids == ["a.jpg"]


def test_forms_of_unicode_and_backslashes_are_no_guess(tmp_path):
    composed = unicodedata.normalize("NFC", "café.jpg")
    decomposed = unicodedata.normalize("NFD", "café.jpg")
    assert composed != decomposed
    touch(tmp_path, f"sub/{decomposed}", "sub/é.jpg", "sub/b.jpg")
    names = [f"sub/{composed}", unicodedata.normalize("NFD", "sub/é.jpg"), "sub\\b.jpg"]
    data = read_captions_file(captions(tmp_path, *names), strict=True)
    assert data.ids == names
    assert relative(data, tmp_path) == [f"sub/{decomposed}", "sub/é.jpg", "sub/b.jpg"]


@pytest.mark.parametrize("name", ["A.jpg", "gone/a.JPG", "C:\\data\\a.JPG", "/elsewhere/a.JPG"])
def test_guesses_are_used_and_reported(tmp_path, name):
    touch(tmp_path, "a.JPG")
    path = captions(tmp_path, name)
    with pytest.warns(UserWarning, match="Used, but to be checked, from captions.csv"):
        data = read_captions_file(path)
    assert relative(data, tmp_path) == ["a.JPG"]
    kind = "image file found under another spelling (used)"
    assert data.problems.counts == {kind: 1}
    with pytest.raises(DatasetError, match="another spelling"):
        read_captions_file(path, strict=True)


def test_two_spellings_are_ambiguous(tmp_path):
    touch(tmp_path, "a.JPG", "a.Jpg", "b.jpg")
    with pytest.warns(UserWarning, match="several candidates: a.jpg"):
        data = read_captions_file(captions(tmp_path, "a.jpg", "b.jpg"))
    assert data.ids == ["b.jpg"]
    # Asked for as it is written, a file is no guess.
    assert read_captions_file(captions(tmp_path, "a.JPG"), strict=True).ids == ["a.JPG"]


def test_absolute_and_missing_paths(tmp_path):
    touch(tmp_path, "a.jpg")
    found = find_files({"1": str(tmp_path / "a.jpg"), "2": "b\0.jpg", "3": ""}, ["none", ""])
    assert found.paths == {"1": str(tmp_path / "a.jpg")}
    assert found.guessed == set()
