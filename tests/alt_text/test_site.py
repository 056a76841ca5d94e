"""Where images lie, what is downloaded, and how pages are written."""

import http.server
import os
import shutil
import subprocess
import threading

import pytest

from keras_showattend._locks import exclusive
from keras_showattend.alt_text import fetch as fetching
from keras_showattend.alt_text.fetch import FetchError, fetch, is_public
from keras_showattend.alt_text.references import find_image
from keras_showattend.alt_text.site import described_page, find_lacks, patch, sources_of, write_page

pytest.importorskip("tree_sitter_html", reason="the extra `alt` reads pages")


@pytest.fixture
def site(tmp_path):
    for name in ("site/img/a b.jpg", "site/blog/c.jpg", "secret.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "site" / "img" / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    return tmp_path / "site"


def reference(site, content, name="blog/page.html"):
    page = site / name
    page.write_text(content)
    [lack] = find_lacks(str(page), str(site)).lacks
    return lack.reference


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<img src=c.jpg>", "blog/c.jpg"),
        ("<img src='../img/a%20b.jpg?v=3#x'>", "img/a b.jpg"),
        ("<img src='/img/a b.jpg'>", "img/a b.jpg"),
        ("<base href='/img/'><img src='a b.jpg'>", "img/a b.jpg"),
        ("<img src='data:image/gif;base64,R0lG' data-src=c.jpg>", "blog/c.jpg"),
        ("<img src=none.jpg srcset='c.jpg 2x'>", "blog/c.jpg"),
    ],
)
def test_files_of_the_site(site, content, expected):
    assert reference(site, content).path == str(site / expected)


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        ("<img src='../../secret.jpg'>", "problem", "outside the site's folder"),
        ("<img src='/../secret.jpg'>", "problem", "outside the site's folder"),
        ("<img src='/img/out.jpg'>", "problem", "outside the site's folder"),
        ("<img src=none.jpg>", "problem", "there is no file"),
        ("<img src=.>", "problem", "there is no file"),
        ("<img>", "problem", "names no image"),
        ("<img src='file:///etc/passwd'>", "problem", "begins with file:"),
        ("<img src='data:image/svg+xml,<svg/>'>", "problem", "SVG"),
        ("<img src='data:image/png;base64,A'>", "problem", "damaged"),
        ("<img src='//x.org/a.jpg'>", "url", "https://x.org/a.jpg"),
        ("<base href='https://x.org/y/'><img src=a.jpg>", "url", "https://x.org/y/a.jpg"),
    ],
)
def test_other_places(site, content, kind, expected):
    assert expected in getattr(reference(site, content), kind)


def test_data_of_the_page(site):
    assert reference(site, "<img src='data:image/gif;base64,R0lG'>").data == b"GIF"
    assert reference(site, "<img src='data:image/gif,%47IF'>").data == b"GIF"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/a.jpg")
            self.end_headers()
            return
        if self.path == "/file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        self.send_response(200 if self.path != "/none" else 404)
        self.end_headers()
        self.wfile.write(b"x" * 300)

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_downloads(server, monkeypatch):
    def everywhere(address):
        return True

    assert (
        fetch(f"{server}/a.jpg", everywhere) == fetch(f"{server}/moved", everywhere) == b"x" * 300
    )
    for address in ("/none", "/file"):
        with pytest.raises(FetchError, match="it cannot be downloaded"):
            fetch(server + address, everywhere)
    with pytest.raises(FetchError, match=r"its host 127\.0\.0\.1 is not on the public internet"):
        fetch(f"{server}/a.jpg")
    seen = []
    with pytest.raises(FetchError, match="not on the public"):
        # The address behind a redirection is asked for, too.
        fetch(f"{server}/moved", lambda address: not seen.append(address) and len(seen) == 1)
    monkeypatch.setattr(fetching, "MAX_BYTES", 299)
    with pytest.raises(FetchError, match="it is larger than"):
        fetch(f"{server}/a.jpg", everywhere)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        *((address, False) for address in ("10.0.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0")),
        *((address, False) for address in ("::1", "fe80::1", "::ffff:10.0.0.1", "224.0.0.1")),
    ],
)
def test_public_addresses(address, expected):
    assert is_public(address) is expected


