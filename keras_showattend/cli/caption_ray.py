"""`keras-showattend caption SOURCE --ray`: the options and the run of bulk captioning."""

from __future__ import annotations

import argparse
import os

from keras_showattend._install import install_command
from keras_showattend.cli.captioners import (
    digest_of,
    display_name,
    preset_names,
    require_single,
    resolve_presets,
)
from keras_showattend.cli.console import positive_int, say
from keras_showattend.cli.search_options import search_options

# Where the command starts a Ray of its own.
LOCAL = "local"
# Options of `caption` that have no meaning for the rows of a bulk run, and their defaults.
_OTHERS = {
    "no_recursive": False,
    "include": [],
    "exclude": [],
    "since": None,
    "review": None,
    "apply": None,
    "write_metadata": False,
    "write_sidecars": False,
    "overwrite_metadata": False,
    "csv": False,
    "overwrite": False,
    "all_beams": False,
    "exact": False,
    "min_confidence": None,
    "progress": False,
}


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of bulk captioning to those of `caption`."""
    ray = parser.add_argument_group(
        "bulk captioning", "for millions of images, on one machine or a cluster"
    )
    ray.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="caption with Ray Data: SOURCE is a folder, glob or URI of images, tars or Parquet "
        "files, and the output a folder or URI. ADDRESS is that of a cluster, or `auto`; without "
        f"it Ray starts on this machine. {install_command('ray')}",
    )
    ray.add_argument(
        "--actors",
        type=positive_int,
        metavar="N",
        help="processes that caption (default: one for each core, or each GPU, of the cluster)",
    )
    ray.add_argument(
        "--retry-errors",
        action="store_true",
        help="caption images again whose row in the output has an error",
    )
    ray.add_argument("--image-column", metavar="NAME", help="column of images in Parquet files")
    ray.add_argument(
        "--id-column", metavar="NAME", help="column of Parquet files that tells rows apart"
    )


def check_ray_options(args: argparse.Namespace) -> None:
    """Refuses options that belong to the other way of captioning.

    Raises:
        ValueError: names the option.
    """
    if args.ray is None:
        for option in ("actors", "retry_errors", "image_column", "id_column"):
            if getattr(args, option):
                raise ValueError(
                    f"`{_words(option)}` is for bulk captioning: add `--ray`, or leave it out. "
                    "Received: no `--ray`"
                )
        return
    for option, default in _OTHERS.items():
        if getattr(args, option, default) != default:
            raise ValueError(
                f"`{_words(option)}` is not for bulk captioning: leave it out, or leave `--ray` "
                f"out. Received: `--ray` and `{_words(option)}`"
            )
    require_single(args, "--ray")
    if not args.output:
        raise ValueError(
            "`--ray` writes files of rows into a folder: name it with `--output FOLDER`, a path "
            "or a URI. Received: no `--output`"
        )
    if len(args.inputs) != 1:
        raise ValueError(
            "`--ray` captions one source: name a folder or a glob in quotes. "
            f"Received: {len(args.inputs)} sources"
        )
    if os.path.exists(args.ray):
        raise ValueError(
            "`--ray` is followed by the address of a cluster or by another option: put SOURCE "
            f"before it. Received: --ray {args.ray!r}, which is a file or folder"
        )


def caption_with_ray(args: argparse.Namespace) -> int:
    """Runs bulk captioning; see `docs/scale.md`."""
    from keras_showattend.ray import caption_source

    folders = resolve_presets(preset_names(args))
    options = {name: value for name, value in search_options(args).items() if value is not None}
    engine_dtype = None if args.dtype == "float32" else f"mixed_{args.dtype}"
    told = {
        **options,
        "dtype": args.dtype if args.engine == "keras" else None,
        "engine": args.engine,
        "digest": digest_of(folders),
    }
    summary = caption_source(
        args.inputs[0],
        args.output,
        folders[0],
        address=None if args.ray == LOCAL else args.ray,
        file_format="jsonl" if args.json else "parquet",
        retry_errors=args.retry_errors,
        settings={
            "preset": display_name(preset_names(args)),
            "settings": " ".join(f"{k}={v}" for k, v in told.items() if v is not None),
        },
        actors=args.actors,
        image_column=args.image_column,
        id_column=args.id_column,
        engine=args.engine,
        dtype=engine_dtype,
        batch_size=args.batch_size,
        accept_truncated=args.accept_truncated,
        **options,
    )
    say(str(summary))
    if summary.errors:
        say(f"{summary.errors} rows hold an error in place of a caption; see `--retry-errors`")
    return 1 if summary.errors or summary.lost else 0


def _words(option: str) -> str:
    return f"--{option.replace('_', '-')}"
