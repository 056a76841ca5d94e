"""Captions as alt texts."""

import pytest

from keras_showattend.alt_text import AltTextStyle


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a dog runs on the grass", "A dog runs on the grass."),
        ("An image of a dog", "A dog."),
        ("a picture showing two dogs .", "Two dogs ."),
        ("There is a photo of Wales", "Wales."),
        ("Is it a dog?", "Is it a dog?"),
        ("image of", "Image of."),
        ("  two\n lines ", "Two lines."),
        ("", ""),
    ],
)
def test_default_style(caption, expected):
    assert AltTextStyle()(caption) == expected


def test_a_long_caption_is_cut_after_a_word_that_can_end_it():
    caption = "a man in a red shirt and a woman with a large hat"
    assert AltTextStyle(max_characters=36)(caption) == "A man in a red shirt and a woman."
    assert AltTextStyle(max_characters=36, full_stop=False)(caption) == (
        "A man in a red shirt and a woman"
    )
    # "and" and "a" cannot end it.
    assert AltTextStyle(max_characters=27)(caption) == "A man in a red shirt."
    assert AltTextStyle(max_characters=21)(caption) == "A man in a red shirt."
    assert AltTextStyle(max_characters=4)("unbelievable") == "Unb."
    assert len(AltTextStyle()("dog " * 99)) <= 125


def test_other_styles():
    style = AltTextStyle(full_stop=False, sentence_case=False, drop_opening=False)
    assert style("an image of a dog") == "an image of a dog"
    with pytest.raises(ValueError, match="at least 1. Received: max_characters=0"):
        AltTextStyle(max_characters=0)
