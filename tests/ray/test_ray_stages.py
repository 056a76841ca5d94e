"""The stages of bulk captioning, called as Ray calls them."""

import io
import tarfile

import numpy as np
import pytest
from cli_pictures import save_picture

from keras_showattend.preprocessing import load_image
from keras_showattend.ray import CaptionImages, DecodeImages
from keras_showattend.ray.preset_files import PresetFiles

pytest.importorskip("pyarrow", reason="the extra `ray` reads and writes files with pyarrow")

from keras_showattend.data.storage import list_source, locate
from keras_showattend.ray.parts import CaptionParts, WriteParts
from keras_showattend.ray.reading import PathSet, ReadImages

pytest_plugins = ["cli_fixtures"]

SETTINGS = {"preset": "tiny", "settings": "num_beams=1"}


@pytest.fixture
def files(tmp_path):
    """Three images and one that is none, in a folder."""
    folder = tmp_path / "images"
    paths = [save_picture(folder / f"{name}.png", seed) for seed, name in enumerate("abc")]
    (folder / "d.png").write_bytes(b"no image")
    return [*paths, folder / "d.png"]


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for file in files:
            archive.add(file, file.name)
            archive.addfile(tarfile.TarInfo(file.stem + ".txt"), io.BytesIO())
    return path


def write_parquet(path, columns):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def read(source, done=(), **columns):
    """All rows of a source, marks of the end of a file left out, and the marks."""
    listing = list_source(source)
    stage = ReadImages(listing.location, listing.kind, PathSet(done), **columns)
    batches = list(stage({"file": listing.paths}))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    values = zip(*columns.values(), strict=True)
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    return [row for row in rows if row["rows"] < 0], [row for row in rows if row["rows"] >= 0]


def test_decode_every_kind_of_column(files):
    expected = load_image(files[0], (6, 9))
    content = files[0].read_bytes()
    array = load_image(files[0])
    decode = DecodeImages((6, 9))
    for value in (content, str(files[0]), files[0].as_uri(), array, array.tolist()):
        found = decode({"image": [value], "id": [4]})
        assert sorted(found) == ["error", "id", "pixels"]
        assert found["pixels"].dtype == np.uint8
        np.testing.assert_array_equal(found["pixels"][0], expected)
    for value in ({"bytes": content, "path": None}, {"bytes": None, "path": str(files[0])}):
        np.testing.assert_array_equal(decode({"image": [value]})["pixels"][0], expected)


def test_rows_that_fail_carry_an_error(files):
    values = [files[0].read_bytes(), None, b"no image", "file:///no/such.png", files[1]]
    found = DecodeImages((6, 9))({"image": values})
    assert [error is None for error in found["error"]] == [True, False, False, False, True]
    assert "Each row needs an image" in found["error"][1]
    assert "no image Pillow can read" in found["error"][2]
    assert "could not be fetched" in found["error"][3]
    assert not found["pixels"][1:4].any()


def test_a_column_that_is_not_there():
    with pytest.raises(ValueError, match=r"image_column='image', of the columns \['photo'\]"):
        DecodeImages((6, 9))({"photo": [b""]})


def test_captions_are_those_of_generate(tiny_preset, files):
    from keras_showattend import ImageCaptioner

    contents = [path.read_bytes() for path in files]
    stage = CaptionImages(PresetFiles.read(tiny_preset), num_beams=2, batch_size=2)
    found = stage({"image": contents, "id": np.arange(4)})
    captioner = ImageCaptioner.from_preset(tiny_preset)
    expected = captioner.generate(contents[:3], num_beams=2, batch_size=2, return_all_beams=True)
    assert list(found["caption"]) == [*(beams[0].text for beams in expected), ""]
    np.testing.assert_allclose(
        found["log_probability"],
        [*(beams[0].log_probability for beams in expected), np.nan],
        rtol=1e-5,
    )
    assert [error is None for error in found["error"]] == [True, True, True, False]
    assert np.isnan(found["confidence"]).all()
    assert list(found["id"]) == [0, 1, 2, 3]
    # Decoded beforehand, the images have the same captions; NaN is what Ray makes of None.
    decoded = DecodeImages((32, 48))({"image": contents})
    decoded["error"] = np.array([np.nan, np.nan, np.nan, decoded["error"][3]], object)
    again = stage(decoded)
    assert "pixels" not in again
    assert list(again["caption"]) == list(found["caption"])
    np.testing.assert_allclose(again["log_probability"], found["log_probability"], rtol=1e-5)


