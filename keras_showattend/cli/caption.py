"""`keras-showattend caption`: pictures and folders of pictures to captions."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from tqdm import tqdm

from keras_showattend.cli.caption_inputs import check_inputs, list_inputs
from keras_showattend.cli.caption_rows import CaptionFile, Csv, JsonLines, RowFormat, Sink
from keras_showattend.cli.captioners import (
    add_preset_option,
    load_captioner,
    preset_names,
    require_single,
    resolve_presets,
)
from keras_showattend.cli.console import PROGRAM, positive_int, say
from keras_showattend.cli.quiet import import_quietly
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.engines.check import check_engine

COLUMNS = ("path", "caption", "log_probability", "score")
BATCH_SIZE = 16
# How many pictures an engine is shown beforehand.
SAMPLES = 32
# Names of the encoder's precisions, and the policies of Keras that give them.
DTYPES = {"float32": None, "bfloat16": "mixed_bfloat16"}

Output: TypeAlias = AbstractContextManager[Sink]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("inputs", nargs="+", metavar="IMAGE|FOLDER", help="pictures, folders")
    parser.add_argument(
        "--no-recursive", action="store_true", help="leave the sub-folders of folders out"
    )
    output = parser.add_argument_group("output")
    formats = output.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="JSON lines instead of text")
    formats.add_argument("--csv", action="store_true", help="CSV with a header instead of text")
    output.add_argument(
        "--output",
        metavar="FILE",
        help="write JSON lines or CSV to FILE (.jsonl, .csv); if FILE exists, go on where it stops",
    )
    output.add_argument(
        "--overwrite", action="store_true", help="start FILE anew, whatever it holds"
    )
    output.add_argument(
        "--all-beams", action="store_true", help='with JSON: the other beams, as "alternatives"'
    )
    output.add_argument(
        "--progress", action="store_true", help="show progress even where stderr is no terminal"
    )
    model = parser.add_argument_group("model and search")
    add_preset_option(model, several=True)
    model.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="bfloat16 encodes pictures twice as fast on processors that compute in it, and "
        "changes some captions (default: %(default)s)",
    )
    model.add_argument(
        "--engine",
        choices=("keras", "openvino"),
        default="keras",
        help="openvino encodes pictures in 8-bit integers, for folders of hundreds and more: "
        'pip install "keras-showattend[openvino]" (default: %(default)s)',
    )
    add_search_options(model)
    model.add_argument(
        "--batch-size",
        type=positive_int,
        default=BATCH_SIZE,
        help="pictures that are described together (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Captions the pictures; see `docs/command_line.md`."""
    check_inputs(args.inputs)
    for option, default in (("engine", "keras"), ("dtype", "float32")):
        if getattr(args, option) != default:
            require_single(args, f"--{option}")
    check_engine(args.engine, DTYPES[args.dtype])
    row_format = _row_format(args)
    file = None
    if args.output and row_format:
        file = CaptionFile(args.output, row_format, args.overwrite)
    presets = resolve_presets(preset_names(args))
    import_quietly()
    paths = list_inputs(args.inputs, not args.no_recursive)
    if file is None:
        is_single = len(args.inputs) == 1 and not os.path.isdir(args.inputs[0])
        return _run(args, presets, paths, paths, _stdout(row_format, is_single))
    if os.path.abspath(args.output) in map(os.path.abspath, paths):
        raise ValueError(
            f"`--output` is not one of the pictures: name another file. Received: {args.output!r}"
        )
    todo = [path for path in paths if os.path.abspath(path) not in file.done]
    done = len(paths) - len(todo)
    if done:
        say(f"{done} of {len(paths)} pictures are in {args.output} already")
    return _run(args, presets, paths, todo, file.open()) if todo else 0


def interrupted(args: argparse.Namespace) -> str:
    """How to go on after Ctrl-C."""
    if args.output and args.overwrite:
        return f"Run it again without --overwrite to go on with {args.output}."
    if args.output:
        return f"Run the same command again to go on with {args.output}."
    return "With `--output FILE.jsonl` it can be gone on with after an interruption."


