"""Breaks the package in many ways and writes down what came of it; see docs/reliability.md.

    python scripts/faults.py [kills] [images] [texts] [--moments 50] [--count 10000] [--output FILE]

`kills` ends captioning, feature caching, saving and training with SIGKILL at random moments, starts
each again, and compares with a run that nobody disturbed; it also runs them where files may not
grow and where another process is at work. `images` and `texts` feed damaged files to what reads
them. Without a name, all run. Linux, because the workers are forked; FAULTS_LOG=FILE keeps their
errors.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
from mutations import CAPTIONS_FILES, images, mutations  # noqa: E402
from PIL import Image  # noqa: E402

WORDS = ["a dog runs on the grass", "two children play on a red slide", "a man rides a bike"]
PRESET_FILES = ("config.json", "task.json", "preprocessor.json", "assets/tokenizer/vocabulary.txt")


def main():
    """Runs what was asked for and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="kills, images, texts")
    parser.add_argument("--moments", type=int, default=50, help="kills of each kind of work")
    parser.add_argument("--count", type=int, default=10_000, help="damaged images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, help="JSON lines of all results")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for part in args.parts or PARTS:
            for row in PARTS[part](pathlib.Path(scratch), args):
                rows.append(row)
                print("| " + " | ".join(map(str, row.values())) + " |", flush=True)
                if args.output:
                    with open(args.output, "a") as file:
                        file.write(json.dumps(row) + "\n")
    return 0 if all(row["outcome"].startswith("as") for row in rows) else 1


# === Kills ===


class Captioning:
    """`caption FOLDER --output captions.jsonl`."""

    file_limit = 2048

    def __init__(self, folder, preset, photos):
        self.output = folder / "captions.jsonl"
        self.words = ["caption", str(photos), "--preset", str(preset), "--batch-size", "2"]
        self.words += ["--output", str(self.output), "--num-beams", "2"]

    def run(self):
        from keras_showattend.cli.main import main as command

        code = command(self.words)
        if code:
            raise SystemExit(code)

    def check(self):
        """Lines before the last one are whole."""
        if self.output.exists():
            for line in self.output.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    json.loads(line)

    def result(self):
        rows = [json.loads(line) for line in self.output.read_text().splitlines()]
        return sorted((row["path"], row["caption"]) for row in rows)


class Caching:
    """Features of images, in shards of two."""

    file_limit = 200

    def __init__(self, folder, preset, photos):
        self.folder, self.preset, self.photos = folder / "features", preset, photos

    def run(self):
        from keras_showattend.data import features

        features.SHARD_SIZE = 2
        self._compute()

    def _compute(self):
        from keras_showattend import ImageCaptioner
        from keras_showattend.preprocessing import find_images

        captioner = ImageCaptioner.from_preset(self.preset, compile=False)
        captioner.backbone.image_encoder.trainable = False
        cache = captioner.feature_cache(self.folder)
        paths = find_images(self.photos)
        found = cache.compute(paths, batch_size=2, progress=False)
        return found.gather(range(len(paths)))

    def check(self):
        """Every index has the array that it tells of."""
        for index in self.folder.glob("*/[!.]*.json"):
            keys = json.loads(index.read_text())["keys"]
            assert len(np.load(index.with_suffix(".npy"))) == len(keys)

    def result(self):
        return [image.tobytes() for image in self._compute()]


class Saving:
    """`save_to_preset` over an older preset of other weights."""

    file_limit = 2048

    def __init__(self, folder, preset, photos):
        self.preset, self.target = preset, folder / "preset"
        shutil.copytree(preset, self.target)

    def _load(self, folder):
        from keras_showattend import ImageCaptioner

        return ImageCaptioner.from_preset(folder, compile=False)

    def run(self):
        captioner = self._load(self.preset)
        for variable in captioner.backbone.trainable_variables:
            variable.assign(variable * 0.5)
        captioner.save_to_preset(self.target)

    def check(self):
        """The preset is the old one or the new one, whole."""
        old = sum(float(np.abs(w).sum()) for w in self._load(self.preset).get_weights())
        found = sum(float(np.abs(w).sum()) for w in self._load(self.target).get_weights())
        assert min(abs(found - old), abs(found - old / 2)) < 1e-2 * old, (found, old)

    def result(self):
        return [w.tobytes() for w in self._load(self.target).get_weights()]


class Training:
    """Six epochs of `fit` with the backup of recipes."""

    file_limit = 2048

    def __init__(self, folder, preset, photos):
        self.folder, self.preset, self.photos = folder, preset, photos

    def run(self):
        import keras

        from keras_showattend import ImageCaptioner
        from keras_showattend.preprocessing import find_images
        from keras_showattend.recipes.backup import Backup

        keras.utils.set_random_seed(5)
        captioner = ImageCaptioner.from_preset(self.preset)
        captioner.backbone.image_encoder.trainable = False
        paths = find_images(self.photos)
        data = {"images": paths, "captions": [WORDS[n % 3] for n in range(len(paths))]}
        captioner.fit(
            data,
            epochs=6,
            batch_size=8,
            verbose=0,
            feature_cache=self.folder / "features",
            callbacks=[Backup(self.folder / "backup")],
        )
        np.save(
            self.folder / "weights.npy",
            np.concatenate([w.ravel() for w in captioner.get_weights()]),
        )

    def check(self):
        """Nothing to look at before the end: a damaged state would end the next run."""

    def result(self):
        return np.round(np.load(self.folder / "weights.npy"), 4).tolist()


KINDS = (Captioning, Caching, Saving, Training)


def kills(scratch, args):
    """Kills each kind of work at random moments, limits its files, and runs it twice at once."""
    import keras

    # Imported before the forks, so that a kill hits the work and not the imports.
    import keras_showattend.cli.caption
    import keras_showattend.models
    import keras_showattend.recipes.backup  # noqa: F401

    preset, photos = _in_child(lambda: _prepare(scratch)) or (scratch / "tiny", scratch / "photos")
    assert keras.backend.backend()
    for kind in KINDS:
        name = kind.__name__.lower()
        alone = _fresh(kind, scratch, preset, photos)
        start = time.monotonic()
        assert _fork(alone.run) == 0, f"{name} fails undisturbed"
        seconds = time.monotonic() - start
        expected = _result(alone)
        yield from _killed(kind, scratch, preset, photos, expected, seconds, args)
        yield _limited(kind, scratch, preset, photos, expected)
        yield _twice(kind, scratch, preset, photos, expected)


def _killed(kind, scratch, preset, photos, expected, seconds, args):
    rng = random.Random(args.seed)
    killed = resumed = wrong = 0
    while killed < args.moments:
        work = _fresh(kind, scratch, preset, photos)
        # Several kills of one run, until it gets through.
        while killed < args.moments:
            code = _fork(work.run, kill_after=rng.uniform(0.02, 1.0) * seconds)
            if code == 0:
                break
            killed += 1
            if code != -signal.SIGKILL or _fork(work.check) != 0:
                wrong += 1
        if _fork(work.run) == 0 and _result(work) == expected:
            resumed += 1
        else:
            wrong += 1
    outcome = f"{wrong} wrong" if wrong else f"as undisturbed, {resumed} of {resumed} runs"
    yield _row("SIGKILL", kind, f"{killed} random ones", outcome)


def _limited(kind, scratch, preset, photos, expected):
    work = _fresh(kind, scratch, preset, photos)

    def run():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kind.file_limit, kind.file_limit))
        work.run()

    failed = _fork(run) != 0
    good = failed and _fork(work.check) == 0 and _fork(work.run) == 0 and _result(work) == expected
    outcome = "as undisturbed once there was room" if good else "wrong"
    return _row("disk full", kind, f"files of {kind.file_limit} bytes at most", outcome)


