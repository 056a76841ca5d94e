import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from cli_pictures import save_picture
from PIL import Image

from keras_showattend import read_captions_file
from keras_showattend._locks import exclusive
from keras_showattend.cli import main as cli
from keras_showattend.cli.caption_rows import COLUMNS
from keras_showattend.cli.captioners import digest_of
from keras_showattend.explain import Calibration
from keras_showattend.preprocessing.images import image_digest

pytestmark = pytest.mark.slow

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
def caption(tiny_preset):
    """Runs `keras-showattend caption` with the tiny preset."""

    def run(*words):
        return cli.main(["caption", "--preset", tiny_preset, *map(str, words)])

    return run


@pytest.fixture
def captioned(monkeypatch):
    """The paths that reach the captioner, in order."""
    from keras_showattend import ImageCaptioner

    original, seen = ImageCaptioner.generate_stream, []

    def spy(self, images, **options):
        images = list(images)
        seen.extend(images)
        return original(self, images, **options)

    monkeypatch.setattr(ImageCaptioner, "generate_stream", spy)
    return seen


def expected(tiny_preset, paths, **options):
    from keras_showattend import ImageCaptioner

    captioner = ImageCaptioner.from_preset(tiny_preset)
    return captioner.generate(list(map(str, paths)), return_all_beams=True, **options)


def test_one_picture_gives_its_caption_alone(caption, tiny_preset, photos, capsys):
    assert caption(photos / "a.png") == 0
    output = capsys.readouterr()
    [[best, *_]] = expected(tiny_preset, [photos / "a.png"])
    assert output.out == f"{best.text}\n"
    assert output.err == ""


def test_dtype_of_the_encoder(tiny_preset, photos, capsys):
    from keras_showattend import ImageCaptioner

    words = ["caption", "--preset", tiny_preset, "--json", str(photos / "a.png")]
    assert cli.main([*words, "--dtype", "bfloat16"]) == 0
    row = json.loads(capsys.readouterr().out)
    captioner = ImageCaptioner.from_preset(tiny_preset)
    captioner.use_engine("keras", dtype="mixed_bfloat16")
    [best, *_] = captioner.generate(photos / "a.png", return_all_beams=True)
    assert (row["caption"], row["score"]) == (best.text, round(best.score, 6))
    assert cli.main(words) == 0
    # With random weights the words may be the same; their probabilities are not.
    assert json.loads(capsys.readouterr().out)["score"] != row["score"]


def test_folder_and_picture_in_order(caption, tiny_preset, photos, tmp_path, capsys):
    other = save_picture(tmp_path / "z.png", 9)
    assert caption(other, photos) == 0
    output = capsys.readouterr()
    paths = [other, *(photos / name for name in ("a.png", "b.jpg", "c.bmp", "d.png", "sub/e.png"))]
    texts = [beams[0].text for beams in expected(tiny_preset, paths)]
    rows = [f"{path}\t{text}" for path, text in zip(paths, texts, strict=True)]
    assert output.out.splitlines() == rows


def test_json_with_options(caption, tiny_preset, photos, capsys):
    options = ["--num-beams", 3, "--length-penalty", 0, "--max-length", 4, "--batch-size", 2]
    options += ["--no-repeat-ngram-size", 1]
    assert caption(photos, "--json", "--all-beams", "--no-recursive", *options) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    paths = [photos / name for name in ("a.png", "b.jpg", "c.bmp", "d.png")]
    settings = {"length_penalty": 0, "max_length": 4, "no_repeat_ngram_size": 1}
    beams = expected(tiny_preset, paths, num_beams=3, **settings)
    assert [row["path"] for row in rows] == list(map(str, paths))
    for row, hypotheses in zip(rows, beams, strict=True):
        assert list(row) == [*COLUMNS, "alternatives"]
        for found, beam in zip([row, *row["alternatives"]], hypotheses, strict=True):
            assert found["caption"] == beam.text
            assert found["log_probability"] == pytest.approx(beam.log_probability, abs=1e-4)
            assert found["score"] == pytest.approx(beam.score, abs=1e-4)


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_names_of_files_come_back_exactly(caption, tmp_path, form, capsysbinary):
    names = ["a, b.png", 'say "hi".png', "two\nlines.png", "été ☀.png", os.fsdecode(b"\xff.png")]
    try:
        for name in names:
            save_picture(tmp_path / "photos" / name)
    except OSError:
        pytest.skip("this file system has no such names")
    assert caption(tmp_path / "photos", form) == 0
    text = capsysbinary.readouterr().out.decode("utf-8", "surrogateescape")
    if form == "--csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert float(rows[0]["score"]) < 0
    else:
        rows = [json.loads(line) for line in text.split("\n")[:-1]]
    assert sorted(os.path.basename(row["path"]) for row in rows) == sorted(names)


