"""Measures what each part of a training run brings: one run a part and seed, and a table.

    python scripts/ablation.py --data FLICKR8K_FOLDER --output FOLDER [--seeds 0 1 2] [--only NAME]

The runs come from `ablation.json` beside this script, or from another file: an object with
`base`, the values of a `Recipe`, and `runs`, the values in which each run differs from it. A run
may also have `after`, the run whose captioner of seed 0 all its seeds start from, and `teacher`,
the run whose captioners of all seeds it is distilled from. `ensemble` and `average` combine the
captioners of a run's seeds without training.

Finished runs are skipped, and an unfinished one is resumed. Several processes share the work. The
last lines are the table: means over seeds and, from two seeds on, standard deviations.
"""

import argparse
import contextlib
import fcntl
import functools
import json
import pathlib
import statistics
import time

RUNS = pathlib.Path(__file__).with_suffix(".json")
FIRST_SEED = 0
JOINING = ("ensemble", "average")
RELATIONS = ("after", "teacher", *JOINING)
COLUMNS = {"bleu_4": 100, "rouge_l": 100, "cider": 100, "loss": 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=pathlib.Path, default=RUNS, help="JSON file")
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        help="folder of Flickr8k; without it, only the table is printed",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        required=True,
        help="folder for the presets and scores of the runs",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="names of the runs (default: all)"
    )
    parser.add_argument(
        "--encoder-weights", default="imagenet", help="`imagenet` or a file (default: %(default)s)"
    )
    parser.add_argument("--feature-cache", default="auto", help="folder, or `auto` (default)")
    args = parser.parse_args()

    plan = json.loads(args.runs.read_text())
    if unknown := set(args.only or ()) - set(plan["runs"]):
        parser.error(f"`--only` takes {list(plan['runs'])}. Received: {sorted(unknown)}")
    if args.data:
        for seed in args.seeds:
            for name in args.only or plan["runs"]:
                run_once(plan, name, seed, args)
    print_table(plan, args.output)


def run_once(plan, name, seed, args):
    """Runs one run unless it is finished or another process holds it."""
    changes = plan["runs"][name]
    joins = any(key in changes for key in JOINING)
    if joins and seed != args.seeds[0]:
        return
    folder = args.output / name / f"seed_{seed}"
    scores = folder / "scores.json"
    with claimed(folder) as free:
        if not free or scores.exists():
            return
        start = time.time()
        if joins:
            done = join(changes, args)
        else:
            captioner = train(plan["base"], changes, seed, folder, args)
            done = captioner and (captioner, captioner)
        if done is None:
            print(f"{name}, seed {seed}: waits for the runs that it needs", flush=True)
            return
        found = score(*done, plan["base"]["feature_dtype"], args)
        found["minutes"] = (time.time() - start) / 60
        partial = scores.with_suffix(".partial")
        partial.write_text(json.dumps(found, indent=2) + "\n")
        partial.replace(scores)
        print(f"{name}, seed {seed}: CIDEr {100 * found['cider']:.1f}", flush=True)


@contextlib.contextmanager
def claimed(folder):
    """Takes a lock that ends with the process, and yields whether it was free."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def train(base, changes, seed, folder, args):
    """Returns the captioner of a run, or None while a run that it needs is not finished."""
    from keras_showattend import CaptionerEnsemble, ImageCaptioner
    from keras_showattend.recipes import Recipe, train_captioner

    values = {key: value for key, value in changes.items() if key not in RELATIONS}
    start = teacher = None
    if before := changes.get("after"):
        (before,) = finished(args.output, before, [FIRST_SEED]) or [None]
        if before is None:
            return None
        start = ImageCaptioner.from_preset(before)
    if of := changes.get("teacher"):
        presets = finished(args.output, of, args.seeds)
        if presets is None:
            return None
        teacher = CaptionerEnsemble(presets)
    train_data, dev = splits(args.data)
    return train_captioner(
        train_data,
        dev,
        folder / "preset",
        Recipe.from_dict({**base, **values, "seed": seed}),
        captioner=start,
        teacher=teacher,
        encoder_weights=args.encoder_weights,
        feature_cache=args.feature_cache,
        verbose=2,
    )


def join(changes, args):
    """Returns the combined captioners of all seeds and the first of them, or None."""
    from keras_showattend import CaptionerEnsemble, ImageCaptioner, average_captioners

    ((how, name),) = changes.items()
    presets = finished(args.output, name, args.seeds)
    if presets is None:
        return None
    members = [ImageCaptioner.from_preset(preset) for preset in presets]
    joined = CaptionerEnsemble(members) if how == "ensemble" else average_captioners(members)
    return joined, members[0]


def finished(output, name, seeds):
    """Returns the preset folders of a run's seeds, or None while one is not finished."""
    folders = [output / name / f"seed_{seed}" for seed in seeds]
    if all((folder / "scores.json").exists() for folder in folders):
        return [str(folder / "preset") for folder in folders]
    return None


@functools.cache
def splits(data):
    """Returns the train and dev splits, which all runs of a process share."""
    from keras_showattend import read_flickr8k

    dataset = read_flickr8k(data)
    return dataset.split("train"), dataset.split("dev")


def score(captioner, owner, feature_dtype, args):
    """Returns scores on dev, and for a single captioner the loss in nats a word.

    Args:
        captioner: an `ImageCaptioner` or a `CaptionerEnsemble`.
        owner: `ImageCaptioner` with the image encoder that all members share.
        feature_dtype: dtype policy of the features it was trained on.
        args: arguments of the command line.
    """
    from keras_showattend import ImageCaptioner, metrics
    from keras_showattend.search import caption_dataset

    _, dev = splits(args.data)
    owner.backbone.image_encoder.trainable = False
    cache = owner.feature_cache(
        None if args.feature_cache == "auto" else args.feature_cache, dtype=feature_dtype
    )
    # The repetition rule would hide what a run does to repetitions.
    captions = caption_dataset(captioner, dev, feature_cache=cache, no_repeat_ngram_size=0)
    wanted = [name for name in COLUMNS if name != "loss"]
    found = metrics.score_captions(captions, dev.references(), metrics=wanted)
    if isinstance(captioner, ImageCaptioner):
        captioner.compile(label_smoothing=0.0)
        losses = captioner.evaluate(dev, feature_cache=cache, verbose=0, return_dict=True)
        found["loss"] = losses["loss"]
    return {name: float(value) for name, value in found.items()}


def print_table(plan, output):
    """Prints means over the finished seeds."""
    print(f"| {'run':28} | seeds | " + " | ".join(COLUMNS) + " |")
    for name in plan["runs"]:
        found = [
            json.loads(path.read_text()) for path in sorted(output.glob(f"{name}/*/scores.json"))
        ]
        if not found:
            continue
        cells = []
        for column, scale in COLUMNS.items():
            numbers = [scale * each[column] for each in found if column in each]
            digits = 1 if scale == 100 else 3
            text = f"{statistics.mean(numbers):.{digits}f}" if numbers else ""
            if len(numbers) > 1:
                text += f" ± {statistics.stdev(numbers):.{digits}f}"
            cells.append(text)
        print(f"| {name:28} | {len(found)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