def _run(args, presets: list[str], paths: list[str], todo: list[str], output: Output) -> int:
    # Before FILE is touched, since loading can fail.
    captioner = load_captioner(presets)
    if len(presets) == 1:
        # Of all pictures, so that one that is gone on with is captioned as it would have been.
        samples = () if args.engine == "keras" else _samples(captioner, paths)
        captioner.use_engine(args.engine, samples, dtype=DTYPES[args.dtype])
    options = {
        "batch_size": args.batch_size,
        "all_beams": args.all_beams,
        **search_options(args),
    }
    # Where captions run over the terminal, they are the progress.
    to_terminal = not args.output and sys.stdout.isatty()
    visible = args.progress or (sys.stderr.isatty() and not to_terminal and len(todo) > 1)
    done = len(paths) - len(todo)
    bar = tqdm(total=len(paths), initial=done, unit="image", disable=not visible)
    failed = 0
    with output as sink, bar:
        for path, error in write_captions(captioner, todo, sink, **options):
            if error is not None:
                failed += 1
                bar.write(f"{PROGRAM}: skipped {path}: {error}", file=sys.stderr)
            bar.update()
    if failed and len(todo) > 1:
        say(f"{failed} of {len(todo)} pictures could not be read")
    return 1 if failed else 0


def _samples(captioner, paths: list[str]) -> list[Any]:
    """Pictures spread over all of them, as arrays, without those that cannot be read."""
    from keras_showattend.preprocessing.images import ImageError

    samples = []
    for path in paths[:: max(1, len(paths) // SAMPLES)][:SAMPLES]:
        with contextlib.suppress(ImageError):
            samples.append(captioner.preprocessor.image_converter.load(path))
    return samples


def write_captions(
    captioner,
    paths: Sequence[str],
    sink: Sink,
    *,
    all_beams: bool = False,
    batch_size: int = BATCH_SIZE,
    **search_options,
) -> Iterator[tuple[str, Exception | None]]:
    """Captions pictures and writes a row for each that can be read.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`.
        paths: the pictures.
        sink: where the rows go; it is flushed after each batch.
        all_beams: whether a row holds the other beams, too.
        batch_size: pictures that are described together.
        **search_options: see `ImageCaptioner.generate`.

    Yields:
        For each picture, when its row is written, its path and None; or the path and the
        error that tells why it could not be read.
    """
    stream = captioner.generate_stream(paths, batch_size=batch_size, **search_options)
    for count, (path, result) in enumerate(zip(paths, stream, strict=True), start=1):
        error = result if isinstance(result, Exception) else None
        if error is None:
            sink.write(_row(path, result, all_beams))
        if count % batch_size == 0:
            sink.flush()
        yield path, error


def _row(path: str, beams, all_beams: bool) -> dict[str, Any]:
    best, *others = [
        {
            "caption": beam.text,
            "log_probability": round(beam.log_probability, 6),
            "score": round(beam.score, 6),
        }
        for beam in beams
    ]
    return {"path": path, **best, **({"alternatives": others} if all_beams else {})}


def _row_format(args) -> RowFormat | None:
    """The format that was asked for, by an option or by FILE's ending; None for text."""
    ending = os.path.splitext(args.output or "")[1].lower()
    is_csv = args.csv or (not args.json and ending == ".csv")
    is_json = args.json or (not args.csv and ending in (".jsonl", ".ndjson"))
    if args.output and not (is_csv or is_json):
        raise ValueError(
            "`--output` is written as JSON lines or CSV: end FILE in .jsonl or .csv, or add "
            f"`--json` or `--csv`. Received: {args.output!r}"
        )
    if args.all_beams and not is_json:
        raise ValueError(
            "`--all-beams` needs a format that nests: add `--json`. Received: "
            + ("CSV" if is_csv else "text")
        )
    if args.overwrite and not args.output:
        raise ValueError("`--overwrite` is for `--output FILE`. Received: no `--output`")
    if is_json:
        return JsonLines((*COLUMNS, "alternatives") if args.all_beams else COLUMNS)
    return Csv(COLUMNS) if is_csv else None


@contextlib.contextmanager
def _stdout(row_format: RowFormat | None, is_single: bool) -> Iterator[Sink]:
    """Rows on stdout: in a format, or as text, which for a single picture is its caption."""
    # File names are bytes on Unix; those that are no UTF-8 go out as they came in.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")
    text = "{caption}\n" if is_single else "{path}\t{caption}\n"
    if row_format is not None:
        sys.stdout.write(row_format.header)
    yield Sink(sys.stdout, row_format.line if row_format else text.format_map)
    sys.stdout.flush()
