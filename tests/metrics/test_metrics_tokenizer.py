"""The tokenizer against literal tokens and against the Java program."""

import shutil
import warnings

import pytest

from keras_showattend.metrics import tokenize

CASES = [
    ("A dog runs .", "a dog runs"),
    ("", ""),
    (" . ", ""),
    ('A "big" dog, running; fast...', "a big dog running fast"),
    ("The dog's ball isn't theirs.", "the dog 's ball is n't theirs"),
    ("the dogs' ball", "the dogs ball"),
    ("DON'T stop", "do n't stop"),
    ("He cannot, I'm gonna, we've", "he can not i 'm gon na we 've"),
    ("a well-known T-shirt", "a well-known t-shirt"),
    ("red/green and/or blue", "red/green and/or blue"),
    ("dog--cat - bird", "dog cat bird"),
    ("at 10:30pm for $5.50 (about 1/2)", "at 10:30 pm for $ 5.50 -lrb- about 1/2 -rrb-"),
    ("Mr. Smith vs. the U.S. team", "mr. smith vs. the u.s. team"),
    ("number #5 of 1,000", "number # 5 of 1,000"),
    ("AT&T but salt&pepper", "at&t but salt & pepper"),
    ("rock 'n' roll at five o'clock", "rock 'n' roll at five o'clock"),
    ("the 1980's and '90s", "the 1980 's and '90s"),
    ("what?! no!!", "what ?! no !!"),
    ("line\nend\tand  gaps", "line end and gaps"),
    (
        "A na\u00efve girl at the caf\u00e9\u2019s door",
        "a na\u00efve girl at the caf\u00e9 's door",
    ),
    ("\u201cquoted\u201d \u2014 half \u00bd", "quoted half 1/2"),
    ("\u65e5\u672c\u8a9e \U0001f44d ok", "\u65e5\u672c\u8a9e ok"),
]


@pytest.mark.parametrize(("caption", "expected"), CASES)
def test_tokens(caption, expected):
    assert tokenize(caption) == expected.split()


@pytest.mark.parametrize("caption", [["a", "dog"], None, b"a dog"])
def test_refuses_what_is_no_str(caption):
    with pytest.raises(TypeError, match=r"must be one str.*Received: "):
        tokenize(caption)


def test_agrees_with_the_java_program(capfd):
    judge = pytest.importorskip(
        "pycocoevalcap.tokenizer.ptbtokenizer", reason="pycocoevalcap is not installed"
    )
    if shutil.which("java") is None:
        pytest.skip("no java on the PATH")
    captions = {
        i: [{"caption": caption}] for i, (caption, _) in enumerate(CASES) if caption.strip()
    }
    with warnings.catch_warnings():
        # The judge leaves its pipe open.
        warnings.simplefilter("ignore", ResourceWarning)
        theirs = judge.PTBTokenizer().tokenize(captions)
    for i in captions:
        assert tokenize(CASES[i][0]) == theirs[i][0].split()
