"""`check_images`: unreadable images are left out with their names, or refused together."""

import numpy as np
import pytest
from captioner_checks import picture, save_pictures

from keras_showattend import CaptionDataset, DatasetError, ImageError
from keras_showattend.data import check_images
from keras_showattend.data.report import UNREADABLE_IMAGE
from keras_showattend.preprocessing.images import image_digest, load_image


@pytest.fixture
def damaged(tmp_path):
    """Five images, of which the second is cut off and the fourth is no image."""
    paths = save_pictures(tmp_path, 5)
    with open(paths[1], "rb+") as file:
        file.truncate(60)
    with open(paths[3], "wb") as file:
        file.write(b"no picture")
    ids = ["a", "b", "c", "d", "e"]
    data = {"images": paths, "captions": [["A dog."]] * 5, "ids": ids}
    dataset = CaptionDataset.from_dict(data)
    return dataset.random_split({"train": 0.6, "dev": 0.4}, seed=1)


def test_unreadable_images_are_left_out_with_their_names(damaged):
    with pytest.warns(UserWarning, match=r"2 of 5 images cannot be read .*:\nb: .*\nd: "):
        good = check_images(damaged)
    assert good.ids == ["a", "c", "e"]
    assert good.problems.found == {UNREADABLE_IMAGE: ("b", "d")}
    assert sorted(good.split("train").ids + good.split("dev").ids) == ["a", "c", "e"]
    assert damaged.ids == ["a", "b", "c", "d", "e"]
    # The report of a dataset that was joined with another one names those of both.
    more = CaptionDataset.from_dict({"images": [b"no picture"], "captions": ["x"], "ids": ["f"]})
    with pytest.warns(UserWarning, match="1 of 4 images"):
        assert check_images(good + more).problems.found == {UNREADABLE_IMAGE: ("b", "d", "f")}


def test_strict_names_all(damaged):
    with pytest.raises(DatasetError, match=r"2 of 5 images .* Received:\nb: .*\nd: ") as caught:
        check_images(damaged, strict=True)
    assert str(caught.value).count("\n") == 2


def test_many_names_are_cut_in_the_warning(tmp_path):
    paths = [tmp_path / f"{number:02}.png" for number in range(15)]
    for path in paths[1:]:
        path.write_bytes(b"")
    save_pictures(tmp_path, 1)[0]
    paths[0].write_bytes((tmp_path / "picture_0.png").read_bytes())
    dataset = CaptionDataset.from_dict(
        {"images": paths, "captions": ["A dog."] * 15, "ids": [str(n) for n in range(15)]}
    )
    with pytest.warns(UserWarning, match=r"\n10: .*\nand 4 more$"):
        good = check_images(dataset)
    assert len(good.problems.found[UNREADABLE_IMAGE]) == 14


def test_nothing_that_can_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    data = {"images": [tmp_path / "a.png"], "captions": ["A dog."]}
    with pytest.raises(ImageError, match=r"None of 1 images can be read. The first: .*a\.png"):
        check_images(CaptionDataset.from_dict(data))


def test_a_wrong_array_is_an_error_of_the_program():
    images = [picture(0), picture(1) / 255]
    dataset = CaptionDataset.from_dict({"images": images, "captions": ["A dog."] * 2})
    with pytest.raises(ImageError, match="look like 0..1"):
        check_images(dataset)


def test_whole_datasets_are_read_once(tmp_path):
    dataset = CaptionDataset.from_dict(
        {"images": save_pictures(tmp_path, 3), "captions": ["A dog."] * 3}
    )
    seen = []

    def load(image):
        seen.append(image)
        return load_image(image)

    assert check_images(dataset, load=load) is dataset
    assert sorted(seen) == dataset.images
    assert check_images(dataset, load=load) is dataset
    assert len(seen) == 3


def test_known_images_are_not_decoded(tmp_path):
    paths = save_pictures(tmp_path, 2)
    dataset = CaptionDataset.from_dict({"images": paths, "captions": ["A dog."] * 2})
    seen = []
    check_images(dataset, load=seen.append, known={image_digest(paths[0])})
    assert seen == [paths[1]]


def test_feature_cache_knows_its_images(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.backbone.image_encoder.trainable = False
    cache = captioner.feature_cache(tmp_path / "cache")
    cache.compute([picture(0)], progress=False)
    assert image_digest(picture(0)) in cache
    assert image_digest(picture(1)) not in cache


def test_a_cache_that_cannot_be_written(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    captioner.backbone.image_encoder.trainable = False
    (tmp_path / "file").write_text("")
    data = {"images": np.stack([picture(0)]), "captions": ["a dog"]}
    with pytest.raises(OSError, match=r"`feature_cache=FOLDER`.*'.*file/sub/"):
        captioner.fit(data, feature_cache=tmp_path / "file" / "sub", verbose=0)
