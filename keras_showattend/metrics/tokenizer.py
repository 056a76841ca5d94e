"""The tokenizer of coco-caption's scores, in pure Python.

coco-caption runs Stanford CoreNLP's Penn Treebank tokenizer over a caption, lower-cases the tokens
and drops a list of punctuation tokens. Scores only compare with published ones when both sides of
the comparison went through those rules, so they are written out here as one regular expression.
`scripts/check_metrics_parity.py` compares the result with the Java program, caption by caption.
"""

import re

_LETTER = r"[^\W_]|[\u0300-\u036f]"
_WORD = rf"(?:{_LETTER})+"
# What may follow a clitic such as 's: anything but more of the same word.
_END = rf"(?!{_LETTER})"

# Titles, ranks, months and the like that keep their full stop as part of the token.
_ABBREVIATIONS = (
    r"mr|mrs|ms|messrs|dr|prof|st|ave|blvd|rd|jr|sr|vs|etc|ft|mt|inc|ltd|co|corp|bros|dept|univ|est|"
    r"gen|col|sgt|lt|capt|maj|cmdr|adm|gov|sen|rep|hon|rev|pres|cpl|pvt|supt|msgr|mme|mlle|esq|"
    r"jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri|al|cf|tel|assn|mfg|md"
)

_SENTENCE_START = r"(?:A|An|The|This|That|These|He|She|It|They|We|You|In|On|At|There)"

# JFlex, behind the Java tokenizer, takes the longest match of all rules; `re` takes the first.
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
    r"(?i:\bcan(?=not\b)|\bgon(?=na\b)|\bwan(?=na\b)|\bgot(?=ta\b)|\blem(?=me\b)|\bgim(?=me\b))",
    # Names and contractions that keep their apostrophe.
    rf"(?i:\b(?:o'(?:clock|(?!s{_END}|d{_END}|m{_END}|ll{_END}|re{_END}|ve{_END}){_WORD})"
    rf"|d'(?:oh|ye){_END}|ma'am|c'mon))",
    rf"(?i:\by'(?={_LETTER}))",
    # Acronyms: U.S. and U.S, a.m. and a.m, and initials: D.
    # At the end of a sentence a single letter lets go of its stop.
    rf"\b(?:[A-Za-z]\.)+[A-Za-z]\b(?![.'\-/&]{_LETTER})\.?",
    rf"\b[A-Za-z]\.(?![\w.])(?!\s*$)(?!\s+{_SENTENCE_START}\b)",
    rf"(?i:\b(?:{_ABBREVIATIONS})\.)(?![\w.])",
    r"(?i:\bno\.)(?=\s*\d)",
    # AT&T and R&B are one token in capitals only.
    rf"\b[A-Z]+&[A-Z]+{_END}",
    r"\b(?:[Uu][Ss]|A|C|HK|NZ)\$",
    # A word ending in a vowel holds on to an apostrophe and more letters, as in Qur'an, Hawai'i.
    rf"[A-Za-z]*[aeiouyAEIOUY]'(?!(?i:s|m|d|ll|re|ve|n){_END})[A-Za-z]+",
    r"[#@][A-Za-z]\w*",
    # Times and numbers: 10:30, 1,000.5, -5, 1/2; a clock time lets go of a following am or pm.
    rf"(?:(?<!\w)[\-+])?\d+(?:[.,:]\d+)+(?![\-/]?{_LETTER})|\d+:\d+(?=(?i:[ap]m){_END})",
    rf"(?<!\w)[\-+]\d+{_END}|(?<!\w)\.\d+{_END}",
    # Words, joined by hyphens, slashes, underscores and inner stops; a following n't is left over.
    rf"{_WORD}(?=n't{_END})|{_WORD}(?=N'T{_END})",
    rf"{_WORD}(?:[\-/._!?]{_WORD})*",
    r"\^_\^|[!?]{2,}|\*{2,}|_{2,}|-+|''|``",
    r"\S",
]
_TOKEN = re.compile("|".join(_RULES))

# Tokens that are spelled otherwise in the Penn Treebank.
_SPELLING = {
    '"': "''", "\u2026": "...", "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-",
    "{": "-lcb-", "}": "-rcb-", "\u2013": "--", "\u2014": "--",
    "\u00a3": "#", "\u20ac": "$", "\u00a2": "cents",
}  # fmt: skip

# coco-caption's list also names the brackets, but in capitals: after lower-casing they never match,
# so brackets stay in the scored caption. Kept that way, to give the same numbers.
_DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

# Most captions are words with a stop at the end; they need none of the rules above.
_PLAIN = re.compile(r"(?:(?:[A-Za-z]+|[.,;]) )*(?:[A-Za-z]+|[.,;])? ?")
_SPLIT_WORDS = frozenset(["cannot", "gonna", "gotta", "wanna", "lemme", "gimme"])

_REWRITTEN = str.maketrans(
    {
        "\u00bd": " 1/2 ",
        "\u00bc": " 1/4 ",
        "\u00be": " 3/4 ",
        "\u2019": "'",
        "\u2018": "`",
        "\u201c": '"',
        "\u201d": '"',
        "\u00ab": '"',
        "\u00bb": '"',
    }
)


def tokenize(caption: str) -> list[str]:
    """Cut a caption into the lower-cased words that coco-caption scores.

    Args:
        caption: str. One caption; line ends inside it count as spaces.

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
    if _PLAIN.fullmatch(caption):
        words = caption.lower().split()
        if _SPLIT_WORDS.isdisjoint(words):
            return [word for word in words if word not in _DROPPED]
    tokens = []
    for match in _TOKEN.findall(caption.translate(_REWRITTEN)):
        token = _normalize(match)
        if token:
            tokens.append(token)
    return tokens


def _normalize(match: str) -> str:
    if match.isalnum():
        token = match
    else:
        token = _SPELLING.get(match, match)
        if len(match) > 1:
            if not match.strip("-"):
                return ""
            if not match.strip("."):
                return ""
            if match[0] in ":;=":
                token = match.replace("(", "-lrb-").replace(")", "-rrb-")
    # The Java program drops what lies outside Unicode's first plane (emoji, mostly).
    if not token.isascii():
        token = "".join(c for c in token if c <= "\uffff")
    token = token.lower()
    return "" if token in _DROPPED else token
