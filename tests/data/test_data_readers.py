"""`data`: the data set, its splits, and the readers with their reports of problems."""

import json
import os
import pickle
import random
import warnings

import numpy as np
import pytest
from data_files import save_images, write

from keras_showattend.data import (
    CaptionDataset,
    CaptionedImage,
    DatasetError,
    DatasetReport,
    read_captions_file,
    read_coco,
    read_flickr8k,
)
from keras_showattend.preprocessing.images import load_image


def small(count=3):
    return CaptionDataset(
        (CaptionedImage(f"{n}.jpg", (f"caption {n}",), f"id{n}") for n in range(count)),
        {"train": ["id1", "id0"], "dev": ["id2"]},
    )


@pytest.fixture
def flickr8k(tmp_path):
    save_images(tmp_path / "Flicker8k_Dataset", "a.jpg", "b.jpg", "c.jpg")
    lines = ["a.jpg#0\tA dog .", "b.jpg#0\tB one .", "a.jpg#1\tA second dog .", "c.jpg#0\tC"]
    write(tmp_path / "Flickr8k.token.txt", "\r\n".join(lines))
    write(tmp_path / "Flickr_8k.trainImages.txt", "c.jpg\r\na.jpg\r\n")
    write(tmp_path / "Flickr_8k.devImages.txt", "b.jpg")
    return tmp_path


def test_dataset_is_a_sequence():
    data = small()
    assert len(data) == 3
    assert data.ids == ["id0", "id1", "id2"]
    assert data.images == ["0.jpg", "1.jpg", "2.jpg"]
    assert data.captions == [("caption 0",), ("caption 1",), ("caption 2",)]
    assert data.references() == {f"id{n}": [f"caption {n}"] for n in range(3)}
    assert data[-1].id == "id2"
    assert [item.id for item in data] == data.ids
    assert data[0] in data
    assert repr(data) == "CaptionDataset(3 images, 3 captions, train: 2, dev: 1)"
    assert not data.problems
    with pytest.raises(IndexError):
        data[3]
    assert pickle.loads(pickle.dumps(data)).ids == data.ids


def test_slice_keeps_the_splits_of_what_is_left():
    part = small()[1:]
    assert isinstance(part, CaptionDataset)
    assert part.ids == ["id1", "id2"]
    assert part.split("train").ids == ["id1"]
    with pytest.raises(DatasetError, match="at least one"):
        small()[3:]


def test_splits():
    data = small()
    assert data.split_names == ["train", "dev"]
    assert data.split("train").ids == ["id1", "id0"]
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 2, "dev": 1}
    with pytest.raises(DatasetError, match=r"Received: 'test', of \['train', 'dev'\]"):
        data.split("test")


def test_wrong_dataset():
    item = CaptionedImage("a.jpg", ("a",), "a")
    other = CaptionedImage("b.jpg", ("b",), "b")
    for items, splits in [
        ([], None),
        ([item, item], None),
        ([item, other], {"train": ["c"]}),
        ([item, other], {"train": ["a"], "dev": ["a"]}),
    ]:
        with pytest.raises(DatasetError, match="Received: "):
            CaptionDataset(items, splits)


def test_random_split_is_by_image_and_repeatable():
    names = [f"{n}.jpg" for n in range(50)]
    items = [CaptionedImage(name, ("one", "two"), name) for name in names]
    data = CaptionDataset(items).random_split({"train": 0.7, "dev": 0.2, "test": 0.1}, seed=3)
    parts = {name: set(part.ids) for name, part in data.splits.items()}
    assert {name: len(ids) for name, ids in parts.items()} == {"train": 35, "dev": 10, "test": 5}
    assert set.union(*parts.values()) == set(names)
    random.Random(0).shuffle(items)
    again = CaptionDataset(items).random_split({"train": 0.7, "dev": 0.2, "test": 0.1}, seed=3)
    assert {name: set(part.ids) for name, part in again.splits.items()} == parts
    other = CaptionDataset(items).random_split({"train": 0.7, "dev": 0.2, "test": 0.1}, seed=4)
    assert set(other.split("dev").ids) != parts["dev"]


