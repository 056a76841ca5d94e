"""`ImageInputs`: flips and windows of the images of a batch."""

import numpy as np
import pytest

from keras_showattend.data import Features
from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.training import ImageInputs

ROWS, COLUMNS, DEPTH, IMAGES = 6, 8, 3, 5


def new_features(spatial=True, flipped=True):
    """Every number tells its image, row and column: 10,000 i + 100 r + c; mirrored + 0.5."""
    image, row, column = np.meshgrid(
        np.arange(IMAGES), np.arange(ROWS), np.arange(COLUMNS), indexing="ij"
    )
    values = (1000.0 * image + 100 * row + column).reshape(IMAGES, ROWS * COLUMNS, 1)
    values = np.repeat(values, DEPTH, axis=2)
    shards = {"plain": values, "flipped": values + 0.5}
    places = [[(name, index) for index in range(IMAGES)] for name in shards]
    grid = (ROWS, COLUMNS) if spatial else None
    return Features(shards, places[0], places[1] if flipped else None, grid)


def new_inputs(features, **options):
    converter = CaptionImageConverter((ROWS, COLUMNS))
    return ImageInputs([None] * IMAGES, converter, features, **options)


def test_frozen_features_keep_rows_and_columns():
    found = new_inputs(new_features()).gather([3, 1], batch=0)
    assert list(found) == ["frozen_features"]
    assert found["frozen_features"].shape == (2, ROWS, COLUMNS, DEPTH)
    assert found["frozen_features"][0, 4, 7].tolist() == [3407.0] * DEPTH


def test_annotations():
    found = new_inputs(new_features(spatial=False)).gather([2], batch=0)
    assert list(found) == ["annotations"]
    assert found["annotations"].shape == (1, ROWS * COLUMNS, DEPTH)


def test_windows():
    inputs = new_inputs(new_features(), random_window=0.5)
    windows = [inputs.gather(range(IMAGES), batch)["frozen_features"] for batch in range(40)]
    # All of the image first, then the smallest window, so that no side seems fixed.
    assert windows[0].shape[1:3] == (6, 8)
    assert windows[1].shape[1:3] == (4, 4)
    assert {w.shape[1] for w in windows} == {4, 6}
    assert {w.shape[2] for w in windows} == {4, 6, 8}
    corners = set()
    for window in windows:
        for image, values in enumerate(window[..., 0]):
            top, left = divmod(values[0, 0] - 1000 * image, 100)
            corners.add((top, left))
            rows, columns = values.shape
            expected = values[0, 0] + 100 * np.arange(rows)[:, None] + np.arange(columns)
            np.testing.assert_array_equal(values, expected)
            assert top + rows <= ROWS
            assert left + columns <= COLUMNS
    assert {top for top, _ in corners} == {0, 1, 2}
    assert {left for _, left in corners} == {0, 1, 2, 3, 4}


def test_flips():
    inputs = new_inputs(new_features(), random_flip=True, seed=3)
    flipped = [
        inputs.gather(range(IMAGES), batch)["frozen_features"][:, 0, 0, 0] % 1 > 0
        for batch in range(40)
    ]
    assert 70 <= np.sum(flipped) <= 130
    assert not all(row.all() or not row.any() for row in flipped)


def test_same_epoch_same_chance():
    inputs = new_inputs(new_features(), random_flip=True, random_window=0.5)

    def epoch(number):
        inputs.start_epoch(number)
        return [inputs.gather(range(IMAGES), batch)["frozen_features"] for batch in range(6)]

    first, second, again = epoch(0), epoch(1), epoch(0)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("random_window", [0, -0.5, 1.5])
def test_window_outside_its_range(random_window):
    with pytest.raises(ValueError, match=r"`random_window` must be in \(0, 1\]"):
        new_inputs(new_features(), random_window=random_window)


@pytest.mark.parametrize("features", [None, new_features(spatial=False)])
def test_window_of_what_cannot_be_cut(features):
    with pytest.raises(ValueError, match=r"`random_window` cuts the features .* Received: random"):
        new_inputs(features, random_window=0.9)


def test_flips_need_mirrored_features():
    with pytest.raises(ValueError, match="`random_flip` needs the features of mirrored images"):
        new_inputs(new_features(flipped=False), random_flip=True)
