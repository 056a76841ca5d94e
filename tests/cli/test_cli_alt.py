"""`keras-showattend alt` on a small site, with the tiny captioner."""

import json
import os
import subprocess
import sys

import pytest
from cli_pictures import save_picture

from keras_showattend.cli import main as cli

pytest.importorskip("tree_sitter_html", reason="the extra `alt` reads pages")
pytestmark = pytest.mark.slow
pytest_plugins = ["cli_fixtures"]

HTML = b"<p>\xe9\r\n<img src='/img/a.png'><img src=img/b.png alt='image'><img src=c alt=''>"
MARKDOWN = b"# Title\n\n![](../img/a.png) and ![](none.png)\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    for seed, name in enumerate(["a.png", "b.png"]):
        save_picture(folder / "img" / name, seed)
    (folder / "blog").mkdir()
    (folder / "index.html").write_bytes(HTML)
    (folder / "blog" / "post.md").write_bytes(MARKDOWN)
    monkeypatch.chdir(tmp_path)
    return folder


def run(*words):
    return cli.main(["alt", *map(str, words)])


def test_check_lists_and_loads_no_model(site, capsys):
    assert run("site", "--check") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "site/index.html:2: /img/a.png has no alt text",
        "site/blog/post.md:3: ../img/a.png has no alt text",
        "site/blog/post.md:3: none.png has no alt text",
    ]
    assert "3 of 5 images on 2 pages lack alt text" in captured.err
    assert run("site/index.html", "--check", "--empty") == 1
    assert len(capsys.readouterr().out.splitlines()) == 2
    (site / "index.html").write_text("<img src=a.jpg alt='A dog.'>")
    assert run("site/index.html", "--check") == 0


def test_check_imports_no_keras(site):
    code = "import sys; from keras_showattend.cli.main import main; main(sys.argv[1:])\n"
    code += "print({'keras', 'tensorflow', 'numpy'} & set(sys.modules))"
    words = [sys.executable, "-c", code, "alt", "site", "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_report_patch_and_pages(site, tiny_preset, capsys):
    from keras_showattend import ImageCaptioner

    captioner = ImageCaptioner.from_preset(tiny_preset)
    first, second = (
        caption + "."
        for caption in captioner.generate([str(site / "img" / n) for n in ("a.png", "b.png")])
    )
    words = ["site", "--preset", tiny_preset, "--empty"]
    # An image that is missing makes the exit code 1.
    assert run(*words, "--json") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["alt"] for row in rows] == [first, second, first, None]
    assert [row["file"] for row in rows] == [
        *("site/img/a.png", "site/img/b.png", "site/img/a.png"),
        None,
    ]
    assert rows[3]["problem"] == "there is no file site/blog/none.png"
    assert run(*words) == 1
    captured = capsys.readouterr()
    assert f'site/blog/post.md:3: ../img/a.png: "{first}"' in captured.out
    assert "3 alt texts found, 1 still without" in captured.err
    assert (site / "index.html").read_bytes() == HTML
    assert run(*words, "--write", "--comment") == 1
    told = capsys.readouterr().err
    assert "site/blog/post.md:3: none.png: no alt text: there is no file" in told
    assert "3 alt texts written" in told
    assert (site / "index.html").read_bytes() == HTML.replace(
        b"<img src='/img", f'<img alt="{first}" src=\'/img'.encode()
    ).replace(b"alt='image'", f'alt="{second}"'.encode())
    comment = b"<!-- alt text wanted: there is no file site/blog/none.png -->"
    assert (site / "blog" / "post.md").read_bytes() == MARKDOWN.replace(
        b"![](../", f"![{first}](../".encode()
    ).replace(b"none.png)", b"none.png)" + comment)
    assert run("site/index.html", "--check") == 0


def test_errors_before_the_model_is_loaded(site, tiny_preset, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (site / "notes.txt").write_text("no page")
    for words, message in [
        (["https://example.org"], "must be a file on this machine"),
        (["none.html"], "an existing page or folder"),
        (["site/notes.txt"], "must end in one of"),
        (["empty"], "A folder must hold pages (.html,"),
        (["site", "--root", "none"], "`--root` must be a folder"),
        (["site", "--comment"], "add `--write` or `--diff`"),
        (["site", "--min-confidence", 0.5], "whose confidence is calibrated"),
        (["site", "--max-characters", 0], "at least 1"),
    ]:
        assert run(*words, "--preset", tiny_preset) == 2, words
        assert message in capsys.readouterr().err, words


def test_pages_that_cannot_be_read_or_written(site, tiny_preset, capsys):
    (site / "index.html").chmod(0o444)
    (site / "broken.html").write_bytes(b"\0\0\0")
    assert run("site", "--preset", tiny_preset, "--write") == 1
    told = capsys.readouterr().err
    assert "skipped site/broken.html: A page must be text" in told
    assert "left site/index.html as it was: A page must be writable" in told
    assert (site / "index.html").read_bytes() == HTML
    assert b"![](../" not in (site / "blog" / "post.md").read_bytes()
    assert sorted(os.listdir(site)) == ["blog", "broken.html", "img", "index.html"]