@pytest.mark.parametrize(
    "fractions", [{}, {"train": 0.5}, {"train": 1.5, "dev": -0.5}, {"train": 0.99, "dev": 0.01}]
)
def test_wrong_random_split(fractions):
    with pytest.raises(DatasetError, match="Received: "):
        small().random_split(fractions)


def test_two_datasets_together():
    problems = DatasetReport({"empty caption": ("a",), "line": ("line 2",)})
    other = CaptionDataset(
        [CaptionedImage("x.jpg", ("an x", "one x"), "x")], {"train": ["x"]}, problems
    )
    both = small()[:2] + other
    assert both.ids == ["id0", "id1", "x"]
    assert both.captions[-1] == ("an x", "one x")
    assert both.split_names == []
    assert both.problems.counts == {"empty caption": 1, "line": 1}
    twice = other.problems.merged(DatasetReport({"empty caption": ("b", "c")}))
    assert twice.found == {"empty caption": ("a", "b", "c"), "line": ("line 2",)}
    with pytest.raises(DatasetError, match=r"ids of a dataset differ.*4 items with 3 ids"):
        both + other
    with pytest.raises(TypeError):
        other + list(other)


def test_report_names_the_first_few():
    report = DatasetReport({"empty caption": ("a", "b", "c", "d", "e"), "line": ("line 2",)})
    assert str(report) == "5 x empty caption: a, b, c, and 2 more\n1 x line: line 2"
    assert report.counts == {"empty caption": 5, "line": 1}
    assert report
    assert not DatasetReport()
    assert str(DatasetReport()) == "no problems"


def test_from_dict(tmp_path):
    save_images(tmp_path, "a.png")
    array = np.zeros((4, 5, 3), np.uint8)
    data = CaptionDataset.from_dict(
        {"images": [tmp_path / "a.png", array], "captions": ["one", ("two", "three")]}
    )
    assert data.ids == [str(tmp_path / "a.png"), "1"]
    assert data.captions == [("one",), ("two", "three")]
    assert data.images[1] is array
    assert load_image(data.images[0]).shape == (4, 5, 3)
    named = CaptionDataset.from_dict(
        {"images": [array, array], "captions": ["one", "two"], "ids": [7, 7]}
    )
    assert named.references() == {"7": ["one", "two"]}


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        None,
        {"images": []},
        {"images": [], "captions": []},
        {"images": [b"1"], "captions": []},
        {"images": [b"1"], "captions": "x"},
        {"images": [b"1"], "captions": ["x"], "ids": []},
        {"images": [b"1"], "captions": ["x"], "labels": ["y"]},
    ],
)
def test_wrong_dict(data):
    with pytest.raises(DatasetError, match="Received: "):
        CaptionDataset.from_dict(data)


def test_problems_of_a_dict():
    data = {
        "images": [b"1", b"2", b"3", "gone.jpg"],
        "captions": [["good", " ", 3, "good "], None, [], "fine"],
    }
    with pytest.warns(UserWarning, match="Left out of the dict") as caught:
        dataset = CaptionDataset.from_dict(data)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert dataset.references() == {"0": ["good"]}
    assert dataset.problems.found == {
        "empty caption": ("0",),
        "caption that is not text": ("0 (int 3)", "1 (NoneType None)"),
        "same caption twice for one image": ("0",),
        "image without captions": ("1", "2"),
        "missing image file": ("gone.jpg",),
    }
    with pytest.raises(DatasetError, match=r"(?s)strict.*2 x image without captions: 1, 2"):
        CaptionDataset.from_dict(data, strict=True)


def test_flickr8k(flickr8k):
    data = read_flickr8k(flickr8k, strict=True)
    assert data.references() == {
        "a.jpg": ["A dog .", "A second dog ."],
        "b.jpg": ["B one ."],
        "c.jpg": ["C"],
    }
    assert data.images[0] == str(flickr8k / "Flicker8k_Dataset" / "a.jpg")
    assert data.split_names == ["train", "dev"]
    assert data.split("train").ids == ["c.jpg", "a.jpg"]
    again = read_flickr8k(
        flickr8k / "Flickr8k.token.txt",
        images=flickr8k / "Flicker8k_Dataset",
        split_files={"mine": flickr8k / "Flickr_8k.devImages.txt"},
    )
    assert again.split_names == ["mine"]
    assert again.split("mine").ids == ["b.jpg"]


