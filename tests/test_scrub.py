"""What belongs to one machine is taken out of text that others read."""

import pytest

from keras_showattend._scrub import LOCAL_PATH, shareable_command, without_folders


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/home/me/photos/", "photos"),
        ("--output=/tmp/mine", "--output=mine"),
        ("C:\\photos\\own", "own"),
        ("data/captions.csv", "captions.csv"),
        ("hf://user/name@v1", "hf://user/name@v1"),
        ("--preset=hf://user/name", "--preset=hf://user/name"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("/", "/"),
        ("--epochs", "--epochs"),
    ],
)
def test_without_folders(word, expected):
    assert without_folders(word) == expected


def test_a_command_is_the_same_as_text_and_as_words():
    words = ["train", "/home/me/my data", "--images", "~/x/y", "hf://a/b"]
    expected = "train 'my data' --images y hf://a/b"
    assert shareable_command(words) == expected
    assert shareable_command("train '/home/me/my data' --images ~/x/y hf://a/b") == expected


def test_local_paths():
    found = LOCAL_PATH.findall("see /home/me/a.txt, ~/b and https://example.org/home/me, and/or")
    assert found == ["/home/me/a.txt,", "~/b"]
