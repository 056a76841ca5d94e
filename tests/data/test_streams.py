"""Streams of captioned images: tars of a WebDataset and Hugging Face `datasets`."""

import io
import json
import tarfile

import pytest
from cli_pictures import save_picture

from keras_showattend import CaptionTokenizer, DatasetError
from keras_showattend.data import CaptionStream, read_hf_dataset, read_webdataset


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Five encoded images."""
    folder = tmp_path_factory.mktemp("images")
    return [save_picture(folder / f"{seed}.png", seed).read_bytes() for seed in range(5)]


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def tars(tmp_path, contents):
    """Two tars; their captions are text, JSON of several kinds, and missing once."""
    pytest.importorskip("webdataset", reason="the extra `streams` reads tars")
    write_tar(
        tmp_path / "a-0.tar",
        {
            "dogs/1.jpg": contents[0],
            "dogs/1.txt": b"A dog runs.\n\nA dog on grass.\n",
            "cats/1.png": contents[1],
            "cats/1.json": json.dumps({"caption": "A cat.", "width": 4}).encode(),
        },
    )
    write_tar(
        tmp_path / "a-1.tar",
        {
            "2.png": contents[2],
            "2.json": json.dumps(["A red slide.", "Children play."]).encode(),
            "3.png": contents[3],
            "4.png": contents[4],
            "4.json": b"{broken",
        },
    )
    return tmp_path


def test_webdataset(tars, contents):
    stream = read_webdataset(tars)
    with pytest.warns(UserWarning, match="Left out of the stream"):
        items = list(stream)
    assert [(item.id, item.captions) for item in items] == [
        ("dogs/1", ("A dog runs.", "A dog on grass.")),
        ("cats/1", ("A cat.",)),
        ("2", ("A red slide.", "Children play.")),
    ]
    assert [item.image for item in items] == contents[:3]
    # A second pass is the same.
    with pytest.warns(UserWarning, match="Left out of the stream"):
        assert [item.id for item in stream] == ["dogs/1", "cats/1", "2"]
    with pytest.warns(UserWarning, match="Left out"):
        assert [*read_webdataset(f"{tars}/a-*.tar", "json").captions()] == [
            *("A cat.", "A red slide.", "Children play.")
        ]


def test_parts_of_a_stream_are_those_of_processes(contents):
    rows = [{"image": content, "caption": f"number {n}"} for n, content in enumerate(contents)]
    stream = CaptionStream(lambda: rows)
    parts = [list(stream.part(index, 2).captions()) for index in range(2)]
    assert parts == [["number 0", "number 2", "number 4"], ["number 1", "number 3"]]
    assert [*stream.part(1, 2).part(1, 2).captions()] == ["number 3"]
    # Numbers of rows are those of the whole stream.
    assert [item.id for item in stream.part(1, 2)] == ["row 1", "row 3"]
    with pytest.raises(ValueError, match="index=2, count=2"):
        stream.part(2, 2)


def test_what_is_no_webdataset(tmp_path):
    save_picture(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"one or more tars.*holds images"):
        read_webdataset(tmp_path)


def test_a_stream_of_nothing():
    with pytest.raises(DatasetError, match="at least one captioned image"):
        list(CaptionStream(list))
    with pytest.raises(DatasetError, match=r"columns \['image', 'caption'\]"):
        list(CaptionStream(lambda: [{"photo": b"", "words": ""}]))


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_datasets(contents, streaming):
    datasets = pytest.importorskip("datasets", reason="the extra `streams` reads data sets")
    features = datasets.Features(
        {"image": datasets.Image(), "text": datasets.Sequence(datasets.Value("string"))}
    )
    columns = {
        "image": [{"bytes": content, "path": None} for content in contents],
        "text": [[f"first of {n}", f"second of {n}"] for n in range(5)],
    }
    data = datasets.Dataset.from_dict(columns, features=features)
    if streaming:
        data = data.to_iterable_dataset()
    items = list(read_hf_dataset(data))
    # Encoded still: Pillow has not decoded them.
    assert [item.image for item in items] == contents
    assert items[3].captions == ("first of 3", "second of 3")
    with pytest.raises(DatasetError, match="'sentences'"):
        read_hf_dataset(data, caption_column="sentences")
    with pytest.raises(DatasetError, match=r"splits \['train'\]"):
        read_hf_dataset(datasets.DatasetDict({"train": data}))


@pytest.mark.slow
def test_fit_on_a_stream(tiny_captioner, contents):
    rows = [
        {"image": content, "caption": [f"a dog on grass {n}", f"a red cat {n}"]}
        for n, content in enumerate([*contents, b"no image"])
    ]
    stream = CaptionStream(lambda: rows)
    words = CaptionTokenizer.from_captions(stream.captions(), min_count=1)
    # a, dog, on, grass, red, cat, the numbers 0 to 5 and four special tokens.
    assert words.vocabulary_size() == 16
    captioner = tiny_captioner()
    with pytest.warns(UserWarning, match="left out, this one and others"):
        history = captioner.fit(
            stream, batch_size=2, epochs=3, verbose=0, validation_data=stream.part(0, 2)
        )
    assert len(history.history["loss"]) == 3
    assert history.history["loss"][2] < history.history["loss"][0]
    # All captions count in `evaluate`: those of a dataset have the same loss.
    first = CaptionStream(lambda: rows[:4])
    data = {
        "images": [row["image"] for row in rows[:4]],
        "captions": [row["caption"] for row in rows[:4]],
    }
    losses = [
        captioner.evaluate(source, batch_size=8, verbose=0, return_dict=True)["loss"]
        for source in (first, data)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    with pytest.raises(ValueError, match="random_flip=True"):
        captioner.fit(stream, random_flip=True, verbose=0)
