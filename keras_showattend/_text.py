"""Text that came from elsewhere: made safe to show, and distinguished from a URL."""

import re

# C0 and C1 control characters (ESC and newlines among them), the line and paragraph
# separators, and the embeddings, overrides and isolates of bidirectional text. The marks
# U+200E and U+200F stay, as do joiners: names in many scripts need them. A lone surrogate is
# a byte of a file name that is no UTF-8, which may be a control character of the terminal's.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)


def printable(text: str, keep: str = "") -> str:
    r"""Escapes the characters of a text that move, hide or colour what a terminal shows.

    File names, captions and vocabularies may hold them. Text output and messages are escaped;
    JSON and CSV keep such characters exactly.

    Args:
        text: str of any origin.
        keep: characters that stay, such as `"\n"` for a message of several lines.

    Returns:
        str with a Python escape such as `\x1b`, `\n` or `\u202e` for each such character. A
        byte that was no UTF-8 becomes `\xff`, its value.
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return rf"\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def is_url(text: str) -> bool:
    """Whether a text begins like a URL (`https://`, `hf://`, `data:`) and so is no path."""
    return _URL.match(text) is not None
