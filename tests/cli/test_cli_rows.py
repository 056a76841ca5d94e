"""The file of captions that is gone on with; no model is involved."""

import csv
import json

import pytest

from keras_showattend.cli.caption_rows import CaptionFile, Csv, JsonLines

COLUMNS = ("path", "caption", "score")
FORMATS = [JsonLines(COLUMNS), Csv(COLUMNS)]
NAMES = ["a.jpg", 'comma, "quote".png', "line\nbreak\r.png", "été ☀.png", "bad-\udcff.png", "t\tb"]
ROWS = [{"path": name, "caption": "A, dog", "score": -i / 3} for i, name in enumerate(NAMES)]

each_format = pytest.mark.parametrize("row_format", FORMATS, ids=lambda f: f.name)


def written(path, row_format, rows):
    with CaptionFile(path, row_format).open() as sink:
        for row in rows:
            sink.write(row)
    return path.read_bytes()


def read_back(path, row_format):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        if row_format.name == "CSV":
            return [{**row, "score": float(row["score"])} for row in csv.DictReader(file)]
        return [json.loads(line) for line in file.read().split("\n")[:-1]]


@each_format
def test_rows_are_read_back_exactly(tmp_path, row_format):
    path = tmp_path / "rows"
    written(path, row_format, ROWS)
    assert read_back(path, row_format) == ROWS
    assert len(CaptionFile(path, row_format).done) == len(ROWS)


@each_format
def test_every_place_of_a_kill_is_mended(tmp_path, row_format):
    path = tmp_path / "rows"
    whole = written(path, row_format, ROWS)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        file = CaptionFile(path, row_format)
        rest = ROWS[len(file.done) :]
        assert rest, "a cut-off file is never complete"
        with file.open() as sink:
            for row in rest:
                sink.write(row)
        assert path.read_bytes() == whole


@each_format
@pytest.mark.parametrize(
    "content",
    [
        b"my notes",
        b"my notes\n",
        b'{"path": "a.jpg", "caption": "A dog"}\n',
        b'"path","caption","score"\n"a.jpg","A dog"\n',
        b'"path","caption","score"\n"a.jpg","A dog",high\n',
        b'"path","caption","score"\nmy notes',
        b'{"path": 3, "caption": "A dog", "score": 1}\n',
        b"\xff\xd8\xff\xe0 a photograph \n\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_another_file_is_refused_and_left_alone(tmp_path, row_format, content):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"must hold {row_format.name} with path, caption"):
        CaptionFile(path, row_format)
    assert path.read_bytes() == content


@each_format
def test_overwrite_starts_anew_only_when_opened(tmp_path, row_format):
    path = tmp_path / "rows"
    path.write_text("my notes")
    file = CaptionFile(path, row_format, overwrite=True)
    assert path.read_text() == "my notes"
    with file.open() as sink:
        sink.write(ROWS[0])
    assert read_back(path, row_format) == ROWS[:1]


def test_csv_that_a_spreadsheet_saved(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,caption,score\r\na.jpg,A dog,-1.5\r\n\r\n")
    file = CaptionFile(path, Csv(COLUMNS))
    assert file.done == {str(tmp_path.cwd() / "a.jpg")}
    with file.open() as sink:
        sink.write(ROWS[1])
    assert CaptionFile(path, Csv(COLUMNS)).done > file.done


def test_output_in_a_missing_folder_or_a_folder_itself(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "rows"):
        with pytest.raises(ValueError, match="a file in an existing folder"):
            CaptionFile(path, FORMATS[0])
