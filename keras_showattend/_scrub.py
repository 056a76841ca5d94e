"""What belongs to one machine, in text that others will read."""

import re
import shlex
from collections.abc import Iterable

from keras_showattend._text import is_url

# Absolute paths of the usual systems; an address has a letter before the slash.
LOCAL_PATH = re.compile(
    r"(?<![\w.:/~])/(?:home|root|Users|tmp|var|private|mnt|media|opt|srv|data|work|workspace"
    r"|content|kaggle|scratch|usr)/[^\s\"']+|\b[A-Za-z]:\\+[\w ]+\\|(?<![\w/])~/[\w.]+"
)


def without_folders(word: str) -> str:
    """Shortens a path to its last part, also after `--option=`; URLs and handles stay."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    if is_url(value):
        return word
    name = re.split(r"[/\\]", value.rstrip("/\\"))[-1] or value
    return option + equals + name


def shareable_command(words: str | Iterable[str]) -> str:
    """Returns a command line without the folders of the machine that it ran on.

    Args:
        words: the command line, as one str or word by word.
    """
    words = shlex.split(words) if isinstance(words, str) else words
    return shlex.join(without_folders(word) for word in words)
