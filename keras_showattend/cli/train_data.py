"""The captioned images that `keras-showattend train` learns from, and their splits."""

from __future__ import annotations

import argparse
import os
import warnings

from keras_showattend import data as readers
from keras_showattend.data import CaptionDataset

DEV_FRACTION = 0.1
FORMATS = ("flickr8k", "csv", "coco")
_DEV_NAMES = ("dev", "val", "validation")


def find_captions(data: str, data_format: str | None) -> str:
    """Finds the captions file of a path, without importing Keras.

    Args:
        data: a captions file of any form that `read_captions_file` recognises, or its folder.
        data_format: one of `FORMATS`, or None to recognise it.

    Returns:
        The path to read.

    Raises:
        ValueError: if there is no such file, or it is none of these.
    """
    from keras_showattend.data.captions_file import CAPTION_ENDINGS, captions_file
    from keras_showattend.data.flickr8k import TOKEN_FILE

    if not os.path.exists(data):
        raise ValueError(
            "DATA is an existing captions file or its folder: check the spelling and the "
            f"working folder. Received: {data!r}"
        )
    try:
        path = data if data_format == "flickr8k" else captions_file(data)
    except ValueError:
        path = ""
    known = data_format or path.lower().endswith(CAPTION_ENDINGS) or os.path.isdir(path)
    if not path or not known:
        raise ValueError(
            f"DATA is a Flickr8k folder (with {TOKEN_FILE}), a table of images and captions (.csv, "
            ".tsv, .txt, .jsonl, .parquet), a .json of COCO's or Karpathy's form, or a folder with "
            "a .txt file beside each image: pass the file itself, or name its format with "
            f"`--format`. Received: {data!r}"
        )
    return path


def read_captions(path: str, args: argparse.Namespace) -> CaptionDataset:
    """Reads the dataset. Its problems are in its report, and give no warning.

    Args:
        path: from `find_captions`.
        args: `format`, `encoding`, `images`, `strict`, `image_column`, `caption_column`,
            `split_column`, `split`, `dev_split`.

    Returns:
        A `CaptionDataset`.

    Raises:
        DatasetError: if nothing in it can be used, or it has problems while `strict`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if args.format == "flickr8k":
            return readers.read_flickr8k(path, args.images, strict=args.strict)
        if args.format == "coco":
            return readers.read_coco(path, args.images, strict=args.strict)
        by_split = args.split or args.dev_split
        return readers.read_captions_file(
            path,
            args.images,
            args.image_column,
            args.caption_column,
            args.split_column or ("split" if by_split else None),
            strict=args.strict,
            encoding=args.encoding,
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