def test_wrong_options_are_refused_at_once(tiny_preset):
    with pytest.raises(ValueError, match="num_beams"):
        CaptionImages(tiny_preset, num_beams=0)
    with pytest.raises(ValueError, match="engine='abacus'"):
        CaptionImages(tiny_preset, engine="abacus")


def test_sources(files, tmp_path):
    folder = files[0].parent
    (folder / "captions.txt").write_text("a caption")
    save_picture(folder / ".thumbnails" / "a.png")
    paths = [str(path) for path in files]
    for source in (folder, f"{folder}/*.png", f"{folder.parent}/**/[a-d].png", folder.as_uri()):
        listing = list_source(source)
        assert (listing.kind, listing.paths) == ("images", paths)
    assert list_source(f"{folder}/[ab].png").paths == paths[:2]
    assert list_source(files[0]).paths == paths[:1]
    write_tar(tmp_path / "a.tar", files)
    assert list_source(f"{tmp_path}/*.tar").kind == "tar"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing", "existing file, folder, glob or URI"),
        ("*.jpg", "which holds none of them"),
        ("mixed", "which holds 1 images, 1 tar"),
        ("zz://host/folder", "zz"),
    ],
)
def test_sources_that_are_refused(source, message, tmp_path):
    save_picture(tmp_path / "mixed" / "a.jpg")
    (tmp_path / "mixed" / "a.tar").write_bytes(b"")
    name = source if "://" in source else f"{tmp_path}/{source}"
    with pytest.raises(ValueError, match=message):
        list_source(name)


def test_rows_of_images(files, tmp_path):
    files[1].unlink()
    files[1].mkdir()
    listing = list_source(files[0].parent)
    stage = ReadImages(listing.location, "images")
    [batch] = stage({"file": [str(path) for path in files]})
    assert list(batch["path"]) == [str(path) for path in files]
    assert batch["image"][0] == files[0].read_bytes()
    assert batch["image"][1] is None
    assert "could not be fetched" in batch["error"][1]
    assert list(batch["rows"]) == [-1, -1, -1, -1]


def test_rows_of_tars(files, tmp_path):
    path = write_tar(tmp_path / "shard-000.tar", files)
    rows, [end] = read(path)
    assert [row["path"] for row in rows] == [f"{path}/{name}.png" for name in "abcd"]
    assert [row["image"] for row in rows] == [file.read_bytes() for file in files]
    assert (end["file"], end["rows"]) == (str(path), 4)
    rows, [end] = read(path, done=[f"{path}/a.png", f"{path}/c.png"])
    assert ([row["path"][-5] for row in rows], end["rows"]) == (["b", "d"], 2)


def test_a_damaged_tar_gives_what_is_before_the_damage(files, tmp_path):
    path = write_tar(tmp_path / "shard.tar", files)
    path.write_bytes(path.read_bytes()[:1700])
    rows, [end] = read(path)
    assert [row["path"] for row in rows] == [f"{path}/a.png", str(path)]
    assert rows[1]["error"].startswith("The rest of the file could not be read")
    assert end["rows"] == 2


def test_rows_of_parquet(files, tmp_path):
    contents = [file.read_bytes() for file in files]
    structs = [{"bytes": content, "path": None} for content in contents]
    path = write_parquet(tmp_path / "a.parquet", {"id": [7, 8, 9, 11], "image": structs})
    rows, [end] = read(path, done=["9"])
    assert [row["path"] for row in rows] == ["7", "8", "11"]
    assert [row["image"] for row in rows] == [contents[0], contents[1], contents[3]]
    assert end["rows"] == 3
    # Paths beside the file, named by themselves.
    relative = [f"images/{file.name}" for file in files]
    path = write_parquet(tmp_path / "b.parquet", {"path": relative})
    rows, _ = read(path)
    assert [row["path"] for row in rows] == relative
    assert [row["image"] for row in rows] == [str(file) for file in files]
    # Without names, the content is the name.
    path = write_parquet(tmp_path / "c.parquet", {"photo": contents})
    rows, _ = read(path, image_column="photo")
    assert len({row["path"] for row in rows}) == 4
    assert rows[0]["path"].startswith("sha256:")
    [row], [end] = read(path)
    assert "of the columns ['photo']" in row["error"]
    assert end["rows"] == 1


