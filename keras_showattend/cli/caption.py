"""`keras-showattend caption`: images and folders of images to captions."""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pathlib
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tqdm import tqdm

from keras_showattend._install import install_command
from keras_showattend._locks import exclusive
from keras_showattend._text import printable
from keras_showattend.cli.caption_file import (
    CaptionFile,
    CaptionOutput,
    StandardOutput,
    check_path,
)
from keras_showattend.cli.caption_inputs import (
    Images,
    Todo,
    add_choice_of_images,
    check_inputs,
    spread,
)
from keras_showattend.cli.caption_ray import add_ray_options, caption_with_ray, check_ray_options
from keras_showattend.cli.caption_review import (
    add_review_options,
    apply_decisions,
    check_review_options,
    finish,
    works_on_rows_alone,
)
from keras_showattend.cli.caption_rows import COLUMNS, RowMaker
from keras_showattend.cli.caption_stream import caption_stream
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
from keras_showattend.cli.row_formats import Csv, JsonLines, RowFormat, text_line
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.engines.check import ENGINES, check_engine
from keras_showattend.presets.files import CALIBRATION_FILE

BATCH_SIZE = 16
# How many images an engine is shown beforehand.
SAMPLES = 32
# How many images are counted before the first is captioned, to tell how long it will take.
MOST_COUNTED = 100_000
# Names of the encoder's precisions, and the policies of Keras that give them.
DTYPES = {"float32": None, "bfloat16": "mixed_bfloat16"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    parser.add_argument("inputs", nargs="*", metavar="IMAGE|FOLDER", help="images, folders")
    add_choice_of_images(parser)
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
    add_review_options(parser)
    add_ray_options(parser)


def run(args: argparse.Namespace) -> int:
    """Captions the images; see `docs/command_line.md`."""
    check_ray_options(args)
    if args.ray is not None:
        return caption_with_ray(args)
    row_format = _row_format(args)
    check_review_options(args)
    if row_format is None or not args.output:
        return _caption_inputs(args, row_format)
    code = apply_decisions(args, row_format) if args.apply else 0
    if not works_on_rows_alone(args):
        code = max(code, _caption_inputs(args, row_format))
    return max(code, finish(args, row_format))


def _caption_inputs(args: argparse.Namespace, row_format: RowFormat | None) -> int:
    check_inputs(args.inputs)
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
        images = Images(args.inputs, not args.no_recursive, args.include, args.exclude, args.since)
        images.check()
        from keras_showattend.preprocessing.image_formats import has_image_extension

        if args.output and has_image_extension(args.output) and images.covers(args.output):
            raise ValueError(
                f"`--output` is not one of the images: name another file. Received: {args.output!r}"
            )
        todo = Todo(images, output.done)
        total = todo.measure(MOST_COUNTED)
        if total == 0:
            # A last row that was cut off may be that of an image which was not asked for.
            with output.open():
                return _end(args, images, todo, collections.Counter(), 0.0)
        captioner = load_captioner(folders)
        captioner.preprocessor.image_converter.accept_truncated = args.accept_truncated
        if len(folders) == 1:
            # All images are shown, so that a resumed run captions as one that was not stopped.
            samples = () if args.engine != "openvino" else _samples(captioner, images)
            captioner.use_engine(args.engine, samples, dtype=DTYPES[args.dtype])
        rows = RowMaker(
            preset,
            settings,
            min_confidence=args.min_confidence,
            all_beams=args.all_beams,
        )
        return _caption(args, captioner, images, todo, total, rows, output)


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


def _samples(captioner: Any, paths: Iterable[str]) -> list[Any]:
    """Images spread over all of them, as arrays, without those that cannot be read."""
    from keras_showattend.preprocessing.images import ImageError

    samples = []
    for path in spread(paths, SAMPLES):
        with contextlib.suppress(ImageError):
            samples.append(captioner.preprocessor.image_converter.load(path))
    return samples


def _caption(
    args: argparse.Namespace,
    captioner: Any,
    images: Images,
    todo: Todo,
    total: int | None,
    rows: RowMaker,
    output: CaptionOutput,
) -> int:
    # Where captions run over the terminal, they are the progress.
    to_terminal = not args.output and sys.stdout.isatty()
    visible = args.progress or (sys.stderr.isatty() and not to_terminal and total != 1)
    bar = tqdm(total=total, unit="image", disable=not visible)
    counts: Counter[str] = Counter()
    start = time.monotonic()
    with output.open() as sink, bar:
        captioned = caption_stream(
            captioner,
            todo,
            rows,
            output.done,
            batch_size=args.batch_size,
            **search_options(args),
        )
        for count, found in enumerate(captioned, start=1):
            path, row = found.path, found.row
            message = None
            counts["copies"] += found.is_copy
            counts["several frames"] += found.has_several_frames
            if isinstance(row, Exception):
                counts["unreadable"] += 1
                message = f"skipped {printable(path)}: {printable(str(row))}"
            else:
                sink.write(row)
                counts["captioned"] += 1
                counts["withheld"] += row["withheld"]
                counts["cut"] += not row["complete"]
                if row["withheld"] and not (args.csv or args.json or args.output):
                    message = f"no caption for {printable(path)}: {rows.why_withheld(row)}"
            if count % args.batch_size == 0:
                sink.flush()
            if message:
                bar.write(as_message(message), file=sys.stderr, end="")
            bar.update()
    return _end(args, images, todo, counts, time.monotonic() - start)


def _end(
    args: argparse.Namespace,
    images: Images,
    todo: Todo,
    counts: Counter[str],
    seconds: float,
) -> int:
    """Tells what became of the images; returns the exit code."""
    unreadable = counts["unreadable"]
    for reason in images.unreadable_folders:
        say(f"skipped a folder that cannot be listed: {reason}")
    if images.left_out:
        say(f"left out {images.describe_left_out()}")
    if counts["several frames"]:
        say(
            f"{counts['several frames']} images are animations or have several pages: the first "
            "frame was captioned"
        )
    many = todo.count > 1
    if args.output or args.progress or (sys.stderr.isatty() and many):
        say(_summary(todo, counts, seconds))
    elif unreadable and many:
        say(f"{unreadable} of {todo.count} images could not be read")
    return 1 if unreadable or images.unreadable_folders else 0


def _summary(todo: Todo, counts: Counter[str], seconds: float) -> str:
    parts = {
        "skipped, captioned before": todo.num_done,
        "with the same content as another": counts["copies"],
        "below --min-confidence": counts["withheld"],
        "cut before their end (see --max-length)": counts["cut"],
        "unreadable": counts["unreadable"],
    }
    told = "".join(f"; {count} {what}" for what, count in parts.items() if count)
    captioned = counts["captioned"]
    rate = f" at {captioned / max(seconds, 1e-9):.1f} images/s" if captioned else ""
    return f"captioned {captioned} images{rate}{told}"


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