def test_a_bad_picture_costs_no_other_its_caption(caption, photos, capsys):
    (photos / "b.jpg").write_text("no picture")
    (photos / "c.bmp").write_bytes(b"")
    assert caption(photos, "--batch-size", 2) == 1
    output = capsys.readouterr()
    names = [os.path.basename(line.split("\t")[0]) for line in output.out.splitlines()]
    assert names == ["a.png", "d.png", "e.png"]
    first, second, count = output.err.splitlines()
    assert first.startswith(f"keras-showattend: skipped {photos / 'b.jpg'}: The content is no")
    assert second.startswith(f"keras-showattend: skipped {photos / 'c.bmp'}: The source holds")
    assert count == "keras-showattend: 2 of 5 images could not be read"


def test_a_single_bad_picture(caption, photos, capsys):
    (photos / "b.jpg").write_text("no picture")
    assert caption(photos / "b.jpg") == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_resumes_after_ctrl_c_and_half_a_line(
    caption, captioned, photos, tmp_path, name, monkeypatch, capsys
):
    from keras_showattend import ImageCaptioner

    whole, output = tmp_path / f"whole-{name}", tmp_path / name
    assert caption(photos, "--output", whole) == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        original = ImageCaptioner.generate_stream

        def interrupted(self, images, **options):
            for count, beams in enumerate(original(self, images, **options)):
                if count == 3:
                    raise KeyboardInterrupt
                yield beams

        patch.setattr(ImageCaptioner, "generate_stream", interrupted)
        assert caption(photos, "--output", output) == cli.INTERRUPTED
    assert capsys.readouterr().err == (
        f"keras-showattend: stopped. Run the same command again to resume {output}.\n"
    )
    output.write_bytes(output.read_bytes()[:-9])
    captioned.clear()
    assert caption(photos, "--output", output) == 0
    assert captioned == [str(photos / part) for part in ("c.bmp", "d.png", "sub/e.png")]
    assert output.read_bytes() == whole.read_bytes()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "; 2 skipped, captioned before" in captured.err
    # Nothing is left to do, and so no model is loaded.
    captioned.clear()
    assert caption(photos, "--output", output) == 0
    assert captioned == []


def test_ctrl_c_without_a_file(caption, photos, monkeypatch, capsys):
    from keras_showattend import ImageCaptioner

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageCaptioner, "from_preset", stop)
    assert caption(photos) == 130
    assert "stopped. With `--output FILE.jsonl` a run can" in capsys.readouterr().err


def test_bad_pictures_are_tried_again(caption, captioned, photos, tmp_path, capsys):
    (photos / "b.jpg").write_text("no picture")
    assert caption(photos, "--output", tmp_path / "out.csv") == 1
    save_picture(photos / "b.jpg", 1)
    captioned.clear()
    assert caption(photos, "--output", tmp_path / "out.csv") == 0
    assert captioned == [str(photos / "b.jpg")]


def test_the_same_content_is_captioned_once(caption, captioned, photos, tmp_path, capsys):
    output = tmp_path / "out.jsonl"
    for name in ("b2.png", "sub/f.png"):
        shutil.copy(photos / "a.png", photos / name)
    (photos / "broken.png").write_text("no image")
    shutil.copy(photos / "broken.png", photos / "broken2.png")
    assert caption(photos, "--output", output) == 1
    names = ["a.png", "b.jpg", "broken.png", "c.bmp", "d.png", "sub/e.png"]
    assert captioned == [str(photos / name) for name in names]
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    names = ["a.png", "b.jpg", "b2.png", "c.bmp", "d.png", "sub/e.png", "sub/f.png"]
    assert [row["path"] for row in rows] == [str(photos / name) for name in names]
    assert {**rows[0], "path": ""} == {**rows[2], "path": ""} == {**rows[6], "path": ""}
    assert rows[0]["content"] == hashlib.sha256((photos / "a.png").read_bytes()).hexdigest()[:32]
    told = capsys.readouterr().err
    assert "captioned 7 images at " in told
    assert "; 2 with the same content as another; 7 cut before" in told
    assert "; 2 unreadable" in told
    # Also of an earlier run, and without a model where it is all there is to do.
    shutil.copy(photos / "d.png", photos / "g.png")
    captioned.clear()
    assert caption(photos / "g.png", "--output", output) == 0
    assert captioned == []
    row = json.loads(output.read_text().splitlines()[-1])
    assert (row["path"], row["caption"]) == (str(photos / "g.png"), rows[4]["caption"])


