"""Images are found where a browser shows them, and alt texts change nothing else of a page."""

import pytest

from keras_showattend.alt_text import html_images, read_page
from keras_showattend.alt_text.pages import decode_page

pytest.importorskip("tree_sitter_html", reason="the extra `alt` reads pages")


def found(content, name="page.html"):
    return decode_page(name, content.encode()).images()


def lacking(content, name="page.html", empty=False):
    return [image.sources for image in found(content, name) if image.lacks_alt(empty)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<img src=a.jpg>", ["a.jpg"]),
        ("<IMG\n SRC='a.jpg'\n/>", ["a.jpg"]),
        ('<img src="a&amp;b.jpg">', ["a&b.jpg"]),
        # Decoration, a name by ARIA, or hidden from screen readers.
        ('<img src=a.jpg alt=""><img alt src=b.jpg>', []),
        ('<img src=a.jpg aria-label="A dog"><img src=b.jpg role=presentation>', []),
        ("<img src=a.jpg aria-hidden=true>", []),
        # What a browser takes for text.
        ("<textarea><img src=a.jpg></textarea><title><img src=b.jpg></title>", []),
        ("<!-- <img src=a.jpg> --><script>'<img src=b.jpg>'</script>", []),
        ("<style>/*<img src=a.jpg>*/</style><noscript><img src=b.jpg></noscript>", ["b.jpg"]),
        # Broken HTML.
        ("</p><div><img src=a.jpg></b></div></div><img src=b.jpg>", ["a.jpg", "b.jpg"]),
        ("<p>1 < 2 & <3 <img src=a.jpg>", ["a.jpg"]),
        ("<img src='a>b.jpg'>", ["a>b.jpg"]),
        ("<?php echo '<img src=a.jpg>' ?><% '<img src=b.jpg>' %>", []),
    ],
)
def test_images_of_html(content, expected):
    assert [sources[0] for sources in lacking(content)] == expected


def test_candidates_of_an_image():
    content = (
        "<picture><source srcset='a.webp 1x, b.webp 2x'><source srcset=c.avif>"
        "<img src='data:image/gif;base64,R0=' data-src=d.jpg srcset='e.jpg, f,g.jpg 800w'>"
        "</picture>"
        "<img src=h.jpg>"
    )
    first, second = lacking(content)
    assert first == (
        "data:image/gif;base64,R0=",
        *("d.jpg", "e.jpg", "f,g.jpg", "a.webp", "b.webp", "c.avif"),
    )
    assert second == ("h.jpg",)


# Things that the end of a part may cut.
PIECES = """\
<!doctype html><html><head><title>A > B <img src=no.jpg></title></head><body>
<section class="é"><p>unclosed <img src=1.jpg><p>é😀<picture><source srcset=2.webp>
<img src=2.jpg></picture><ul><li><img alt='x' src=3.jpg><li>b</ul><!-- <img src=no.jpg>
<img src=no.jpg> --><div><table><tr><td><img src="4.jpg"><td></table><br/>
<script>if (1 < 2) "<img src=no.jpg>"</script><textarea><img src=no.jpg>
</textarea><?php echo "<img src=no.jpg>" ?></section><img src=5.jpg></i><img src="{{ x }}">
<div> & <img src=6.jpg>
"""


@pytest.mark.parametrize("size", [1, 20, 50, 160, 10_000])
def test_a_long_page_is_read_in_parts(size, monkeypatch):
    content = PIECES * 3
    whole = found(content)
    sources = [image.sources for image in whole]
    assert sources[:3] == [("1.jpg",), ("2.jpg", "2.webp"), ("3.jpg",)]
    assert len(sources) == 7 * 3
    assert "no.jpg" not in str(sources)
    monkeypatch.setattr(html_images, "_PART", size)
    assert found(content) == whole


@pytest.mark.parametrize(
    ("content", "obstacle"),
    [
        ('<img src="{{ url }}">', "a template makes it"),
        ('<img src=a.jpg {% if x %}alt="y"{% endif %}>', "a template makes it"),
        ("<img src=a.jpg {{ more }}>", "a template makes it"),
        ("<img src=a.jpg <?= $alt ?>>", "a template makes it"),
        ("<img src=a.jpg", "its tag is broken"),
        ('<img src="a.jpg title="b">', "its tag is broken"),
        ('<img class="{{ c }}" src=a.jpg>', None),
    ],
)
def test_obstacles(content, obstacle):
    [image] = found(content)
    assert image.obstacle == obstacle


@pytest.mark.parametrize(
    ("alt", "expected"),
    [
        *((text, True) for text in (" ", "image", "a.jpg", "A", "IMG_1234", "photo 2")),
        *((text, True) for text in ("An image", "DSC01234.JPG", "untitled", "20240131_120000")),
        *((text, False) for text in ("", "A dog", "Image of", "Photos", "Bach 1685")),
    ],
)
def test_alt_texts_that_say_nothing(alt, expected):
    content = f'<img src="x/A.jpg?v=1" alt="{alt}">'
    assert lacking(content) == []
    assert bool(lacking(content, empty=True)) == expected


