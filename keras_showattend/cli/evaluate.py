"""`keras-showattend evaluate`: scores of a captioner with protocol, intervals and warnings."""

from __future__ import annotations

import argparse
import pkgutil
import sys
from collections.abc import Callable, Iterable

from keras_showattend._files import check_output_file
from keras_showattend.cli.captioners import (
    FOR_ENSEMBLE,
    add_preset_option,
    display_name,
    load_captioner,
    preset_names,
    require_single,
    resolve_presets,
)
from keras_showattend.cli.console import say, write_json
from keras_showattend.cli.image_options import add_size_limit
from keras_showattend.cli.search_options import add_search_options, search_options
from keras_showattend.cli.train_data import FORMATS, find_captions, read_captions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this command."""
    add_preset_option(parser, several=FOR_ENSEMBLE)
    parser.add_argument("--data", required=True, help="captions file or its folder")
    parser.add_argument("--format", choices=FORMATS, help="of the data (default: found out)")
    parser.add_argument("--encoding", help="of the data (default: UTF-8)")
    parser.add_argument("--images", metavar="FOLDER", help="where the images lie")
    add_size_limit(parser)
    parser.add_argument("--image-column", default="image", help="of a table")
    parser.add_argument("--caption-column", default="caption", help="of a table")
    parser.add_argument("--split-column", help='of a table (default with --split: "split")')
    parser.add_argument("--strict", action="store_true", help="refuse data with any problem")
    parser.add_argument("--split", help="split of the data to evaluate (default: all of it)")
    parser.add_argument(
        "--compare", nargs=2, metavar=("A", "B"), help="two presets side by side, paired bootstrap"
    )
    parser.add_argument("--output", metavar="FILE", help="write the JSON to FILE, not to stdout")
    parser.add_argument("--report", metavar="FILE", help="write an HTML report to FILE")
    parser.add_argument(
        "--calibrate", action="store_true", help="store the confidence's calibration in the preset"
    )
    add_search_options(parser)
    parser.add_argument("--metrics", nargs="+", help="(default: all that can be computed)")
    parser.add_argument(
        "--segmenter",
        metavar="MODULE:FUNCTION",
        help="function that cuts a caption into words, such as jieba:lcut, for languages "
        "written without spaces",
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--feature-cache", metavar="FOLDER", default="auto", help="(default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluates; see `docs/evaluation.md`."""
    if args.compare and (args.preset or args.report or args.calibrate):
        raise ValueError(
            "`--compare` names both presets, and makes no report and no calibration: evaluate the "
            f"presets one by one for these. Received: --compare {' '.join(args.compare)} with "
            f"--{next(o for o in ('preset', 'report', 'calibrate') if getattr(args, o))}"
        )
    if args.calibrate:
        require_single(args, "--calibrate")
    for path in filter(None, (args.output, args.report)):
        check_output_file(path)
    # One captioner, or as many side by side as are compared; each of one preset or of several.
    named = [[name] for name in args.compare or ()] or [preset_names(args)]
    captioners = [(display_name(names), resolve_presets(names)) for names in named]
    data = find_captions(args.data, args.format)
    from keras_showattend import evaluation as ev

    args.dev_split = None
    dataset = read_captions(data, args)
    options = {
        key: value
        for key in ("split", "metrics", "seed")
        if (value := getattr(args, key)) is not None
    }
    segment = None if args.segmenter is None else _segmenter(args.segmenter)
    if args.calibrate:
        captioner = load_captioner(captioners[0][1])
        calibration = ev.calibrate(
            captioner,
            dataset,
            split=args.split,
            feature_cache=args.feature_cache,
            seed=args.seed,
            segment=segment,
            **search_options(args),
        )
        say(f"wrote {calibration.save(captioners[0][1][0])}")
        say(ev.format_calibration(calibration))
    results = []
    for name, folders in captioners:
        captioner = load_captioner(folders)
        results.append(
            ev.evaluate_captions(
                captioner,
                dataset,
                preset=name,
                feature_cache=args.feature_cache,
                segment=segment,
                **options,
                **search_options(args),
            )
        )
    if args.compare:
        result = ev.compare_evaluations(results[0], results[1], seed=args.seed, segment=segment)
        text = ev.format_comparison(result)
    else:
        result, text = results[0], ev.format_evaluation(results[0])
    print(text, file=sys.stderr)
    # First, so that a report that fails costs no result.
    write_json(result, args.output)
    if args.report:
        shown = dataset if args.split is None else dataset.split(args.split)
        # Several captioners have no attention in common.
        looking = captioner if len(captioners[0][1]) == 1 else None
        report = ev.write_report(result, args.report, dataset=shown, captioner=looking)
        say(f"wrote {report}")
    return 0


def _segmenter(name: str) -> Callable[[str], Iterable[str]]:
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            "`--segmenter` must name a function of an installed module, such as jieba:lcut. "
            f"Received: {name!r} ({error})"
        ) from error
    if not callable(found):
        raise ValueError(
            f"`--segmenter` must name a function. Received: {name!r}, a {type(found).__name__}"
        )
    return found
