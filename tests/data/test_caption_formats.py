"""Captions in the forms people have them in: each is read, or the error names what reads it."""

import json

import numpy as np
import pytest
from data_files import save_images, write
from PIL import Image

from keras_showattend.data import DatasetError, read_captions_file, read_coco, read_records


@pytest.fixture
def folder(tmp_path):
    save_images(tmp_path, "a.jpg", "b.jpg")
    return tmp_path


BOTH = {"a.jpg": ["A one", "A two"], "b.jpg": ["B one"]}


def test_flickr30k_results(folder):
    lines = [
        "image_name| comment_number| comment",
        'a.jpg| 0| A "one" , said',
        "a.jpg| 1| A two",
        "b.jpg| 4   A dog runs .",
        "b.jpg| 0| B one",
    ]
    path = write(folder / "results.csv", "\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match=r"1 x line that cannot be read: line 4 \(2 columns"):
        data = read_captions_file(path)
    assert data.references() == {"a.jpg": ['A "one" , said', "A two"], "b.jpg": ["B one"]}


@pytest.mark.parametrize("name", ["c.txt", "results_20130124.token", "Flickr8k.token.txt"])
def test_token_lines(folder, name):
    lines = "a.jpg#0\tA one\na.jpg#1\tA two\nb.jpg#0\tB one\n"
    path = write(folder / name, lines)
    assert read_captions_file(path, strict=True).references() == BOTH
    write(folder / "Flickr_8k.devImages.txt", "b.jpg\n")
    assert read_captions_file(path).split("dev").ids == ["b.jpg"]


def test_karpathy(tmp_path):
    save_images(tmp_path, "train2014/x1.jpg", "val2014/x2.jpg")
    images = [
        {
            "filepath": "train2014",
            "filename": "x1.jpg",
            "cocoid": 11,
            "split": "restval",
            "sentences": [{"tokens": ["a", "dog"], "raw": "A dog."}, {"tokens": ["two"]}],
        },
        {
            "filepath": "val2014",
            "filename": "x2.jpg",
            "cocoid": 22,
            "split": "test",
            "sentences": [{"tokens": ["a", "cat"], "raw": "A cat."}, {"raw": "Grey."}, "One"],
        },
    ]
    path = write(tmp_path / "dataset_coco.json", json.dumps({"images": images, "dataset": "coco"}))
    data = read_captions_file(path, strict=True)
    assert data.references() == {"11": ["A dog.", "two"], "22": ["A cat.", "Grey.", "One"]}
    assert {name: part.ids for name, part in data.splits.items()} == {
        "restval": ["11"],
        "test": ["22"],
    }
    with pytest.raises(DatasetError, match=r"read_captions_file.*keys \['images', 'dataset'\]"):
        read_coco(path)


def test_karpathy_without_folders_is_known_by_file_name(folder):
    images = [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A", "tokens": ["a"]}]},
        {"filename": "b.jpg"},
    ]
    path = write(folder / "dataset_flickr8k.json", json.dumps({"images": images}))
    with pytest.warns(UserWarning, match=r"entry that cannot be read: images\[1\]"):
        data = read_captions_file(path)
    assert data.references() == {"a.jpg": ["A"]}
    assert data.split("train").ids == ["a.jpg"]


def test_coco_through_the_one_entry(tmp_path):
    save_images(tmp_path, "val2017/a.jpg")
    content = {
        "images": [{"id": 3, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 3, "caption": "A"}],
    }
    path = write(tmp_path / "annotations" / "captions_val2017.json", json.dumps(content))
    assert read_captions_file(path, strict=True).references() == {"3": ["A"]}


@pytest.mark.parametrize(
    "content",
    [
        [
            {"image": "a.jpg", "caption": "A one", "image_id": "1"},
            {"image": "a.jpg", "caption": "A two"},
            {"image": "b.jpg", "caption": "B one"},
        ],
        [{"image": "a.jpg", "caption": ["A one", "A two"]}, {"image": "b.jpg", "caption": "B one"}],
        {"image": ["a.jpg", "b.jpg"], "caption": [["A one", "A two"], "B one"]},
        {"a.jpg": ["A one", "A two"], "b.jpg": "B one"},
        [
            {"filename": "a.jpg", "sentences": [{"raw": "A one"}, {"tokens": ["A", "two"]}]},
            {"filename": "b.jpg", "sentences": [{"raw": "B one"}]},
        ],
    ],
)
def test_json_records(folder, content):
    path = write(folder / "blip.json", json.dumps(content))
    assert read_captions_file(path, strict=True).references() == BOTH


def test_json_lines_in_a_json_file(folder):
    rows = [{"file_name": "a.jpg", "text": "A one"}, {"file_name": "a.jpg", "text": "A two"}]
    rows.append({"file_name": "b.jpg", "text": "B one"})
    for name in ("metadata.json", "metadata.jsonl"):
        path = write(folder / name, "\n".join(map(json.dumps, rows)) + "\n")
        assert read_captions_file(path, strict=True).references() == BOTH


@pytest.mark.parametrize(
    "content",
    [
        "image,caption_0,caption_1,caption_2\na.jpg,A one,A two,\nb.jpg,B one,,\n",
        "Image;Caption 1;Caption 2\na.jpg;A one;A two\nb.jpg;B one;\n",
        "sep=;\nimage;caption\na.jpg;A one\na.jpg;A two\nb.jpg;B one\n",
        '"sep=,"\r\nfilename,text\r\na.jpg,A one\r\na.jpg,A two\r\nb.jpg,B one\r\n',
        "a.jpg;A one\na.jpg;A two\nb.jpg;B one\n",
        "id|image_name|comment\n0|a.jpg|A one\n1|a.jpg|A two\n0|b.jpg|B one\n",
    ],
)
def test_tables(folder, content):
    path = write(folder / "c.csv", content)
    assert read_captions_file(path, strict=True).references() == BOTH


def test_the_delimiter_is_found_from_the_columns(folder):
    path = write(folder / "c.csv", "a.jpg;One, two\nb.jpg;B\n")
    assert read_captions_file(path, strict=True).references() == {
        "a.jpg": ["One, two"],
        "b.jpg": ["B"],
    }


def test_excels_western_encoding(folder):
    content = "image;caption\r\na.jpg;Ein Hündchen, süß…\r\nb.jpg;plain\r\n".encode("cp1252")
    path = write(folder / "c.csv", content)
    with pytest.warns(UserWarning, match=r"line 2 \(not UTF-8: name its `encoding`\)"):
        assert read_captions_file(path).references() == {"b.jpg": ["plain"]}
    data = read_captions_file(path, encoding="cp1252", strict=True)
    assert data.references() == {"a.jpg": ["Ein Hündchen, süß…"], "b.jpg": ["plain"]}
    for encoding in ("klingon", "utf-8"):
        with pytest.raises(DatasetError, match=f"encoding='{encoding}'"):
            read_captions_file(path, encoding=encoding)
    wide = write(folder / "w.csv", "image,caption\na.jpg,A\n".encode("utf-16"))
    assert read_captions_file(wide, encoding="utf-16").references() == {"a.jpg": ["A"]}


def test_text_beside_images(tmp_path):
    save_images(tmp_path, "a.jpg", "sub/b.png", "c.jpg")
    write(tmp_path / "a.txt", "A one\n\nA two\n")
    write(tmp_path / "sub" / "b.txt", "B one")
    data = read_captions_file(tmp_path, strict=True)
    assert data.references() == {"a.jpg": ["A one", "A two"], "sub/b.png": ["B one"]}


def test_the_captions_file_of_a_folder(folder):
    with pytest.raises(DatasetError, match="existing file: a folder holds.*Received: "):
        read_captions_file(folder)
    write(folder / "metadata.csv", "file_name,text\na.jpg,A\n")
    assert read_captions_file(folder).references() == {"a.jpg": ["A"]}
    write(folder / "captions.jsonl", '{"image": "b.jpg", "caption": "B"}')
    assert read_captions_file(folder).references() == {"b.jpg": ["B"]}
    write(folder / "Flickr8k.token.txt", "a.jpg#0\tFrom tokens\n")
    assert read_captions_file(folder).references() == {"a.jpg": ["From tokens"]}


def test_output_of_the_command_line(folder, monkeypatch):
    """Paths count from the working folder, and formulas have an apostrophe in front."""
    from keras_showattend.cli.row_formats import Csv, JsonLines

    columns = {"path": str, "caption": str, "log_probability": float, "complete": bool}
    monkeypatch.chdir(folder)
    save_images(folder, "photos/c.jpg", "=1+1.jpg")
    rows = [
        {"path": "photos/c.jpg", "caption": "- a cup", "log_probability": -1.5, "complete": True},
        {"path": "photos/../a.jpg", "caption": "A", "log_probability": -1.5, "complete": True},
        {"path": "=1+1.jpg", "caption": "A sum", "log_probability": -2.5, "complete": False},
    ]
    for form, name in ((Csv(columns), "out/c.csv"), (JsonLines(columns), "out/c.jsonl")):
        path = write(folder / name, form.header + "".join(map(form.line, rows)))
        assert read_captions_file(path, strict=True).references() == {
            "photos/c.jpg": ["- a cup"],
            "photos/../a.jpg": ["A"],
            "=1+1.jpg": ["A sum"],
        }


def test_an_escaped_file_name_is_read_back(folder):
    save_images(folder, "=1+1.jpg")
    path = write(folder / "c.csv", '"path","caption"\n"\'=1+1.jpg","\'\'@home"\n')
    assert read_captions_file(path, strict=True).references() == {"=1+1.jpg": ["'@home"]}


def test_parquet(folder):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = (folder / "a.jpg").read_bytes()
    table = {
        "image": [{"bytes": content, "path": "in.jpg"}, {"bytes": content, "path": None}],
        "caption": [["A one", "A two"], ["B one"]],
        "split": ["train", "dev"],
    }
    parquet.write_table(pyarrow.table(table), folder / "c.parquet")
    data = read_captions_file(folder / "c.parquet", split_column="split", strict=True)
    assert data.references() == {"in.jpg": ["A one", "A two"], "row 1": ["B one"]}
    assert data.images[0] == content
    assert data.split("dev").ids == ["row 1"]
    paths = pyarrow.table({"image": ["a.jpg", "b.jpg"], "caption": [["A one", "A two"], ["B one"]]})
    parquet.write_table(paths, folder / "p.parquet")
    assert read_captions_file(folder / "p.parquet", strict=True).references() == BOTH
    assert read_records(paths, folder, strict=True).references() == BOTH
    with pytest.raises(DatasetError, match="Parquet file cannot be read"):
        read_captions_file(write(folder / "bad.parquet", b"PAR1 no"))


def test_data_frame(folder):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"image": ["a.jpg", "b.jpg"], "caption": [np.array(["A one", "A two"]), ["B one"]]}
    )
    assert read_records(frame, folder, strict=True).references() == BOTH
    wide = pandas.DataFrame(
        {"image": ["a.jpg", "b.jpg"], "caption_0": ["A one", "B one"], "caption_1": ["A two", None]}
    )
    assert read_records(wide, folder, strict=True).references() == BOTH


def test_records_in_memory():
    array = np.zeros((4, 5, 3), np.uint8)
    rows = [
        {"image": array, "caption": "A"},
        {"image": Image.new("L", (3, 4)), "caption": ["B", "C"]},
        {"image": 7, "caption": "D"},
    ]
    with pytest.warns(UserWarning, match=r"row 2 \(no image\)"):
        data = read_records(rows)
    assert data.references() == {"row 0": ["A"], "row 1": ["B", "C"]}
    assert data.images[0] is array
    for wrong in ({"image": []}, "a.jpg", 3, None):
        with pytest.raises(DatasetError, match="Records are rows"):
            read_records(wrong)
    with pytest.raises(DatasetError, match="no rows"):
        read_records([])
    with pytest.raises(DatasetError, match=r"the columns \['photo'\]"):
        read_records([{"photo": "a.jpg"}])