def test_flickr8k_problems(flickr8k):
    with (flickr8k / "Flickr8k.token.txt").open("ab") as file:
        file.write(b"\nno tab\nb.jpg#1\t\xff\xfe\nd.jpg#0\tD\na.jpg#2\t  \na.jpg#3\tA dog .\n")
    write(flickr8k / "Flickr_8k.testImages.txt", "a.jpg\nunknown.jpg\n")
    with pytest.warns(UserWarning, match="Left out of Flickr8k.token.txt") as caught:
        data = read_flickr8k(flickr8k)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert data.problems.found == {
        "line that cannot be read": ("line 5", "line 6"),
        "empty caption": ("a.jpg",),
        "same caption twice for one image": ("a.jpg",),
        "missing image file": ("d.jpg",),
        "image in two splits (kept in the first)": ("a.jpg (test)",),
        "split naming an unknown image": ("unknown.jpg (test)",),
    }
    assert data.ids == ["a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(DatasetError, match="'test'"):
        data.split("test")
    with pytest.raises(DatasetError, match="strict"):
        read_flickr8k(flickr8k, strict=True)


def test_flickr8k_wrong_paths(flickr8k, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments in [
        {"folder_or_token_file": empty},
        {"folder_or_token_file": tmp_path / "none.txt"},
        {"folder_or_token_file": flickr8k, "images": tmp_path / "none"},
        {"folder_or_token_file": flickr8k, "images": empty},
        {"folder_or_token_file": flickr8k, "split_files": {"dev": tmp_path / "none.txt"}},
        {"folder_or_token_file": write(empty / "blank.txt", "\n\n")},
    ]:
        with pytest.raises(DatasetError, match="Received: "):
            read_flickr8k(**arguments)


def test_existence_is_checked_with_one_listing(flickr8k, monkeypatch):
    listed = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or listdir(path))
    read_flickr8k(flickr8k, images=flickr8k / "Flicker8k_Dataset")
    assert listed == [str(flickr8k / "Flicker8k_Dataset")]


CSV = (
    'caption,split,image\r\n"A dog, running",train,a.jpg\r\n'
    '"Two\nlines and ""quotes""",,b.jpg\r\n\r\nagain,train,a.jpg\r\n'
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.csv", CSV),
        ("captions.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("captions.txt", CSV),
        ("captions.tsv", CSV.replace('"A dog, running"', "A dog; running").replace(",", "\t")),
        ("captions.csv", CSV.replace(",", ";").replace("dog;", "dog,")),
    ],
)
def test_table(tmp_path, name, content):
    save_images(tmp_path, "a.jpg", "b.jpg")
    path = write(tmp_path / name, content)
    with pytest.warns(UserWarning, match=f"Used, but to be checked, from {name}"):
        data = read_captions_file(path, split_column="split")
    assert data.problems.found == {"caption with a line break (used)": ("b.jpg",)}
    assert data.ids == ["a.jpg", "b.jpg"]
    assert data.captions[0][0].replace(";", ",") == "A dog, running"
    assert data.captions[0][1:] == ("again",)
    assert data.captions[1] == ('Two\nlines and "quotes"',)
    assert {name: part.ids for name, part in data.splits.items()} == {"train": ["a.jpg"]}


def test_table_without_header_and_with_folders(tmp_path):
    save_images(tmp_path / "pics", "one/a.jpg", "two/b.jpg")
    content = "one/a.jpg,A first\ntwo/b.jpg,B\none/a.jpg,A second\n"
    path = write(tmp_path / "captions.csv", content)
    data = read_captions_file(path, images=tmp_path / "pics", strict=True)
    assert data.references() == {"one/a.jpg": ["A first", "A second"], "two/b.jpg": ["B"]}


def test_table_problems(tmp_path):
    save_images(tmp_path, "a.jpg")
    content = b"image,caption\na.jpg,good\na.jpg,A dog, running\na.jpg\na.jpg,caf\xe9\n,nobody\n"
    path = write(tmp_path / "captions.csv", content)
    with pytest.warns(UserWarning, match="4 x line that cannot be read: line 3") as caught:
        data = read_captions_file(path)
    assert caught[0].filename == __file__
    assert data.references() == {"a.jpg": ["good"]}
    found = data.problems.found["line that cannot be read"]
    assert [name.split(" (")[0] for name in found] == ["line 3", "line 4", "line 5", "line 6"]


def test_table_with_an_open_quote(tmp_path):
    save_images(tmp_path, "a.jpg")
    rows = "".join(f"a.jpg,caption {n}\n" for n in range(10_000))
    path = write(tmp_path / "captions.csv", f'image,caption\na.jpg,good\na.jpg,"open\n{rows}')
    with pytest.warns(UserWarning, match="1 x quotation mark that is not closed .*: line 3"):
        data = read_captions_file(path)
    assert data.captions[0][:3] == ("good", '"open', "caption 0")
    assert len(data.captions[0]) == 10_002


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_quotation_mark_swallows_no_rows(tmp_path, ending):
    save_images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    mark = {"csv": ",", "tsv": "\t"}[ending]
    lines = [
        "image,caption",
        'a.jpg,"A dog runs',
        "b.jpg,A cat",
        'c.jpg,a sign "stop"',
        'a.jpg,"Stop" says the sign',
        'b.jpg,"whole"',
    ]
    path = write(tmp_path / f"c.{ending}", "\n".join(lines).replace(",", mark))
    with pytest.warns(UserWarning, match="line 2"):
        data = read_captions_file(path)
    assert data.references() == {
        "a.jpg": ['"A dog runs', '"Stop" says the sign'],
        "b.jpg": ["A cat", "whole"],
        "c.jpg": ['a sign "stop"'],
    }
    kind = "quotation mark that is not closed (used as it is)"
    assert data.problems.found == {kind: ("line 2",)}
    with pytest.raises(DatasetError, match=r"strict=True.*\n1 x quotation mark"):
        read_captions_file(path, strict=True)


def test_a_caption_over_several_lines_is_reported(tmp_path):
    save_images(tmp_path, "a.jpg", "b.jpg")
    path = write(tmp_path / "c.csv", 'image,caption\na.jpg,"One,\ntwo"\nb.jpg,B\n')
    with pytest.warns(UserWarning, match="line break"):
        data = read_captions_file(path)
    assert data.references() == {"a.jpg": ["One,\ntwo"], "b.jpg": ["B"]}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.csv", "photo,text\na.jpg,A\n", r"the columns \['photo', 'text'\]"),
        ("c.csv", "a.jpg,train,A\n", r"the columns \['a.jpg', 'train', 'A'\]"),
        ("c.jsonl", '{"photo": "a.jpg", "text": "A"}\n', r"the columns \['photo', 'text'\]"),
        ("c.json", "{}", "read_coco"),
        ("c.json", "", "with nothing in it"),
        ("c.json", '{"image": ["a.jpg"], "caption": []}', "same number of entries"),
        ("c.json", '{"images": ["a.jpg"]}', r"the keys \['images'\]"),
        ("c.docx", "x", "read_records"),
        ("c.csv", "image,caption\n", "no captioned image: the file has a header and no rows"),
        ("c.csv", "", "no captioned image: the file is empty"),
        ("c.csv", " \n\n", "no captioned image: the file is empty"),
        ("c.jsonl", "\n", "no captioned image: the file is empty"),
        ("c.json", "[]", "a list instead of an object"),
        ("c.csv", "image;caption\na.jpg;caf\xe9\n".encode("latin-1"), "not UTF-8.*cp1252"),
        ("c.txt", "a.jpg#0\tcaf\xe9\n".encode("latin-1"), "not UTF-8.*cp1252"),
        ("c.csv", "image,caption\ngone.jpg,A\n", "none of its 1 image files is there.*images`"),
        ("c.csv", "image,caption\na.jpg,\n", "none of its 1 images has both"),
        ("c.csv", "image,caption\n".encode("utf-16"), "UTF-16"),
        ("c.csv", "image,caption\ngone.jpg,A\n", "1 x missing image file: gone.jpg"),
    ],
)
def test_refused_captions_files(tmp_path, name, content, words):
    save_images(tmp_path, "a.jpg")
    with pytest.raises(DatasetError, match=words) as caught:
        read_captions_file(write(tmp_path / name, content))
    assert "Received: " in str(caught.value)