MARKDOWN = """\
---
cover: "![](front.jpg)"
---
# Title ![](a.jpg) #

Text ![](<b c.jpg> "title"), `![](code.jpg)`, [![](d.jpg)](page.md) and ![words](e.jpg)

> quote ![](f.jpg)
> more ![][ref] <img src="g.jpg">

| a | b |
|---|---|
| ![](h.jpg) | ![](h.jpg) |

```
![](fence.jpg)
```

    ![](indented.jpg)

- item ![](k.jpg)
\tlazy ![](l.jpg)

<div>
<img src="m.jpg"> <!-- <img src="n.jpg"> -->
</div>

[ref]: r%20s.jpg
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_images_of_markdown(newline):
    content = MARKDOWN.replace("\n", newline)
    names = ["a", "b%20c", "d", "f", "r%20s", "g", "h", "h", "k", "l", "m"]
    assert lacking(content, "page.md") == [(f"{name}.jpg",) for name in names]
    images = found(content, "page.md")
    assert [image.line for image in images] == [4, 6, 6, 6, 8, 9, 9, 13, 13, 21, 22, 25]
    page = decode_page("page.md", content.encode())
    texts = {number: f"<{number}>" for number, image in enumerate(images) if not image.alt}
    new = page.described(texts)
    assert new.readable(new.text) == (
        content.replace("![](a", r"![\<0\>](a")
        .replace("![](<b", r"![\<1\>](<b")
        .replace("![](d", r"![\<2\>](d")
        .replace("![](f.", r"![\<4\>](f.")
        .replace("![][ref]", r"![\<5\>][ref]")
        .replace('<img src="g', '<img alt="&lt;6&gt;" src="g')
        .replace("![](h", r"![\<7\>](h", 1)
        .replace("![](h", r"![\<8\>](h", 1)
        .replace("![](k", r"![\<9\>](k")
        .replace("![](l", r"![\<10\>](l")
        .replace('<img src="m', '<img alt="&lt;11&gt;" src="m')
    )


TEXT = 'He said "A & B" <b>|{x}| \\ [y] *z* `c` é…'
PAGES = {
    "utf-8": "<p>\u00e9\u4e2d\U0001f600<img src=a.jpg>\r\n<img alt='photo' src=b.jpg>\n\n\t",
    "utf-8-sig": "<p>\u00e9<img src=a.jpg><img alt=photo src=b.jpg>",
    "latin-1": "<p>\u00e9\u00ff<img src=a.jpg>\r<img alt=photo src=b.jpg>",
    "shift-jis": "<meta charset=shift-jis>\u8868\u30bd<img src=a.jpg><img alt=photo src=b.jpg>",
    "utf-16": "<p>\u00e9\U0001f600<img src=a.jpg>\n<img alt=photo src=b.jpg>",
    "utf-16-be": "<p>\u00e9<img src=a.jpg>\n<img alt=photo src=b.jpg>",
}


@pytest.mark.parametrize("encoding", PAGES)
def test_all_other_bytes_stay(tmp_path, encoding):
    inner = encoding.removesuffix("-sig")
    data = PAGES[encoding].encode(encoding)
    (tmp_path / "page.html").write_bytes(data)
    page = read_page(str(tmp_path / "page.html"))
    assert page.data == data
    new = page.described({0: TEXT, 1: "A cat."}, {0: "sure--ly"})
    before, after = (part.encode(inner).removeprefix(b"\xff\xfe") for part in ("<img", "src=a"))
    start = data.index(before) + len(before)
    assert new.data[:start] == data[:start]
    assert new.data[start:].count(data[data.index(after) :][: len(after)]) == 1
    again = decode_page("page.html", new.data)
    assert [image.alt for image in again.images()] == [TEXT, "A cat."]
    # Without what was added it is the page again.
    written = again.text
    for image in reversed(again.images()):
        attribute = written[image.start : image.end]
        shown = "photo" if encoding == "utf-8" else None
        old = "" if image.alt == TEXT else f"alt='{shown}'" if shown else "alt=photo"
        space = 1 if image.alt == TEXT else 0
        assert attribute.startswith('alt="')
        written = written[: image.start - space] + old + written[image.end :]
    assert written.replace("<!-- sure-ly -->", "").encode(page.codec) == data
    assert page.described({}).data == data


def test_letters_that_the_encoding_of_a_page_lacks():
    page = decode_page("page.html", "<p>\u00e9<img src=a.jpg>".encode("latin-1"))
    assert page.described({0: "\u00e9\u2026"}).data == (
        "<p>\u00e9".encode("latin-1") + b'<img alt="&#233;&#8230;" src=a.jpg>'
    )
    japanese = "<meta charset='shift-jis'><img src='\u8868.jpg'>".encode("shift-jis")
    [image] = decode_page("page.html", japanese).images()
    assert image.sources == ("\u8868.jpg",)


def test_markdown_says_the_text_as_it_is():
    page = decode_page("page.md", b"![](a.jpg) and <img src=b.jpg>")
    assert [image.alt for image in page.described({0: TEXT, 1: TEXT}).images()] == [TEXT, TEXT]
    assert page.described({0: "A dog."}).data == b"![A dog.](a.jpg) and <img src=b.jpg>"


def test_what_is_refused():
    page = decode_page("page.html", b"<img src='{{ a }}'>")
    with pytest.raises(ValueError, match="write it by hand. Received: 'page.html', line 1"):
        page.described({0: "A dog."})
    with pytest.raises(ValueError, match="must be text. Received: 'a.html', which holds zero"):
        decode_page("a.html", b"\x89PNG\0")
    with pytest.raises(ValueError, match="UTF-16 must be whole"):
        decode_page("a.html", b"\xff\xfe<\0p")


def test_a_cell_whose_place_cannot_be_told():
    page = decode_page("page.md", b"| a |\n|---|\n| x \\| y ![](a.jpg) |\n")
    [image] = page.images()
    assert (image.sources, image.obstacle) == (("a.jpg",), "its position cannot be determined")


def test_a_long_page():
    content = "<p>text \u00e9 &amp; more</p>\n" * 20_000 + "<img src=a.jpg>"
    page = decode_page("page.html", content.encode())
    new = page.described({0: "A dog."})
    assert new.data == content.replace("<img", '<img alt="A dog."').encode()
    assert page.images()[0].line == 20_001