def test_each_image_once(site):
    (site / "a.html").write_text("<img src=blog/c.jpg><img src='./blog/../blog/c.jpg'>")
    (site / "b.html").write_text("<img src='https://x.org/d.jpg'>")
    lacks = [
        lack
        for name in ("a.html", "b.html")
        for lack in find_lacks(str(site / name), str(site)).lacks
    ]
    [(source, group)] = sources_of(lacks, None)
    assert (source, len(group)) == (str(site / "blog" / "c.jpg"), 2)
    assert lacks[2].problem == "it is on the web (see --fetch)"

    def refuse(url):
        raise FetchError(f"no {url}")

    assert len(list(sources_of(lacks, refuse))) == 1
    assert (lacks[2].problem, lacks[2].failed) == ("no https://x.org/d.jpg", True)
    assert [source for source, _ in sources_of(lacks, str.encode)][1] == b"https://x.org/d.jpg"


def lacks_with_texts(path, **texts):
    found = find_lacks(str(path), str(path.parent))
    for number, text in texts.items():
        found.lacks[int(number[1:])].text = text
    return found


@pytest.mark.parametrize("ending", ["", "\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_git_applies_the_patch(site, monkeypatch, newline, ending):
    monkeypatch.chdir(site)
    lines = [f"<p>{n} \u00e9" for n in range(20)]
    lines[2], lines[19] = "<img src=a.jpg>", "<img src=b.jpg>"
    page = site / "p\u00e4ge.html"
    page.write_bytes((newline.join(lines) + ending.replace("\n", newline)).encode())
    found = lacks_with_texts(page, _0="A dog.", _1="A cat.")
    old, new = described_page(found)
    (site / "alt.patch").write_bytes(patch(old, new))
    subprocess.run(["git", "apply", "alt.patch"], check=True)
    assert page.read_bytes() == new.data


def test_pages_are_written_all_at_once(site):
    page = site / "page.html"
    page.write_bytes(b"<img src=a.jpg>\r\n<img src=b.jpg>")
    page.chmod(0o640)
    found = lacks_with_texts(page, _0="A dog.")
    found.lacks[1].problem = "not sure enough (0.10) of: A cat."
    old, new = described_page(found, comments=True)
    with exclusive(page), pytest.raises(BlockingIOError, match="Only one process at a time"):
        write_page(old, new)
    write_page(old, new)
    expected = (
        b'<img alt="A dog." src=a.jpg>\r\n<img src=b.jpg>'
        b"<!-- alt text wanted: not sure enough (0.10) of: A cat. -->"
    )
    assert page.read_bytes() == expected
    assert page.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(site)) == ["blog", "img", "page.html"]
    # A comment is written once.
    again = lacks_with_texts(page)
    assert described_page(again, comments=True)[1].data == expected
    with pytest.raises(ValueError, match="another program changed"):
        write_page(old, new)
    with pytest.raises(ValueError, match="another program changed"):
        described_page(found)
    page.chmod(0o444)
    with pytest.raises(PermissionError, match="which is read-only"):
        write_page(new, new)


def test_no_patch_for_utf_16(site):
    page = site / "page.html"
    page.write_text("<img src=a.jpg>", encoding="utf-16")
    with pytest.raises(ValueError, match="use `--write`"):
        patch(*described_page(lacks_with_texts(page, _0="A dog.")))


def test_git_is_there():
    assert shutil.which("git")


def test_find_image_of_nothing(site):
    (site / "a.md").write_text("![]()")
    [lack] = find_lacks(str(site / "a.md"), str(site)).lacks
    assert find_image(lack.image, "a.md", str(site)).problem == "it names no image"