def _twice(kind, scratch, preset, photos, expected):
    work = _fresh(kind, scratch, preset, photos)
    first, second = _start(work.run), _start(work.run)
    codes = [_wait(first), _wait(second)]
    good = 0 in codes and _fork(work.check) == 0 and _result(work) == expected
    refused = sum(code != 0 for code in codes)
    outcome = f"as undisturbed, {refused} refused" if good else f"wrong ({codes})"
    return _row("two processes", kind, "at once", outcome)


def _row(fault, kind, moments, outcome):
    return {
        "fault": fault,
        "work": kind.__name__.lower(),
        "moments": moments,
        "outcome": outcome,
    }


def _fresh(kind, scratch, preset, photos):
    folder = scratch / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return kind(folder, preset, photos)


def _prepare(scratch):
    """Makes a tiny preset and some images."""
    import keras

    from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner

    keras.utils.set_random_seed(3)
    layers = [
        keras.Input((32, 48, 3)),
        keras.layers.Conv2D(6, 3, strides=8, padding="same", activation="relu"),
        keras.layers.Conv2D(10, 3, strides=2, padding="same"),
    ]
    create_captioner(
        keras.Sequential(layers),
        tokenizer=CaptionTokenizer.from_captions(WORDS, 1),
        image_converter=CaptionImageConverter((32, 48), scale=1 / 255),
        image_shape=(32, 48, 3),
        sequence_length=8,
        embedding_dim=8,
        hidden_dim=9,
        attention_dim=5,
    ).save_to_preset(scratch / "tiny")
    (scratch / "photos").mkdir()
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(scratch / "photos" / f"{number:02d}.png")


