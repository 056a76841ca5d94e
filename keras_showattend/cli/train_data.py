"""The captioned images that `keras-showattend train` learns from, and their splits."""

from __future__ import annotations

import argparse
import os
import re
import warnings

from keras_showattend import data as readers
from keras_showattend.data import CaptionDataset

DEV_FRACTION = 0.1
FORMATS = ("flickr8k", "csv", "coco")
_FLICKR8K_FILE = "Flickr8k.token.txt"
_FLICKR8K_LINE = re.compile(rb"[^\t\n]+#\d+\t")
_TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_DEV_NAMES = ("dev", "val", "validation")


def find_captions(data: str, data_format: str | None) -> tuple[str, str]:
    """Recognises the format of a path, without importing Keras.

    Args:
        data: a captions file, or a folder with `Flickr8k.token.txt` or with a file
            `captions` that ends in .csv, .tsv, .txt, .jsonl or .json.
        data_format: one of `FORMATS`, or None to recognise it.

    Returns:
        The path to read, and one of `FORMATS`.

    Raises:
        ValueError: if there is no such file, or it is none of these.
    """
    if not os.path.exists(data):
        raise ValueError(
            "DATA is an existing captions file or its folder: check the spelling and the "
            f"working folder. Received: {data!r}"
        )
    if os.path.isdir(data) and data_format != "flickr8k":
        names = (_FLICKR8K_FILE, *(f"captions{end}" for end in (*_TABLE_ENDINGS, ".json")))
        paths = [os.path.join(data, name) for name in names]
        data = next(filter(os.path.isfile, paths), data)
    found = data_format or _sniff(data)
    if found is None:
        raise ValueError(
            f"DATA is a Flickr8k folder (with {_FLICKR8K_FILE}), a table of images and captions "
            "(.csv, .tsv, .txt, .jsonl) or a COCO captions .json: pass the file itself, or name "
            f"its format with `--format`. Received: {data!r}"
        )
    return data, found


def _sniff(path: str) -> str | None:
    if os.path.isdir(path):
        return None
    ending = os.path.splitext(path)[1].lower()
    if ending == ".json":
        return "coco"
    if ending not in _TABLE_ENDINGS:
        return None
    with open(path, "rb") as file:
        return "flickr8k" if _FLICKR8K_LINE.match(file.read(4096)) else "csv"


def read_captions(path: str, data_format: str, args: argparse.Namespace) -> CaptionDataset:
    """Reads the dataset. Its problems are in its report, and give no warning.

    Args:
        path, data_format: from `find_captions`.
        args: `images`, `strict`, `image_column`, `caption_column`, `split_column`,
            `split`, `dev_split`.

    Returns:
        A `CaptionDataset`.

    Raises:
        DatasetError: if nothing in it can be used, or it has problems while `strict`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if data_format == "flickr8k":
            return readers.read_flickr8k(path, args.images, strict=args.strict)
        if data_format == "coco":
            return readers.read_coco(path, args.images, strict=args.strict)
        by_split = args.split or args.dev_split
        return readers.read_captions_file(
            path,
            args.images,
            args.image_column,
            args.caption_column,
            args.split_column or ("split" if by_split else None),
            strict=args.strict,
        )


def train_and_dev(
    dataset: CaptionDataset, args: argparse.Namespace, seed: int
) -> tuple[CaptionDataset, CaptionDataset]:
    """Returns the images to learn from and those that choose the best epoch.

    Splits that the data names are used as they are. Where it names none, or where
    `dev_fraction` is given, the dev split is drawn at random, by image. A test split is
    never drawn from.

    Args:
        dataset: a `CaptionDataset`.
        args: `split`, `dev_split`, `dev_fraction`.
        seed: int.

    Returns:
        Two `CaptionDataset`.

    Raises:
        DatasetError: for a split that the data does not name.
    """
    names = dataset.split_names
    train = dataset
    if names or args.split or args.dev_split:
        train = dataset.split(args.split or "train")
        if args.dev_fraction is None:
            dev = args.dev_split or next((n for n in _DEV_NAMES if n in names), _DEV_NAMES[0])
            return train, dataset.split(dev)
    share = args.dev_fraction or DEV_FRACTION
    drawn = train.random_split({"train": 1 - share, "dev": share}, seed)
    return drawn.split("train"), drawn.split("dev")
