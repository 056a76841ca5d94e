"""The tokenizer of coco-caption's scores, in pure Python.

coco-caption runs Stanford CoreNLP's Penn Treebank tokenizer over a caption, lower-cases the tokens
and drops a list of punctuation tokens. Scores compare with published ones only when both sides of
the comparison went through those rules, so they are written out here as one regular expression.
`scripts/check_metrics_parity.py` compares the result with the Java program, caption by caption.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeAlias

from keras_showattend.metrics.java_characters import LETTERS, MARKS, SYMBOLS

_CORE = rf"[0-9A-Za-z{LETTERS}]"
_LETTER = rf"[0-9A-Za-z{LETTERS}{MARKS}]"
_WORD = rf"{_LETTER}+"
# Where a word begins and ends. `\b` would also cut before a vowel sign.
_START = rf"(?<![_0-9A-Za-z{LETTERS}{MARKS}])"
_STOP = rf"(?![_0-9A-Za-z{LETTERS}{MARKS}])"
# What may follow a clitic such as 's: anything but more of the same word.
_END = rf"(?!{_LETTER})"
# Hyphens of other scripts join words; alone they are dropped. So do the separators of Arabic
# numbers between digits.
_HYPHENS = "\u058a\u2010\u2011"
_SEPARATORS = "\u066b\u066c"
_NO_CLITIC = rf"(?!(?i:s|m|d|ll|re|ve|n){_END})"
# l' and the like, which stay with the word after them: l'homme.
_ELISION = rf"(?<!{_LETTER})[DLOdlo]'{_NO_CLITIC}(?={_CORE}{{2}})"
_ELIDED = rf"(?:{_ELISION})?{_CORE}+"

# Titles, ranks, months and the like that keep their full stop as part of the token.
_ABBREVIATIONS = (
    r"mr|mrs|ms|messrs|dr|prof|st|ave|blvd|rd|jr|sr|vs|etc|ft|mt|inc|ltd|co|corp|bros|dept|univ|est|"
    r"gen|col|sgt|lt|capt|maj|cmdr|adm|gov|sen|rep|hon|rev|pres|cpl|pvt|supt|msgr|mme|mlle|esq|"
    r"jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri|al|cf|tel|assn|mfg|md"
)

_SENTENCE_START = r"(?:A|An|The|This|That|These|He|She|It|They|We|You|In|On|At|There)"

# JFlex, which the Java tokenizer uses, takes the longest match of all rules; `re` takes the first.
# So the order below is the meaning: narrow forms come before the general word.
_RULES = [
    r"(?:https?|ftp)://[^\s<>\"|()]*[^\s<>\"|().,;:!?'\-]",
    r"[\w.+\-]+@\w[\w\-]*(?:\.[\w\-]+)*",
    r"</?[A-Za-z][^\s<>]*>",
    # Faces, such as :-) and ;D
    rf"[:;=][\-o']?[()DP]{_END}",
    r"\.{3,}|\u2026",
    # 'tis and 'twas are two words each; 'n', 'em, 'til, 'cause and '90s are one.
    rf"(?i:'t(?=(?:is|was){_END}))",
    rf"(?i:'n'|'(?:n|em|til|cause|\d\ds){_END})",
    # Clitics, cut off the word before them.
    rf"(?i:n't{_END}|'(?:s|m|d|ll|re|ve){_END})",
    # Two words in one: can|not, gon|na, wan|na, got|ta, lem|me, gim|me.
    rf"{_START}(?i:(?:can(?=not{_STOP})|gon(?=na{_STOP})|wan(?=na{_STOP})|got(?=ta{_STOP})"
    rf"|lem(?=me{_STOP})|gim(?=me{_STOP})))",
    rf"{_START}(?i:ma'am|c'mon|c'est|e'er|nor'easter){_END}",
    rf"{_START}(?i:y'(?={_LETTER}))",
    # Acronyms: U.S. and U.S, a.m. and a.m, and initials: D.
    # At the end of a sentence a single letter lets go of its stop.
    rf"{_START}(?:[A-Za-z]\.)+[A-Za-z]{_STOP}(?![.'\-/&]{_LETTER})\.?",
    rf"{_START}[A-Za-z]\.(?!\.){_STOP}(?!\s*$)(?!\s+{_SENTENCE_START}{_STOP})",
    rf"{_START}(?i:(?:{_ABBREVIATIONS})\.)(?!\.){_STOP}",
    rf"{_START}(?i:no\.)(?=\s*\d)",
    # AT&T and R&B are one token in capitals only.
    rf"{_START}[A-Z]+&[A-Z]+{_END}",
    rf"{_START}(?:[Uu][Ss]|A|C|HK|NZ)\$",
    rf"#(?:(?!\d){_CORE})+|@[A-Za-z][A-Za-z0-9_]*",
    # Times and numbers: 10:30, 1,000.5, -5, 1/2; a clock time lets go of a following am or pm.
    rf"(?:{_START}[\-+])?\d+(?:[.,:{_SEPARATORS}]\d+)+(?![\-/]?[0-9A-Za-z])"
    rf"|\d+:\d+(?=(?i:[ap]m){_END})",
    rf"{_START}[\-+]\d+{_END}|{_START}\.\d+{_END}",
    # A following n't is left over.
    rf"{_WORD}(?=n't{_END})|{_WORD}(?=N'T{_END})",
    # A word ending in a vowel holds on to an apostrophe and a further vowel or capital (Hawai'i,
    # qu'il), and a capital or n that begins a word to two letters more (O'Neil, n'est).
    rf"{_START}(?:(?!\d){_CORE})+[AEIOUYaeiouy]'{_NO_CLITIC}[A-Zaeiou](?:(?!\d){_CORE})*",
    rf"{_START}[A-HJ-XZn]'{_NO_CLITIC}(?:(?!\d){_CORE}){{2,}}",
    # j' and the like are tokens of their own before what they cannot hold on to.
    rf"{_START}(?:[Jj]|[DLdl](?!'{_CORE}{{2}}))'{_NO_CLITIC}(?={_LETTER})",
    # ASCII words, joined by hyphens, slashes, underscores and inner stops.
    rf"(?>[0-9A-Za-z]+(?:[\-/._!?][0-9A-Za-z]+)*)(?!{_LETTER}|[\-_{_HYPHENS}]{_CORE}|[.!?](?!\d){_LETTER})(?!(?<=[dDlLoO])'{_CORE})",
    # Words of any letters, joined by hyphens: where there is a mark they are cut.
    rf"{_ELIDED}(?:[\-_{_HYPHENS}]{_ELIDED})+|{_ELISION}{_CORE}+",
    rf"(?!\d){_LETTER}+(?:[.!?](?!\d){_LETTER}+)*",
    rf"{_CORE}+",
    r"\^_\^|[!?]{2,}|\*{2,}|_{2,}|-+|''|``",
    r"\S",
]


@cache
def _token_pattern() -> re.Pattern[str]:
    # Compiled when it is first needed: that takes a tenth of a second.
    return re.compile("|".join(_RULES))


# Tokens that are spelled otherwise in the Penn Treebank.
_SPELLING = {
    '"': "''", "\u2026": "...", "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-",
    "{": "-lcb-", "}": "-rcb-", "\u2013": "--", "\u2014": "--", "\u2015": "--",
    "\u00a3": "#", "\u20ac": "$", "\u20a0": "$", "\u00a4": "$", "\u00a2": "cents",
}  # fmt: skip

# coco-caption's list also names the brackets, but in capitals: after lower-casing they never match,
# so brackets stay in the scored caption. Kept that way, to give the same numbers.
_DROPPED = frozenset(
    ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";", *_HYPHENS, *_SEPARATORS]
)

# What the Java program skips: all that it knows neither as a letter nor as a symbol.
_KNOWN = re.escape("".join(_SPELLING)) + _HYPHENS + _SEPARATORS + "\u2019"
_SKIPPED = re.compile(rf"[^!-~{LETTERS}{MARKS}{SYMBOLS}{_KNOWN}]")
_CLITIC = re.compile("n?'(?:[smdt]|ll|re|ve)?", re.IGNORECASE)

# Most captions are words with a stop at the end; they need none of the rules above.
_PLAIN = re.compile(r"(?:(?:[A-Za-z]+|[.,;]) )*(?:[A-Za-z]+|[.,;])? ?")
_SPLIT_WORDS = frozenset(["cannot", "gonna", "gotta", "wanna", "lemme", "gimme"])

# Written otherwise before the rules are tried. The code points from 80 to 97 are quotes, dashes
# and the euro sign of Windows' code page 1252, read as Latin-1.
_REWRITTEN = str.maketrans(
    {
        "\u00ad": None,
        "\u0080": "\u20ac",
        "\u0091": "`",
        "\u0092": "\u2019",
        "\u0093": '"',
        "\u0094": '"',
        "\u0096": "\u2013",
        "\u0097": "\u2014",
        "\u2153": " 1/3 ",
        "\u2154": " 2/3 ",
        "\u00bd": " 1/2 ",
        "\u00bc": " 1/4 ",
        "\u00be": " 3/4 ",
        "\u2018": "`",
        "\u201c": '"',
        "\u201d": '"',
        "\u201b": "`",
        "\u00ab": '"',
        "\u00bb": '"',
        "\u2039": '"',
        "\u203a": '"',
    }
)


# Cuts a caption into words, for a language that writes none: `jieba.lcut`, for example.
Segmenter: TypeAlias = Callable[[str], Iterable[str]]


def tokenize(caption: str, segment: Segmenter | None = None) -> list[str]:
    """Cuts a caption into the lower-cased words that coco-caption scores.

    The text is composed first (Unicode's NFC), so that both ways to write "café" are one word.
    The Java program does not do that; in all else the rules are its own, also where they do
    not suit a language: a zero-width joiner cuts a word, and Chinese, Japanese or Thai written
    without spaces is one word a phrase. Those need `segment`.

    Args:
        caption: str. One caption; line ends inside it count as spaces.
        segment: function that takes a caption and returns its words, which are then tokenized
            one by one. None, the default, leaves the cutting to the spaces.

    Returns:
        list[str], without punctuation; empty for an empty caption.

    Raises:
        TypeError: if `caption` is not a str.

    Source: the Penn Treebank tokenization (Marcus et al. 1993) with coco-caption's punctuation list
    (Chen et al. 2015, arXiv 1504.00325).
    """
    if not isinstance(caption, str):
        raise TypeError(
            "A caption must be one str. Join a list of words with spaces first, or give it to a "
            "function that takes tokens. "
            f"Received: {type(caption).__name__} {caption!r:.100}"
        )
    if segment is not None:
        words = segment(caption)
        if isinstance(words, str):
            raise TypeError(
                "`segment` must return a list of words. Split what it returns at the spaces. "
                f"Received: str {words!r:.100}"
            )
        caption = " ".join(words)
    if _PLAIN.fullmatch(caption):
        words = caption.lower().split()
        if _SPLIT_WORDS.isdisjoint(words):
            return [word for word in words if word not in _DROPPED]
    text = unicodedata.normalize("NFC", caption).translate(_REWRITTEN)
    text = _SKIPPED.sub(" ", text)
    tokens = []
    for match in _token_pattern().finditer(text.replace("\u2019", "'")):
        # A word keeps its curved apostrophe; a clitic has a straight one.
        straight = _CLITIC.fullmatch(match[0]) is not None
        token = _normalize(match[0] if straight else text[slice(*match.span())])
        if token:
            tokens.append(token)
    return tokens


def _normalize(match: str) -> str:
    if match.isalnum():
        token = match
    else:
        token = _SPELLING.get(match, match)
        if len(match) > 1:
            if not (match.strip("-") and match.strip(".") and match.strip("'\u2019")):
                return ""
            if match[0] in ":;=":
                token = match.replace("(", "-lrb-").replace(")", "-rrb-")
    token = token.lower()
    return "" if token in _DROPPED else token