def _in_child(function):
    assert _fork(function) == 0, "the child failed"


def _result(work):
    """What a run has made, computed in a child, because TensorFlow cannot be forked once used."""
    with tempfile.NamedTemporaryFile() as file:

        def tell():
            file.write(repr(work.result()).encode())
            file.flush()

        _fork(tell)
        return pathlib.Path(file.name).read_bytes()


def _start(function):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        function()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        if "FAULTS_LOG" in os.environ:
            with contextlib.suppress(OSError), open(os.environ["FAULTS_LOG"], "a") as file:
                traceback.print_exc(file=file)
    finally:
        # Never up the stack, where the parent's scratch folder would be deleted.
        os._exit(code)


def _wait(pid, seconds=None):
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = None
        time.sleep(0.005)


def _fork(function, kill_after=None):
    return _wait(_start(function), kill_after)


# === Hostile input ===


def hostile_images(scratch, args):
    """Damaged images through `load_image`: time, memory, and what came of them."""
    from keras_showattend.preprocessing import ImageError, load_image

    encoded = images()
    counts, slowest, wrong = {"read": 0, "refused": 0}, 0.0, []
    memory = 0
    for number, (name, content) in enumerate(mutations(encoded, args.count, args.seed)):
        start = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                load_image(content, (224, 224), accept_truncated=number % 2 == 0)
                counts["read"] += 1
            except ImageError:
                counts["refused"] += 1
            except BaseException as error:
                wrong.append(f"{name}: {error!r}")
        slowest = max(slowest, time.monotonic() - start)
        if number == args.count // 5:
            memory = _resident()
    growth = _resident() - memory
    told = f"{counts['read']} read, {counts['refused']} refused"
    outcome = f"wrong: {wrong[:3]}" if wrong or slowest > 10 else "as documented"
    yield {
        "fault": f"{args.count} damaged images of {len(encoded)} kinds",
        "work": "decoding",
        "moments": f"{told}; slowest {slowest:.1f} s, memory +{growth:.0f} MB",
        "outcome": outcome,
    }


def _resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def hostile_texts(scratch, args):
    """Damaged captions files, vocabularies and configs of presets."""
    from keras_showattend import CaptionDataset, read_captions_file
    from keras_showattend.presets import resolve_preset

    folder = scratch / "texts"
    folder.mkdir()
    for name in "ab":
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    count = args.count // 10
    for name, content in CAPTIONS_FILES.items():
        yield _tried(
            "captions file",
            name,
            mutations({name: content}, count, args.seed),
            lambda content, name=name: (
                (folder / name).write_bytes(content),
                read_captions_file(folder / name),
            )[1],
            CaptionDataset,
        )
        (folder / name).unlink()
    source = ROOT / "presets" / "vgg16_gru_flickr8k"
    preset = folder / "preset"
    shutil.copytree(source, preset)
    # Which would refuse every change.
    (preset / "digests.json").unlink(missing_ok=True)
    for name in (
        "config.json",
        "task.json",
        "preprocessor.json",
        "assets/tokenizer/vocabulary.txt",
    ):
        original = (source / name).read_bytes()

        def load(content, name=name):
            (preset / name).write_bytes(content)
            return resolve_preset(preset)

        yield _tried("preset", name, mutations({name: original}, count, args.seed), load, str)
        (preset / name).write_bytes(original)


def _tried(kind, name, contents, function, expected):
    read = refused = 0
    wrong, slowest = [], 0.0
    for label, content in contents:
        start = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert isinstance(function(content), expected)
                read += 1
            except ValueError:
                refused += 1
            except BaseException as error:
                wrong.append(f"{label}: {error!r}"[:200])
        slowest = max(slowest, time.monotonic() - start)
    return {
        "fault": f"{read + refused + len(wrong)} damaged copies",
        "work": f"{kind} {name}",
        "moments": f"{read} read, {refused} refused; slowest {slowest:.1f} s",
        "outcome": f"wrong: {wrong[:3]}" if wrong or slowest > 10 else "as documented",
    }


PARTS = {"kills": kills, "images": hostile_images, "texts": hostile_texts}

if __name__ == "__main__":
    sys.exit(main())