def test_an_image_that_changes_while_it_is_read(caption, photos, monkeypatch, capsys):
    from keras_showattend import ImageCaptioner

    original = ImageCaptioner.generate_stream

    def slow(self, images, **options):
        for beams in original(self, images, **options):
            save_picture(photos / "b.jpg", 8)
            os.utime(photos / "b.jpg", (1e9, 1e9))
            yield beams

    monkeypatch.setattr(ImageCaptioner, "generate_stream", slow)
    assert caption(photos, "--no-recursive") == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "An image must stay as it is while it is read: run the command again" in captured.err


def test_first_frames_are_told_once(caption, photos, capsys):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "green")]
    for name in ("x.gif", "y.tif"):
        frames[0].save(photos / name, save_all=True, append_images=frames[1:])
    assert caption(photos, "--exclude", "sub/", "--include", "*.gif", "--include", "*.tif") == 0
    captured = capsys.readouterr()
    assert [os.path.basename(line.split("\t")[0]) for line in captured.out.splitlines()] == [
        "x.gif",
        "y.tif",
    ]
    assert captured.err == (
        "keras-showattend: 2 images are animations or have several pages: the first frame was "
        "captioned\n"
    )


def test_nothing_new_since(caption, captioned, photos, capsys):
    assert caption(photos, "--since", "2100-01-01") == 0
    assert caption(photos, "--since", "yesterday") == 2
    assert "must be a date such as 2026-01-31" in capsys.readouterr().err
    assert captioned == []


