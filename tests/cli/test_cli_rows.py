"""The file of captions and how it is resumed; no model is involved."""

import csv
import errno
import json
import os
import sys

import pytest

from keras_showattend.cli.caption_file import CaptionFile
from keras_showattend.cli.row_formats import Csv, JsonLines, text_line
from keras_showattend.cli.row_index import RowIndex

COLUMNS = {"path": str, "caption": str, "score": float}
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
        lacks_newline_only = length == len(whole) - 1 and row_format.name == "JSON lines"
        assert rest or lacks_newline_only, "a cut-off file is never complete"
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
        b'"path","caption","score"\n"a.jpg","no quote,-1\n"b.jpg","A cat",-2\n',
        b'"path\r"x,"caption","score"\n',
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
    assert set(file.done) == {str(tmp_path.cwd() / "a.jpg")}
    with file.open() as sink:
        sink.write(ROWS[1])
    assert set(CaptionFile(path, Csv(COLUMNS)).done) > set(file.done)


def test_csv_with_added_columns_in_another_order_and_semicolons(tmp_path):
    path = tmp_path / "rows.csv"
    old = "reviewed;score;path;caption;by\r\nyes;-1,5;a.jpg;A dog, sitting;\r\n"
    path.write_text(old, newline="")
    file = CaptionFile(path, Csv(COLUMNS))
    assert set(file.done) == {str(tmp_path.cwd() / "a.jpg")}
    with file.open() as sink:
        sink.write({"path": "b.jpg", "caption": "A cat; asleep", "score": -0.25})
    assert path.read_bytes().decode() == old + '"";-0.25;"b.jpg";"A cat; asleep";""\n'
    assert set(CaptionFile(path, Csv(COLUMNS)).done) == {
        str(tmp_path.cwd() / name) for name in ("a.jpg", "b.jpg")
    }


def test_json_with_an_added_key(tmp_path):
    path = tmp_path / "rows.jsonl"
    old = '{"path": "a.jpg", "reviewed": true, "caption": "A dog", "score": -1}\n'
    path.write_text(old)
    file = CaptionFile(path, JsonLines(COLUMNS))
    assert set(file.done) == {str(tmp_path.cwd() / "a.jpg")}
    with file.open() as sink:
        sink.write(ROWS[1])
    assert path.read_text().startswith(old)


@each_format
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_stored_rows_are_found_by_their_content(tmp_path, row_format, mark):
    row_format = type(row_format)({**COLUMNS, "content": str})
    path = tmp_path / "rows"
    rows = [{**row, "content": f"{i % 4}c"} for i, row in enumerate(ROWS)]
    lines = [row_format.line({**row, "caption": "A dog,\nasleep"}) for row in rows]
    # The last one lacks its newline.
    text = mark + row_format.header + "".join(lines).removesuffix("\n")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    file = CaptionFile(path, row_format)
    assert len(file.done) == len(NAMES)
    for number in range(4):
        assert file.done.of_content(f"{number}c") == {
            "caption": "A dog,\nasleep",
            "score": -number / 3,
            "content": f"{number}c",
        }
    assert file.done.of_content("4c") is None
    # One that was captioned meanwhile.
    file.done.add({"path": "new.jpg", "caption": "A cat", "content": "4c", "preset": "p"})
    assert file.done.of_content("4c") == {"caption": "A cat", "content": "4c"}
    assert "new.jpg" in file.done


def test_an_index_without_room():
    index = RowIndex()
    index._database.execute("PRAGMA max_page_count = 9")
    with pytest.raises(OSError, match="set SQLITE_TMPDIR to a folder with room") as caught:
        index.add_stored((f"{number:060}.jpg", "", number) for number in range(1000))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("row_format", "last"),
    [
        (Csv({**COLUMNS, "preset": str}), '"b.jpg","A cat",-1.5,"p"'),
        (Csv(COLUMNS), "b.jpg,A cat,-1.5"),
        (JsonLines(COLUMNS), '{"path": "b.jpg", "caption": "", "score": null}'),
    ],
)
def test_a_last_row_that_lacks_only_its_newline_is_kept(tmp_path, row_format, last):
    path = tmp_path / "rows"
    path.write_text(row_format.header + last)
    file = CaptionFile(path, row_format)
    assert set(file.done) == {str(tmp_path.cwd() / "b.jpg")}
    with file.open():
        pass
    assert path.read_text() == row_format.header + last + "\n"


@each_format
def test_half_a_row_is_cut_off_even_if_none_follows(tmp_path, row_format):
    path = tmp_path / "rows"
    whole = written(path, row_format, ROWS[:2])
    path.write_bytes(whole + b"\n" + row_format.line(ROWS[2]).encode()[:-5])
    with CaptionFile(path, row_format).open():
        pass
    assert path.read_bytes().rstrip() == whole.rstrip()


