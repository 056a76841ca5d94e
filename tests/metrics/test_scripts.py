"""The tokenizer on captions in many scripts, against what the Java program made of them.

`captions_in_many_scripts.json` holds rows of script, caption, and the Java program's tokens,
composed (NFC) and without coco-caption's punctuation. Where Java is at hand the rows are
checked against the program itself.
"""

import json
import pathlib
import shutil
import unicodedata
import warnings

import numpy as np
import pytest

from keras_showattend.metrics import diversity_report, score_captions, score_details, tokenize

ROWS = json.loads(
    pathlib.Path(__file__).with_name("captions_in_many_scripts.json").read_text(encoding="utf-8")
)
# A decomposed voiced sound mark of Japanese: composing it first makes one word of what the Java
# program cuts in six.
COMPOSED_OTHERWISE = [caption for _, caption, _ in ROWS if "\u30ab\u3099" in caption]


def java_tokens(captions):
    judge = pytest.importorskip(
        "pycocoevalcap.tokenizer.ptbtokenizer", reason="pycocoevalcap is not installed"
    )
    if shutil.which("java") is None:
        pytest.skip("no java on the PATH")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # Before Java 18 the locale decides how it reads a file.
        patch.setenv("JAVA_TOOL_OPTIONS", "-Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8")
        # The judge leaves its pipe open.
        warnings.simplefilter("ignore", ResourceWarning)
        found = judge.PTBTokenizer().tokenize(
            {number: [{"caption": text}] for number, text in enumerate(captions)}
        )
    return [unicodedata.normalize("NFC", found[number][0]) for number in range(len(captions))]


def test_there_are_a_hundred_captions_in_ten_scripts():
    assert len({script for script, _, _ in ROWS}) >= 10
    assert len(ROWS) >= 100


@pytest.mark.parametrize(
    ("caption", "expected"), [row[1:] for row in ROWS if row[1] not in COMPOSED_OTHERWISE]
)
def test_tokens(caption, expected):
    assert tokenize(caption) == expected.split()


def test_the_committed_tokens_are_the_java_programs(capfd):
    assert java_tokens([caption for _, caption, _ in ROWS]) == [tokens for *_, tokens in ROWS]


def test_characters_of_the_first_plane(capfd):
    # Of the large blocks of ideographs and syllables a sample; surrogates are no characters.
    characters = [
        chr(code)
        for code in (
            *range(0xA0, 0x2028),
            *range(0x202A, 0x3100),
            *range(0x3100, 0xD800, 13),
            *range(0xF900, 0x10000),
        )
        if unicodedata.is_normalized("NFC", chr(code))
    ]
    captions = [f"xq{character}qx {character} end" for character in characters]
    differ = [
        f"{ord(character):04x}"
        for character, caption, theirs in zip(
            characters, captions, java_tokens(captions), strict=True
        )
        if tokenize(caption) != theirs.split()
    ]
    assert differ == []


def test_composed_and_decomposed_text_is_the_same():
    decomposed = unicodedata.normalize("NFD", "un café près de l'étang")
    assert decomposed != "un café près de l'étang"
    assert tokenize(decomposed) == ["un", "café", "près", "de", "l'étang"]
    kana, expected = "ガラスのボール", ["ガラスのボール"]
    assert tokenize(unicodedata.normalize("NFD", kana)) == tokenize(kana) == expected


def test_cider_of_hindi_is_coco_captions():
    references = {
        1: ["एक कुत्ता घास पर दौड़ रहा है", "कुत्ता मैदान में दौड़ता है"],
        2: ["दो लड़के गेंद खेल रहे हैं", "लड़के समुद्र के किनारे खेलते हैं"],
        3: ["एक आदमी साइकिल चला रहा है", "आदमी सड़क पर साइकिल चलाता है"],
    }
    captions = {
        1: "एक कुत्ता दौड़ रहा है",
        2: "दो लड़के समुद्र के किनारे हैं",
        3: "एक आदमी सड़क पर चला रहा है",
    }
    # pycocoevalcap 1.2: PTBTokenizer, then Cider.
    assert score_captions(captions, references, ["cider"])["cider"] == pytest.approx(3.0836264)


def cut_at_every_letter(caption):
    return list(caption)


def test_a_segmenter_cuts_what_has_no_spaces():
    captions = {1: "狗在跑", 2: "猫"}
    references = {1: ["狗跑"], 2: ["猫在"]}
    whole = score_details(captions, references, ["bleu_1"])
    assert whole.per_image["bleu_1"].tolist() == [0.0, 0.0]
    cut = score_details(captions, references, ["bleu_1", "rouge_l"], cut_at_every_letter)
    # 2 of 3 words, and 1 of 1 with a penalty of exp(1 - 2).
    assert cut.per_image["bleu_1"].tolist() == pytest.approx([2 / 3, np.exp(-1)])
    assert score_captions(captions, references, ["bleu_1"], cut_at_every_letter) == {
        "bleu_1": pytest.approx(3 / 4)
    }
    report = diversity_report(captions, references, ["狗在跑"], segment=cut_at_every_letter)
    assert (report.vocabulary_size, report.mean_length, report.copied_captions) == (4, 2.0, 0.5)
    with pytest.raises(TypeError, match="`segment` must return a list of words"):
        tokenize("狗在跑", segment=lambda caption: " ".join(caption))