def test_path_set():
    names = [f"s3://bucket/{number}.jpg" for number in range(500)]
    found = PathSet(names)
    assert len(found) == 500
    assert all(name in found for name in names)
    assert "s3://bucket/500.jpg" not in found
    assert "anything" not in PathSet()


def batch_of(paths, errors=(), rows=None):
    count = len(paths)
    return {
        "file": np.array(paths, object),
        "path": np.array(paths, object),
        "caption": np.array([f"caption of {path}" for path in paths], object),
        "log_probability": np.full(count, -3.5),
        "score": np.full(count, -0.5),
        "confidence": np.full(count, np.nan),
        "complete": np.full(count, True),
        "error": np.array([*errors, *[None] * (count - len(errors))], object),
        "rows": np.full(count, -1) if rows is None else np.array(rows),
    }


@pytest.mark.parametrize("file_format", ["parquet", "jsonl"])
def test_parts_round_trip(file_format, tmp_path):
    location = locate(tmp_path / "out")
    parts = CaptionParts(location, file_format)
    parts.prepare(SETTINGS)
    assert list(parts.done()) == []
    write = WriteParts(location, file_format, SETTINGS)
    counts = write(batch_of(["a", "b", "ü"], errors=["damaged"]))
    assert counts["file"].tolist() == ["a", "b", "ü"]
    assert counts["written"].tolist() == [1, 1, 1]
    assert counts["errors"].tolist() == [1, 0, 0]
    write(batch_of(["c"]))
    # A task that runs twice.
    write(batch_of(["c"]))
    assert sorted(parts.done()) == ["a", "b", "c", "ü"]
    row = next(row for row in parts.rows() if row["path"] == "b")
    numbers = {"log_probability": -3.5, "score": -0.5, "confidence": None}
    texts = {"path": "b", "caption": "caption of b", "error": None, **SETTINGS}
    assert row == {**texts, **numbers, "complete": True}
    # The row with an error goes, the others of its part stay.
    assert sorted(parts.done(retry_errors=True)) == ["b", "c", "ü"]
    assert sorted(parts.done()) == ["b", "c", "ü"]


def test_marks_of_the_end_are_counted_and_not_written(tmp_path):
    location = locate(tmp_path)
    batch = batch_of(["x", "y", None], rows=[-1, -1, 2])
    batch["file"] = np.array(["a.tar", "a.tar", "a.tar"], object)
    counts = WriteParts(location, "jsonl", {})(batch)
    assert counts.pop("file").tolist() == ["a.tar"]
    found = {name: int(value[0]) for name, value in counts.items()}
    assert found == {"written": 2, "rows": 2, "errors": 0, "cut": 0}
    assert list(CaptionParts(location, "jsonl").done()) == ["x", "y"]


def test_outputs_that_are_refused(tmp_path):
    location = locate(tmp_path)
    (tmp_path / "mine.parquet").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"starts in an empty folder.*mine\.parquet"):
        CaptionParts(location, "parquet").prepare(SETTINGS)
    (tmp_path / "mine.parquet").unlink()
    CaptionParts(location, "parquet").prepare(SETTINGS)
    for other in (("jsonl", SETTINGS), ("parquet", {**SETTINGS, "settings": "num_beams=5"})):
        with pytest.raises(ValueError, match="one captioner with one set of options"):
            CaptionParts(location, other[0]).prepare(other[1])
    (tmp_path / "part-1.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"delete the damaged one.*part-1\.parquet"):
        list(CaptionParts(location, "parquet").done())
    (tmp_path / "_settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"Received: a damaged one"):
        CaptionParts(location, "parquet").prepare(SETTINGS)


def test_what_a_killed_writer_had_begun_is_removed(tmp_path):
    begun = tmp_path / ".0123456789ab.partial-part-1.parquet"
    begun.write_bytes(b"PAR1")
    parts = CaptionParts(locate(tmp_path), "parquet")
    parts.prepare(SETTINGS)
    assert not begun.exists()
    assert list(parts.done()) == []