def test_overwrite(caption, captioned, photos, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("my notes\n")
    assert caption(photos, "--output", output) == 2
    assert output.read_text() == "my notes\n"
    assert captioned == []
    assert caption(photos, "--output", output, "--overwrite") == 0
    assert len(output.read_text().splitlines()) == 6


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def calibrated(tiny_preset, tmp_path):
    """Path of the tiny preset with a calibration whose confidences surround 0.5."""
    folder = tmp_path / "calibrated"
    shutil.copytree(tiny_preset, folder)
    Calibration(
        slope=20.0,
        intercept=47.6,
        expected_calibration_error=0.0,
        brier_score=0.1,
        brier_base_rate=0.2,
        base_rate=0.5,
        num_images=40,
    ).save(folder)
    return str(folder)


def test_confidence_of_a_captioner_without_calibration_is_empty(caption, photos, tmp_path):
    assert caption(photos, "--output", tmp_path / "out.csv") == 0
    assert {row["confidence"] for row in rows_of(tmp_path / "out.csv")} == {""}
    assert {row["withheld"] for row in rows_of(tmp_path / "out.csv")} == {"false"}


def test_confidence_and_a_least_confidence(calibrated, photos, tmp_path, capsys):
    from keras_showattend import ImageCaptioner

    captioner = ImageCaptioner.from_preset(calibrated)
    paths = sorted(map(str, photos.glob("*.*")))
    words = ["caption", "--preset", calibrated, *paths]
    output, bold = tmp_path / "out.jsonl", tmp_path / "bold.jsonl"
    assert cli.main([*words, "--output", str(bold)]) == 0
    capsys.readouterr()
    assert cli.main([*words, "--output", str(output), "--min-confidence", "0.5"]) == 0
    told = capsys.readouterr().err
    rows, others = (
        [json.loads(line) for line in file.read_text().splitlines()] for file in (output, bold)
    )
    withheld = 0
    for path, row, other in zip(paths, rows, others, strict=True):
        sure = captioner.explain(path).confidence
        assert row["confidence"] == pytest.approx(sure, abs=1e-3)
        assert (row["withheld"], other["withheld"]) == (sure < 0.5, False)
        assert row["caption"] == ("" if sure < 0.5 else other["caption"])
        withheld += sure < 0.5
    assert 0 < withheld < len(rows)
    assert "captioned 4 images at " in told
    assert f"; {withheld} below --min-confidence; 4 cut before their end" in told
    # As text there is no column that says so.
    low = next(row["path"] for row in rows if row["withheld"])
    assert cli.main(["caption", "--preset", calibrated, low, "--min-confidence", "0.5"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "\n"
    assert f"no caption for {low}: its confidence is 0." in captured.err


def test_rows_tell_their_preset_settings_and_whether_they_are_complete(
    caption, tiny_preset, photos, tmp_path
):
    options = ("--max-length", 3, "--num-beams", 2, "--no-recursive")
    assert caption(photos, "--output", tmp_path / "out.csv", *options) == 0
    for row in rows_of(tmp_path / "out.csv"):
        assert len(row["caption"].split()) == 3
        assert row["complete"] == "false"
        assert row["preset"] == "tiny"
        settings, digest = row["settings"].split(" digest=")
        assert settings == (
            "num_beams=2 length_penalty=0.9 no_repeat_ngram_size=2 max_length=3 "
            "dtype=float32 engine=keras"
        )
        assert digest == digest_of([tiny_preset])


def test_other_settings_are_refused_before_the_model_is_loaded(
    caption, captioned, calibrated, photos, tmp_path, capsys
):
    output = tmp_path / "out.csv"
    assert caption(photos / "a.png", "--output", output) == 0
    before = output.read_bytes()
    captioned.clear()
    capsys.readouterr()
    assert caption(photos, "--output", output, "--num-beams", 3) == 2
    assert "Received: num_beams=3, but line 2 of" in capsys.readouterr().err
    words = ["caption", str(photos), "--preset", calibrated, "--output", str(output)]
    assert cli.main(words) == 2
    assert "Received: preset=calibrated digest=" in capsys.readouterr().err
    assert captioned == []
    assert output.read_bytes() == before


def test_a_reviewed_file_is_resumed_and_keeps_its_reviews(
    caption, captioned, photos, tmp_path, capsys
):
    output = tmp_path / "out.csv"
    assert caption(photos / "a.png", photos / "b.jpg", "--output", output) == 0
    rows = rows_of(output)
    rows[0]["caption"], rows[0]["reviewed"] = "My own words", "yes"
    with open(output, "w", newline="") as file:
        writer = csv.DictWriter(file, ["reviewed", *COLUMNS], restval="")
        writer.writeheader()
        writer.writerows(rows)
    reviewed = output.read_bytes()
    captioned.clear()
    assert caption(photos, "--output", output) == 0
    assert captioned == [str(photos / name) for name in ("c.bmp", "d.png", "sub/e.png")]
    assert output.read_bytes().startswith(reviewed)
    assert [row["reviewed"] for row in rows_of(output)] == ["yes", "", "", "", ""]
    assert all(row["caption"] for row in rows_of(output))


def test_a_cut_off_row_is_mended_though_its_image_was_not_asked_for(caption, photos, tmp_path):
    output = tmp_path / "out.csv"
    assert caption(photos, "--output", output) == 0
    whole = output.read_bytes()
    output.write_bytes(whole[:-20])
    (photos / "sub" / "e.png").unlink()
    assert caption(photos, "--output", output) == 0
    assert output.read_bytes() == b"".join(whole.splitlines(keepends=True)[:-1])


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_full_disk_ends_a_program_which_then_resumes(
    caption, captioned, tiny_preset, photos, tmp_path
):
    import resource

    output = tmp_path / "out.csv"
    words = ["caption", photos, "--preset", tiny_preset, "--output", output, "--batch-size", 1]
    done = subprocess.run(
        [sys.executable, "-m", "keras_showattend.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        # The header and a few rows.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200)),
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"keras-showattend: error: [Errno 27] File too large: '{output}'. Make room on the disk. "
        f"Run the same command again to resume {output}.\n"
    )
    before = output.read_bytes()
    count = len(rows_of(output))
    assert before.endswith(b"\n")
    assert 1 <= count <= 4
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "photos"]
    assert caption(photos, "--output", output, "--batch-size", 1) == 0
    assert len(captioned) == 5 - count
    assert output.read_bytes().startswith(before)
    names = ["a.png", "b.jpg", "c.bmp", "d.png", "sub/e.png"]
    assert [row["path"] for row in rows_of(output)] == [str(photos / name) for name in names]


def test_an_output_that_another_run_writes(caption, captioned, photos, tmp_path, capsys):
    output = tmp_path / "out.csv"
    with exclusive(output):
        assert caption(photos, "--output", output) == 2
    told = capsys.readouterr().err
    assert f"Only one process at a time may write '{output}'" in told
    assert f"in use by process {os.getpid()} on " in told
    assert captioned == []
    assert caption(photos, "--output", output) == 0
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "photos"]


def test_images_in_formats_that_are_not_read_are_counted_and_named(
    caption, photos, tmp_path, capsys
):
    drawing = "<svg xmlns='http://www.w3.org/2000/svg'/>"
    for name in ("logo.svg", "sub/icon\n.svg", "edit.KRA"):
        (photos / name).write_text(drawing)
    (photos / "notes.txt").write_text("no image")
    assert caption(photos, "--json") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 5
    [line] = captured.err.splitlines()
    assert line.startswith("keras-showattend: left out images in formats that are not read (")
    for part in ("2 .svg", "1 .kra", f"{photos / 'logo.svg'}", r"icon\n.svg", "edit.KRA"):
        assert part in line
    assert "notes" not in line
    only = tmp_path / "only"
    only.mkdir()
    (only / "logo.svg").write_text(drawing)
    assert caption(only) == 2
    assert "which has only images in formats that are not read (1 .svg)" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:A JPEG ends early")
def test_large_and_truncated_images_on_request(caption, tmp_path, monkeypatch, capsys):
    noise = np.random.default_rng(2).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    Image.fromarray(noise[:50, :80]).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 2 // 3])
    (tmp_path / "whole.jpg").unlink()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    assert caption(tmp_path) == 1
    errors = capsys.readouterr().err
    assert "(command line: `--max-megapixels`)" in errors
    assert "(command line: `--accept-truncated`)" in errors
    assert caption(tmp_path, "--accept-truncated", "--max-megapixels", 0.0054) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    [warning] = captured.err.splitlines()
    assert warning.startswith("keras-showattend: warning: A JPEG ends early")
    assert Image.MAX_IMAGE_PIXELS == 5000


def test_control_characters_of_names_do_not_reach_the_terminal(caption, tmp_path, capsys):
    folder = tmp_path / "photos"
    save_picture(folder / "two\nlines\x1b[31m.png")
    (folder / "bad\x1b]0;title\x07.png").write_text("no image")
    assert caption(folder) == 1
    captured = capsys.readouterr()
    [row] = captured.out.splitlines()
    assert r"two\nlines\x1b[31m.png" in row
    assert r"bad\x1b]0;title\x07.png" in captured.err
    assert "\x1b" not in captured.out + captured.err


def test_csv_that_a_spreadsheet_may_open(caption, captioned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "=cmd" / "a.png")
    assert caption("=cmd", "--output", "out.csv") == 0
    assert caption("=cmd", "--output", "exact.csv", "--exact") == 0
    assert rows_of("out.csv")[0]["path"] == "'=cmd/a.png"
    assert rows_of("exact.csv")[0]["path"] == "=cmd/a.png"
    # The name is known again.
    captioned.clear()
    assert caption("=cmd", "--output", "out.csv") == 0
    assert captioned == []


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_train_reads_what_caption_wrote(caption, photos, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert caption("photos", "--output", name) == 0
    text = (tmp_path / name).read_text()
    rows = rows_of(name) if name == "out.csv" else list(map(json.loads, text.splitlines()))
    dataset = read_captions_file(name)
    assert not dataset.problems
    assert list(dataset.ids) == [f"photos/{n}" for n in ("a.png", "b.jpg", "c.bmp", "d.png")] + [
        "photos/sub/e.png"
    ]
    assert [list(captions) for captions in dataset.captions] == [[row["caption"]] for row in rows]


def captions_of(path):
    is_table = path.suffix == ".csv"
    rows = rows_of(path) if is_table else map(json.loads, path.read_text().splitlines())
    return [row["caption"] for row in rows]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_review_decisions_and_sidecars(caption, captioned, photos, tmp_path, name, capsys):
    output, page = tmp_path / name, tmp_path / "review.html"
    words = ("--output", output, "--review", page, "--write-sidecars")
    assert caption(photos, "--no-recursive", *words) == 0
    told = capsys.readouterr().err
    assert "review.html with 4 captions to review" in told
    assert "4 alt texts written" in told
    before = captions_of(output)
    contents = {str(photos / n): image_digest(photos / n)[:32] for n in ("a.png", "b.jpg", "d.png")}
    decided = [("edited", "My dog"), ("rejected", ""), ("accepted", "A slide.")]
    decisions = [
        {"path": path, "content": content, "decision": decision, "caption": text}
        for (path, content), (decision, text) in zip(contents.items(), decided, strict=True)
    ]
    decisions[2]["content"] = "another"
    gone = {**decisions[0], "path": str(photos / "gone.jpg")}
    (tmp_path / "review.json").write_text(
        json.dumps({"format": "keras-showattend review 1", "decisions": [*decisions, gone]})
    )
    captioned.clear()
    apply = ("--output", output, "--apply", tmp_path / "review.json")
    assert caption(*apply, "--write-sidecars", "--overwrite-metadata", "--review", page) == 1
    assert captioned == []
    told = capsys.readouterr().err
    assert f"no row for {photos / 'gone.jpg'}" in told
    assert "0 accepted, 1 edited, 1 rejected; 1 rows without a decision" in told
    assert "1 decisions were made on images that have other content now" in told
    assert "3 alt texts written; 1 without a caption" in told
    assert "with 2 captions to review" in told
    assert "My dog<" in (photos / "a.png.xmp").read_text()
    assert captions_of(output) == ["My dog", "", *before[2:]]
    # A run goes on with the file as it is.
    assert caption(photos, "--output", output) == 0
    assert captioned == [str(photos / "sub" / "e.png")]


def test_progress_on_request(caption, photos, capsys):
    assert caption(photos, "--progress") == 0
    assert "5/5" in capsys.readouterr().err


def test_errors_before_the_model_is_loaded(caption, captioned, photos, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    output = tmp_path / "missing" / "out.csv"
    inside = photos / "a.png"
    cases = [
        (["https://example.org/a.jpg"], "download it, then pass the file. Received: https://"),
        ([photos / "no.jpg"], "an existing image or folder"),
        ([inside, inside], "is given once"),
        ([photos, f"{photos}/."], "is given once"),
        ([tmp_path / "empty"], "A folder must hold images"),
        ([], "At least one image or folder"),
        ([photos, "--output", output], "a file in an existing folder"),
        ([photos, "--output", tmp_path / "out.txt"], "end FILE in .jsonl or .csv"),
        ([photos, "--output", inside, "--csv", "--overwrite"], "is not one of the images"),
        ([photos, "--all-beams"], "add `--json`. Received: text"),
        ([photos, "--all-beams", "--csv"], "add `--json`. Received: CSV"),
        ([photos, "--overwrite"], "`--overwrite` is for `--output FILE`"),
        ([photos, "--exact", "--json"], "`--exact` is for CSV"),
        ([photos, "--review", "review.html"], "`--review` works on rows in a file"),
        ([photos, "--overwrite-metadata"], "is for `--write-metadata` and `--write-sidecars`"),
        ([photos, "--apply", "a.json", "--output", tmp_path / "none.csv"], "which does not exist"),
        ([photos, "--review", "a.pdf", "--output", tmp_path / "b.csv"], "whose name ends in .html"),
        ([photos, "--min-confidence", 0.5], "needs a captioner whose confidence is calibrated"),
        ([photos, "--preset", "vgg99"], "Received: 'vgg99'"),
        ([photos, "--preset", tmp_path], "A preset folder must hold"),
    ]
    for words, message in cases:
        assert caption(*words) == 2, words
        error = capsys.readouterr().err
        assert error.startswith("keras-showattend: error: "), words
        assert message in error, words
    assert captioned == []
    assert inside.stat().st_size > 0


def test_as_a_program_it_says_nothing_but_captions(tiny_preset, photos):
    words = ["caption", photos, "--preset", tiny_preset, "--csv"]
    program = [sys.executable, "-m", "keras_showattend.cli.main", *words]
    # What pytest set for TensorFlow in this process is not what a user has.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 5
