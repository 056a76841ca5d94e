"""Flickr8k in its official layout (Hodosh, Young and Hockenmaier, 2013)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from keras_showattend._typing import PathLike
from keras_showattend.data.caption_dataset import CaptionDataset
from keras_showattend.data.collector import CaptionCollector
from keras_showattend.data.image_files import image_folders
from keras_showattend.data.report import UNREADABLE_LINE, DatasetError
from keras_showattend.data.text_files import is_decoded, read_text

TOKEN_FILE = "Flickr8k.token.txt"
SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
TOKEN_LINE = re.compile(r"([^\t\n]+)#\d+\t(.*)")


def read_flickr8k(
    folder_or_token_file: PathLike,
    images: PathLike | None = None,
    split_files: Mapping[str, PathLike] | None = None,
    strict: bool = False,
) -> CaptionDataset:
    """Reads `Flickr8k.token.txt` (lines of `NAME.jpg#0<TAB>caption`) and the lists of the splits.

    Args:
        folder_or_token_file: the folder of `Flickr8k.token.txt`, or such a file of any name.
        images: folder of the image files; by default beside the token file or in its sub-folder
            `images` or `Flicker8k_Dataset`.
        split_files: split name -> file of image names, one a line; by default those of the
            official "train", "dev" and "test" lists that lie beside the token file.
        strict: raise for any problem, instead of leaving it out with one `UserWarning`.

    Returns:
        Every captioned image; its id is its file name. `.split("train")` gives a split.

    Raises:
        DatasetError: a missing file, nothing left, or a problem while `strict`.
    """
    token_file = os.fspath(folder_or_token_file)
    if os.path.isdir(token_file):
        token_file = os.path.join(token_file, TOKEN_FILE)
        if not os.path.isfile(token_file):
            raise DatasetError(
                f"The folder holds {TOKEN_FILE}: pass its folder or the file itself; read Kaggle's "
                f"captions.txt with `read_captions_file`. Received: {folder_or_token_file}"
            )
    gathered = CaptionCollector()
    gather_flickr8k(token_file, read_text(token_file), gathered, split_files)
    return gathered.finish(os.path.basename(token_file), image_folders(token_file, images), strict)


def gather_flickr8k(
    token_file: str,
    text: str,
    gathered: CaptionCollector,
    split_files: Mapping[str, PathLike] | None = None,
) -> None:
    """Gathers the lines of a token file, and the splits whose files lie beside it.

    Args:
        token_file: path of the file.
        text: its content.
        gathered: where images, captions, splits and problems go.
        split_files: as for `read_flickr8k`.
    """
    if split_files is None:
        beside = os.path.dirname(token_file)
        official = {name: os.path.join(beside, file) for name, file in SPLIT_FILES.items()}
        split_files = {name: file for name, file in official.items() if os.path.isfile(file)}
    if not text.strip():
        gathered.empty = "the file is empty"
    for number, line in enumerate(text.split("\n"), start=1):
        match = TOKEN_LINE.fullmatch(line.rstrip("\r"))
        if match and is_decoded(line):
            name, caption = match.groups()
            gathered.add_image(name, name)
            gathered.add_captions(name, caption)
        elif line.strip():
            gathered.undecoded |= not is_decoded(line)
            gathered.note(UNREADABLE_LINE, f"line {number}")
    for split, file in split_files.items():
        for name in read_text(file).split("\n"):
            if name.strip():
                gathered.add_to_split(split, name.strip())