# What a spreadsheet would run, what looks like it, and how each stands in a cell.
CELLS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1": "'-1",
    "@SUM(A1)": "'@SUM(A1)",
    "\tx": "'\tx",
    "\rx": "'\rx",
    "'=1+1": "''=1+1",
    "''-1": "'''-1",
    "'quoted'": "'quoted'",
    "a=b": "a=b",
}
FORMULAS = [{"path": text, "caption": text, "score": -1.0} for text in CELLS]


def test_csv_holds_nothing_that_a_spreadsheet_runs(tmp_path):
    path = tmp_path / "rows.csv"
    row_format = Csv(COLUMNS)
    written(path, row_format, FORMULAS)
    found = [(row["path"], row["caption"]) for row in read_back(path, row_format)]
    assert found == [(cell, cell) for cell in CELLS.values()]
    # They are read back as they were.
    assert set(CaptionFile(path, row_format).done) == set(map(os.path.abspath, CELLS))
    assert [next(row_format.rows([row_format.line(row)])) for row in FORMULAS] == FORMULAS


def test_exact_csv(tmp_path):
    path = tmp_path / "rows.csv"
    row_format = Csv(COLUMNS, exact=True)
    written(path, row_format, FORMULAS)
    assert read_back(path, row_format) == FORMULAS
    assert set(CaptionFile(path, row_format).done) == set(map(os.path.abspath, CELLS))


@each_format
def test_values_that_are_missing_or_true(row_format):
    row_format = type(row_format)({**COLUMNS, "complete": bool, "preset": str})
    row = {"path": "a", "caption": "", "score": None, "complete": False, "preset": "p"}
    assert next(row_format.rows([row_format.line(row)])) == row
    assert next(row_format.rows([row_format.line({**row, "complete": True})]))["complete"] is True
    if row_format.name == "CSV":
        assert row_format.line(row) == '"a","","","false","p"\n'
        # As a spreadsheet saves it.
        assert next(row_format.rows(["a,,,FALSE,p\r\n"])) == row


MADE_BY = {**COLUMNS, "preset": str, "settings": str}


@pytest.mark.parametrize("kind", [JsonLines, Csv])
def test_rows_of_another_captioner_or_search_are_refused(tmp_path, kind):
    path = tmp_path / "rows"
    row = {**ROWS[0], "preset": "mine", "settings": "num_beams=5 max_length=9"}
    written(path, kind(MADE_BY), [row])
    file = CaptionFile(path, kind(MADE_BY))
    file.check_made_by("mine", "num_beams=5 max_length=9")
    message = r"`--overwrite`. Received: num_beams=3, but line \d of .* was made with num_beams=5$"
    with pytest.raises(ValueError, match=message):
        file.check_made_by("mine", "num_beams=3 max_length=9")
    with pytest.raises(ValueError, match="Received: preset=yours, .* was made with preset=mine$"):
        file.check_made_by("yours", "num_beams=5 max_length=9")
    with pytest.raises(ValueError, match="was made with max_length=9$"):
        file.check_made_by("mine", "num_beams=5")
    CaptionFile(path, kind(MADE_BY), overwrite=True).check_made_by("yours", "")


def test_a_row_that_the_user_wrote_is_let_pass(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("path,caption,score,preset,settings\na.jpg,My own words,,,\n")
    CaptionFile(path, Csv(MADE_BY)).check_made_by("mine", "num_beams=5")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@each_format
def test_a_full_disk_leaves_whole_rows_and_the_error_names_the_file(tmp_path, row_format):
    import resource

    path = tmp_path / "rows"
    whole = written(path, row_format, ROWS[:2])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with CaptionFile(str(path), row_format).open() as sink:
            # The operating system takes a part of the next row and no more.
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 7, hard))
            sink.write(ROWS[2])
            with pytest.raises(OSError, match=f"File too large: '{path}'"):
                sink.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
def test_a_device_that_takes_nothing():
    file = CaptionFile("/dev/full", FORMATS[1])
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"), file.open():
        pass


def test_a_flush_that_was_broken_off_is_done_anew(tmp_path):
    path = tmp_path / "rows"
    row_format = FORMATS[1]
    with CaptionFile(path, row_format).open() as sink:
        sink.write(ROWS[0])
        # Where a flush stands when Ctrl-C breaks it off: something is written, nothing counted.
        sink._file.write(b"half a r")
    assert read_back(path, row_format) == ROWS[:1]


def test_text_is_safe_to_show():
    row = {"path": "a\n\x1b[2J.jpg", "caption": "A \u202edog"}
    assert text_line(is_single=False)(row) == "a\\n\\x1b[2J.jpg\tA \\u202edog\n"
    assert text_line(is_single=True)(row) == "A \\u202edog\n"


def test_output_in_a_missing_folder_or_a_folder_itself(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "rows"):
        with pytest.raises(ValueError, match="a file in an existing folder"):
            CaptionFile(path, FORMATS[0])
