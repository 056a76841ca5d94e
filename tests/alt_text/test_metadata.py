"""Alt texts in images and in sidecars: pixels, other metadata and the texts of people stay."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from cli_pictures import save_picture
from PIL import Image

from keras_showattend.alt_text.metadata import MetadataError, MetadataWriter
from keras_showattend.alt_text.sidecars import sidecar_of, write_sidecar

TEXT = 'A "dog" & a <cat> über 中.'
needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None,
    reason="no exiftool on PATH: NOTHING that writes into images is tested",
)


def tags(path):
    command = ["exiftool", "-j", "-G1", "-a", "-n", str(path)]
    [found] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    changing = ("System:", "SourceFile", "ExifTool:", "XMP-x:", "File:ExifByteOrder")
    # Where the pixels of a TIFF lie in its file.
    changing += ("IFD0:StripOffsets",)
    return {name: value for name, value in found.items() if not name.startswith(changing)}


def exiftool(path, *words):
    command = ["exiftool", "-q", "-overwrite_original", *words, str(path)]
    subprocess.run(command, check=True, capture_output=True)


@needs_exiftool
@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.tif", "d.webp", "two\nlines \u00e9.jpg"])
def test_texts_are_added_and_nothing_else_changes(tmp_path, name):
    pytest.importorskip("exiftool", reason="the extra `metadata` writes into images")
    path = save_picture(tmp_path / name, 3)
    if name == "a.jpg":
        exiftool(
            path, "-Artist=Ann", "-GPSLatitude=51.5", "-XMP-dc:Subject=dogs", "-Orientation#=6"
        )
    os.chmod(path, 0o640)
    os.utime(path, (1e9, 1e9))
    before, pixels = tags(path), np.asarray(Image.open(path))
    with MetadataWriter() as writer:
        assert writer.write(str(path), TEXT)
        written = path.read_bytes()
        assert not writer.write(str(path), "A cat.")
        assert path.read_bytes() == written
    after = tags(path)
    for tag in ("XMP-iptcCore:AltTextAccessibility", "XMP-dc:Description"):
        assert after.pop(tag) == TEXT
    # A WebP that had no metadata is of another kind with it.
    for found in (before, after):
        found.pop("File:FileType", None)
        found = {k: v for k, v in found.items() if not k.startswith("RIFF:")}
    if name != "d.webp":
        assert after == before
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
    stat = path.stat()
    assert (stat.st_mode & 0o777, stat.st_mtime) == (0o640, 1e9)
    assert os.listdir(tmp_path) == [name]


@needs_exiftool
def test_texts_of_people_stay(tmp_path):
    pytest.importorskip("exiftool", reason="the extra `metadata` writes into images")
    path = save_picture(tmp_path / "a.jpg")
    exiftool(path, "-EXIF:ImageDescription=Our dog Rex")
    with MetadataWriter() as writer:
        assert writer.write(str(path), "A dog.")
    found = tags(path)
    assert found["XMP-iptcCore:AltTextAccessibility"] == "A dog."
    assert found["IFD0:ImageDescription"] == "Our dog Rex"
    # One description is enough.
    assert "XMP-dc:Description" not in found
    with MetadataWriter(overwrite=True) as writer:
        assert writer.write(str(path), "A cat.")
    assert tags(path)["XMP-iptcCore:AltTextAccessibility"] == "A cat."
    assert tags(path)["XMP-dc:Description"] == "A cat."


@needs_exiftool
def test_what_cannot_be_written(tmp_path):
    pytest.importorskip("exiftool", reason="the extra `metadata` writes into images")
    (tmp_path / "text.jpg").write_text("no image")
    save_picture(tmp_path / "a.bmp")
    save_picture(tmp_path / "b.jpg").chmod(0o444)
    (tmp_path / "link.jpg").symlink_to(save_picture(tmp_path / "sub" / "c.jpg"))
    with MetadataWriter() as writer:
        for name, reason in [
            ("text.jpg", "exiftool cannot change it"),
            ("a.bmp", "exiftool cannot change it"),
            ("b.jpg", "it is read-only"),
            ("none.jpg", "cannot be opened"),
        ]:
            path = tmp_path / name
            content = path.read_bytes() if path.exists() else None
            with pytest.raises(MetadataError, match=reason):
                writer.write(str(path), "A dog.")
            assert content == (path.read_bytes() if path.exists() else None)
        # A link stays one.
        assert writer.write(str(tmp_path / "link.jpg"), "A dog.")
    assert (tmp_path / "link.jpg").is_symlink()
    assert tags(tmp_path / "sub" / "c.jpg")["XMP-dc:Description"] == "A dog."


def test_a_missing_program_is_told(monkeypatch):
    pytest.importorskip("exiftool", reason="the extra `metadata` writes into images")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="apt install libimage-exiftool-perl.*--write-sidecars"):
        MetadataWriter()


def test_sidecars(tmp_path):
    path = str(tmp_path / "a.jpg")
    assert write_sidecar(path, TEXT)
    sidecar = sidecar_of(path)
    assert sidecar.name == "a.jpg.xmp"
    first = sidecar.read_bytes()
    assert not write_sidecar(path, "A cat.")
    assert sidecar.read_bytes() == first
    assert write_sidecar(path, "A cat.", overwrite=True)
    assert b"A cat." in sidecar.read_bytes()
    assert b"&amp;" not in sidecar.read_bytes()
    # As Adobe's programs take those of camera raw.
    assert sidecar_of(str(tmp_path / "b.CR2")).name == "b.xmp"


@needs_exiftool
def test_another_program_reads_sidecars(tmp_path):
    path = str(tmp_path / "a.jpg")
    write_sidecar(path, TEXT)
    found = tags(sidecar_of(path))
    assert found["XMP-iptcCore:AltTextAccessibility"] == found["XMP-dc:Description"] == TEXT


def test_what_a_sidecar_holds_stays(tmp_path):
    sidecar = tmp_path / "a.xmp"
    old = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\r\n<r:RDF '
        'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description r:about="" '
        'xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:c="urn:c" c:Exposure="+0.50">'
        "<d:description><r:Alt><r:li>Unser Hund</r:li></r:Alt></d:description></r:Description>"
        "</r:RDF></x:xmpmeta>"
    )
    sidecar.write_bytes(old.encode())
    raw = str(tmp_path / "a.nef")
    assert write_sidecar(raw, "A dog.")
    new = sidecar.read_bytes().decode()
    start = new.index(' <rdf:Description rdf:about=""')
    assert old == new[:start] + new[new.index("</r:RDF>", start) :]
    assert "dc:description>" not in new[start:]
    assert write_sidecar(raw, "A cat.", overwrite=True)
    replaced = sidecar.read_bytes().decode()
    assert "Unser Hund" not in replaced
    assert 'c:Exposure="+0.50">' in replaced
    assert replaced.count("A cat.") == 2
    for content in (b"no xml", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b""):
        sidecar.write_bytes(content)
        with pytest.raises(ValueError, match="must be XMP in UTF-8"):
            write_sidecar(raw, "A dog.")
        assert sidecar.read_bytes() == content
