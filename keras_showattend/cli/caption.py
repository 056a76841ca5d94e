"""`keras-showattend caption`: images and folders of images to captions."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from keras_showattend._install import install_command
from keras_showattend._locks import exclusive
from keras_showattend._text import printable
from keras_showattend.cli.caption_file import (
    CaptionFile,
    CaptionOutput,
    Sink,
    StandardOutput,
    check_path,
)
from keras_showattend.cli.caption_inputs import check_inputs, describe_left_out, list_inputs
from keras_showattend.cli.caption_ray import add_ray_options, caption_with_ray, check_ray_options
from keras_showattend.cli.caption_rows import COLUMNS, RowMaker
from keras_showattend.cli.captioners import (
    FOR_ENSEMBLE,
    add_preset_option,
    digest_of,
    display_name,
    load_captioner,
    preset_names,
    require_single,
    resolve_presets,
)
from keras_showattend.cli.console import as_message, fraction, positive_int, say
from keras_showattend.cli.image_options import add_size_limit
from keras_showattend.cli.row_formats import Csv, JsonLines, Row, RowFormat, text_line
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.engines.check import ENGINES, check_engine
from keras_showattend.presets.files import CALIBRATION_FILE

BATCH_SIZE = 16
# How many images an engine is shown beforehand.
SAMPLES = 32
# Names of the encoder's precisions, and the policies of Keras that give them.
DTYPES = {"float32": None, "bfloat16": "mixed_bfloat16"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("inputs", nargs="+", metavar="IMAGE|FOLDER", help="images, folders")
    parser.add_argument(
        "--no-recursive", action="store_true", help="leave the sub-folders of folders out"
    )
    parser.add_argument(
        "--accept-truncated",
        action="store_true",
        help="use what is there of a JPEG that ends early",
    )
    add_size_limit(parser)
    output = parser.add_argument_group("output")
    formats = output.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="JSON lines instead of text")
    formats.add_argument("--csv", action="store_true", help="CSV with a header instead of text")
    output.add_argument(
        "--output",
        metavar="FILE",
        help="write JSON lines or CSV to FILE (.jsonl, .csv); if FILE exists, resume it",
    )
    output.add_argument(
        "--overwrite", action="store_true", help="start FILE anew, whatever it holds"
    )
    output.add_argument(
        "--all-beams", action="store_true", help='with JSON: the other beams, as "alternatives"'
    )
    output.add_argument(
        "--exact",
        action="store_true",
        help="with CSV: no apostrophe before text that a spreadsheet would run as a formula",
    )
    output.add_argument(
        "--min-confidence",
        type=fraction,
        metavar="P",
        help="leave captions empty whose confidence is below P, between 0 and 1",
    )
    output.add_argument(
        "--progress", action="store_true", help="show progress even where stderr is no terminal"
    )
    model = parser.add_argument_group("model and search")
    add_preset_option(model, several=FOR_ENSEMBLE)
    model.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="bfloat16 encodes images twice as fast on processors that compute in it, and "
        "changes some captions (default: %(default)s)",
    )
    model.add_argument(
        "--engine",
        choices=ENGINES,
        default="keras",
        help="openvino encodes images in 8-bit integers, for folders of hundreds and more: "
        f"{install_command('openvino')}; onnxruntime gives the captions of keras: "
        f"{install_command('onnx')} (default: %(default)s)",
    )
    add_search_options(model)
    model.add_argument(
        "--batch-size",
        type=positive_int,
        metavar="N",
        default=BATCH_SIZE,
        help="images that are captioned together (default: %(default)s)",
    )
    add_ray_options(parser)


def run(args: argparse.Namespace) -> int:
    """Captions the images; see `docs/command_line.md`."""
    check_ray_options(args)
    if args.ray is not None:
        return caption_with_ray(args)
    check_inputs(args.inputs)
    row_format = _row_format(args)
    for option, default in (("engine", "keras"), ("dtype", "float32"), ("min_confidence", None)):
        if getattr(args, option) != default:
            require_single(args, f"--{option.replace('_', '-')}")
    check_engine(args.engine, DTYPES[args.dtype])
    with _output(args, row_format) as output:
        folders = resolve_presets(preset_names(args))
        _check_calibration(args, folders)
        preset = display_name(preset_names(args))
        # Text holds no settings, and the digest among them reads all files of the preset.
        settings = _settings(args, folders) if row_format else ""
        output.check_made_by(preset, settings)
        images, left_out = list_inputs(args.inputs, not args.no_recursive)
        if args.output and os.path.abspath(args.output) in map(os.path.abspath, images):
            raise ValueError(
                f"`--output` is not one of the images: name another file. Received: {args.output!r}"
            )
        if left_out:
            say(f"left out {describe_left_out(left_out)}")
        todo = [path for path in images if os.path.abspath(path) not in output.done]
        if len(todo) < len(images):
            say(f"{len(images) - len(todo)} of {len(images)} images are in {args.output} already")
        if not todo:
            # A last row that was cut off may be that of an image which was not asked for.
            with output.open():
                return 0
        captioner = load_captioner(folders)
        captioner.preprocessor.image_converter.accept_truncated = args.accept_truncated
        if len(folders) == 1:
            # All images are shown, so that a resumed run captions as one that was not stopped.
            samples = () if args.engine != "openvino" else _samples(captioner, images)
            captioner.use_engine(args.engine, samples, dtype=DTYPES[args.dtype])
        rows = RowMaker(
            preset,
            settings,
            calibration=getattr(captioner, "calibration", None),
            min_confidence=args.min_confidence,
            all_beams=args.all_beams,
        )
        return _caption(args, captioner, todo, len(images), rows, output)


def interrupted(args: argparse.Namespace) -> str:
    """How to resume after Ctrl-C."""
    if args.output and args.overwrite:
        return f"Run it again without --overwrite to resume {args.output}."
    if args.output:
        return f"Run the same command again to resume {args.output}."
    return "With `--output FILE.jsonl` a run can be resumed."


@contextlib.contextmanager
def _output(args: argparse.Namespace, row_format: RowFormat | None) -> Iterator[CaptionOutput]:
    """Where rows go: FILE, which is locked meanwhile, or stdout."""
    if row_format is None or not args.output:
        is_single = len(args.inputs) == 1 and not os.path.isdir(args.inputs[0])
        line = row_format.line if row_format else text_line(is_single)
        yield StandardOutput(row_format.header if row_format else "", line)
        return
    check_path(args.output)
    # What is no regular file, such as a pipe, can be shared.
    is_special = os.path.exists(args.output) and not os.path.isfile(args.output)
    with contextlib.nullcontext() if is_special else exclusive(args.output):
        yield CaptionFile(args.output, row_format, args.overwrite)


def _check_calibration(args: argparse.Namespace, folders: Sequence[str]) -> None:
    if args.min_confidence and not pathlib.Path(folders[0], CALIBRATION_FILE).is_file():
        raise ValueError(
            "`--min-confidence` needs a captioner whose confidence is calibrated: run "
            "`evaluate --calibrate` with captioned images, or leave it out. "
            f"Received: --preset {preset_names(args)[0]}, which has no {CALIBRATION_FILE}"
        )


def _settings(args: argparse.Namespace, folders: Sequence[str]) -> str:
    """All that decides what a row holds, apart from the image."""
    settings = {
        "num_beams": args.num_beams,
        "length_penalty": args.length_penalty,
        "no_repeat_ngram_size": args.no_repeat_ngram_size,
        "max_length": args.max_length,
        "cautious": args.cautious,
        "dtype": args.dtype if args.engine == "keras" else None,
        "engine": args.engine,
        "min_confidence": args.min_confidence,
        "exact": "yes" if args.exact else None,
        "digest": digest_of(folders),
    }
    return " ".join(f"{name}={value}" for name, value in settings.items() if value is not None)


def _samples(captioner: Any, paths: Sequence[str]) -> list[Any]:
    """Images spread over all of them, as arrays, without those that cannot be read."""
    from keras_showattend.preprocessing.images import ImageError

    samples = []
    for path in paths[:: max(1, len(paths) // SAMPLES)][:SAMPLES]:
        with contextlib.suppress(ImageError):
            samples.append(captioner.preprocessor.image_converter.load(path))
    return samples


def _caption(
    args: argparse.Namespace,
    captioner: Any,
    todo: Sequence[str],
    total: int,
    rows: RowMaker,
    output: CaptionOutput,
) -> int:
    # Where captions run over the terminal, they are the progress.
    to_terminal = not args.output and sys.stdout.isatty()
    visible = args.progress or (sys.stderr.isatty() and not to_terminal and len(todo) > 1)
    bar = tqdm(total=total, initial=total - len(todo), unit="image", disable=not visible)
    counts: Counter[str] = Counter()
    start = time.monotonic()
    with output.open() as sink, bar:
        for path, result in write_captions(
            captioner, todo, sink, rows, batch_size=args.batch_size, **search_options(args)
        ):
            message = None
            if isinstance(result, Exception):
                counts["unreadable"] += 1
                message = f"skipped {printable(path)}: {printable(str(result))}"
            else:
                counts["withheld"] += result["withheld"]
                counts["cut"] += not result["complete"]
                if result["withheld"] and not (args.csv or args.json or args.output):
                    message = f"no caption for {printable(path)}: {rows.why_withheld(result)}"
            if message:
                bar.write(as_message(message), file=sys.stderr, end="")
            bar.update()
    seconds = time.monotonic() - start
    unreadable = counts["unreadable"]
    if args.output or args.progress or (sys.stderr.isatty() and len(todo) > 1):
        say(_summary(len(todo), total - len(todo), counts, seconds))
    elif unreadable and len(todo) > 1:
        say(f"{unreadable} of {len(todo)} images could not be read")
    return 1 if unreadable else 0


def _summary(todo: int, skipped: int, counts: Counter[str], seconds: float) -> str:
    parts = {
        "skipped, captioned before": skipped,
        "below --min-confidence": counts["withheld"],
        "cut before their end (see --max-length)": counts["cut"],
        "unreadable": counts["unreadable"],
    }
    told = "".join(f"; {count} {what}" for what, count in parts.items() if count)
    captioned = todo - counts["unreadable"]
    return f"captioned {captioned} images at {todo / max(seconds, 1e-9):.1f} images/s{told}"


def write_captions(
    captioner: Any,
    paths: Sequence[str],
    sink: Sink,
    rows: RowMaker,
    *,
    batch_size: int = BATCH_SIZE,
    **search_options: Any,
) -> Iterator[tuple[str, Row | Exception]]:
    """Captions images and writes a row for each that can be read.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`.
        paths: the images.
        sink: where the rows go; it is flushed after each batch.
        rows: makes a row of what the captioner gives.
        batch_size: images that are captioned together.
        **search_options: see `ImageCaptioner.generate`.

    Yields:
        For each image its path and the row that was written, or the error that tells why it
        could not be read.
    """
    stream = captioner.generate_stream(paths, batch_size=batch_size, **search_options)
    for count, (path, found) in enumerate(zip(paths, stream, strict=True), start=1):
        result = found if isinstance(found, Exception) else rows.row(path, found)
        if not isinstance(result, Exception):
            sink.write(result)
        if count % batch_size == 0:
            sink.flush()
        yield path, result


def _row_format(args: argparse.Namespace) -> RowFormat | None:
    """The format that was asked for, by an option or by FILE's ending; None for text."""
    ending = os.path.splitext(args.output or "")[1].lower()
    is_csv = args.csv or (not args.json and ending == ".csv")
    is_json = args.json or (not args.csv and ending in (".jsonl", ".ndjson"))
    received = "CSV" if is_csv else "JSON lines" if is_json else "text"
    if args.output and not (is_csv or is_json):
        raise ValueError(
            "`--output` is written as JSON lines or CSV: end FILE in .jsonl or .csv, or add "
            f"`--json` or `--csv`. Received: {args.output!r}"
        )
    if args.all_beams and not is_json:
        raise ValueError(
            f"`--all-beams` needs a format that nests: add `--json`. Received: {received}"
        )
    if args.exact and not is_csv:
        raise ValueError(
            f"`--exact` is for CSV: add `--csv`, or leave it out. Received: {received}"
        )
    if args.overwrite and not args.output:
        raise ValueError("`--overwrite` is for `--output FILE`. Received: no `--output`")
    if is_json:
        return JsonLines({**COLUMNS, "alternatives": list} if args.all_beams else COLUMNS)
    return Csv(COLUMNS, exact=args.exact) if is_csv else None
