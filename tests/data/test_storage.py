"""Sources and outputs in an object store, which a local server stands for."""

import os

import pytest
from cli_pictures import save_picture
from s3_server import s3_server

pytest.importorskip("pyarrow", reason="the extra `ray` reads and writes files with pyarrow")
pytest.importorskip("moto", reason="moto[server] is the local object store")

from keras_showattend.data.storage import list_source, locate, read_bytes, write_bytes
from keras_showattend.ray.parts import CaptionParts
from keras_showattend.ray.reading import ReadImages


@pytest.fixture(scope="module")
def store():
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as server:
        yield server


@pytest.fixture(scope="module")
def contents(store, tmp_path_factory):
    """Three images of the store, by name; a percent sign and a space are part of names."""
    folder = tmp_path_factory.mktemp("images")
    found = {}
    for seed, name in enumerate(["a.png", "b 100%.png", "c.png"]):
        found[name] = save_picture(folder / name, seed).read_bytes()
        write_bytes(locate(store.uri("images")), name, found[name])
    return found


def test_objects_come_back_though_each_first_request_fails(store, contents):
    location = locate(store.uri("images"))
    for name, content in contents.items():
        assert read_bytes(location.filesystem, location.child(name)) == content
    assert store.requests["GET", "/bucket/images/c.png"] >= 2
    with pytest.raises(FileNotFoundError):
        read_bytes(location.filesystem, location.child("d.png"))


def test_rows_of_a_store_that_answers_slowly(store, contents, monkeypatch):
    monkeypatch.setattr(store, "delay", 0.05)
    for source in ("images", "images/*.png"):
        listing = list_source(store.uri(source))
        assert listing.paths == [f"bucket/images/{name}" for name in contents]
    stage = ReadImages(listing.location, listing.kind)
    [batch] = stage({"file": [*listing.paths, "bucket/images/gone.png"]})
    assert list(batch["path"][:3]) == [f"s3://bucket/images/{name}" for name in contents]
    assert list(batch["image"]) == [*contents.values(), None]
    assert "could not be fetched" in batch["error"][3]


def test_an_output_in_a_store(store):
    location = locate(store.uri("captions"))
    for _ in range(2):
        parts = CaptionParts(location, "jsonl")
        parts.prepare({"preset": "tiny"})
    assert list(parts.done()) == []
    write_bytes(location, "part-1.jsonl", b'{"path": "a", "error": null}\n')
    write_bytes(location, "part-2.jsonl", b'{"path": "b", "error": "damaged"}\n')
    assert list(parts.done()) == ["a", "b"]
    assert list(parts.done(retry_errors=True)) == ["a"]
    assert parts._names(("jsonl",)) == ["part-1.jsonl"]
    with pytest.raises(ValueError, match="s3://bucket/captions was made with"):
        parts.prepare({"preset": "other"})


def test_uris_of_disks_and_of_other_file_systems(tmp_path):
    (tmp_path / "a b.txt").write_bytes(b"words")
    location = locate((tmp_path).as_uri())
    assert (location.path, location.prefix) == (os.fspath(tmp_path), "")
    location = locate("memory://folder")
    write_bytes(location, "a.txt", b"words")
    assert location.prefix == "memory://"
    assert read_bytes(location.filesystem, location.child("a.txt")) == b"words"