def test_missing_captions_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DatasetError, match=r"existing file.*Received: "):
            read_captions_file(path)


def test_jsonl(tmp_path):
    save_images(tmp_path / "images", "a.jpg", "b.jpg")
    rows = [
        {"file": "b.jpg", "text": ["B one", "B two"], "part": "dev"},
        {"file": "a.jpg", "text": "A dog\u2028running", "part": None},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = write(tmp_path / "captions.jsonl", lines)
    data = read_captions_file(
        path, image_column="file", caption_column="text", split_column="part", strict=True
    )
    assert data.references() == {"b.jpg": ["B one", "B two"], "a.jpg": ["A dog\u2028running"]}
    assert data.split("dev").ids == ["b.jpg"]


def test_jsonl_problems(tmp_path):
    save_images(tmp_path, "a.jpg")
    lines = ['{"image": "a.jpg", "caption": ["good", 3]}', "{", "[]", '{"image": "a.jpg"}']
    path = write(tmp_path / "captions.jsonl", "\n".join([*lines, '{"image": 3, "caption": "x"}']))
    with pytest.warns(UserWarning, match="Left out of captions.jsonl"):
        data = read_captions_file(path)
    assert data.problems.counts == {"caption that is not text": 1, "line that cannot be read": 4}
    assert data.problems.found["line that cannot be read"] == (
        "line 2 (not a JSON object in UTF-8)",
        "line 3 (not a JSON object in UTF-8)",
        "line 4 (no caption)",
        "line 5 (no image)",
    )


def coco(path, images, annotations):
    return write(path, json.dumps({"images": images, "annotations": annotations}))


def test_coco_in_its_own_layout(tmp_path):
    save_images(tmp_path / "val2017", "000007.jpg", "000005.jpg")
    path = coco(
        tmp_path / "annotations" / "captions_val2017.json",
        [{"id": 7, "file_name": "000007.jpg"}, {"id": 5, "file_name": "000005.jpg"}],
        [
            {"image_id": 5, "id": 1, "caption": "Five\n"},
            {"image_id": 7, "id": 2, "caption": "Seven"},
            {"image_id": 5, "id": 3, "caption": "Again"},
        ],
    )
    data = read_coco(path, strict=True)
    assert data.references() == {"7": ["Seven"], "5": ["Five", "Again"]}
    assert load_image(data.images[1]).shape == (4, 5, 3)
    assert read_coco(path, images=tmp_path / "val2017").ids == ["7", "5"]


def test_coco_problems(tmp_path):
    save_images(tmp_path, "a.jpg", "b.jpg")
    path = coco(
        tmp_path / "c.json",
        [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 3}, 4],
        [{"image_id": 1, "caption": "good"}, {"image_id": 9, "caption": "x"}, {"caption": "y"}],
    )
    with pytest.warns(UserWarning, match="Left out of c.json") as caught:
        data = read_coco(path)
    assert caught[0].filename == __file__
    assert data.problems.found == {
        "entry that cannot be read": ("images[2]", "images[3]", "annotations[2]"),
        "caption of an image that is not listed": ("9",),
        "image without captions": ("2",),
    }


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"images": [], "annotations": 3}', b"\xff{}"]
)
def test_wrong_coco(tmp_path, content):
    with pytest.raises(DatasetError, match=r"COCO captions are.*Received: "):
        read_coco(write(tmp_path / "c.json", content))


def test_quiet_without_problems(flickr8k):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not read_flickr8k(flickr8k).problems
