import pytest

from keras_showattend._text import is_url, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog.jpg", "a dog.jpg"),
        ("été ☀ 犬 कुत्ता\u200d e\u0301 \u200f", "été ☀ 犬 कुत्ता\u200d e\u0301 \u200f"),
        ("two\nlines\r\tand a tab", r"two\nlines\r\tand a tab"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
        ("photo\u202egpj.exe\u2066", r"photo\u202egpj.exe\u2066"),
        ("one\u2028two\u2029", r"one\u2028two\u2029"),
        ("\udcff\udc9b.png", r"\xff\x9b.png"),
        ("\ud800", r"\ud800"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_printable(text, expected):
    assert printable(text) == expected
    printable(text).encode("utf-8")


def test_kept_characters():
    assert printable("one\n\x1btwo\r", keep="\n") == "one\n\\x1btwo\\r"


@pytest.mark.parametrize("text", ["https://a.org/b.jpg", "HF://user/name", "data:image/png,x"])
def test_urls(text):
    assert is_url(text)


@pytest.mark.parametrize("text", ["a.jpg", "C:/photos/a.jpg", r"C:\a.jpg", "/https://"])
def test_paths_are_no_urls(text):
    assert not is_url(text)
