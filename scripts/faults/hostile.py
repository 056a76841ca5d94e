"""Damaged files and answers: a result or an error in words each, without crash, hang or growth."""

import contextlib
import io
import itertools
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import time
import warnings

import processes
from hostile_hub import HostileHub
from hub_driver import read_folder
from mutations import CAPTIONS_FILES, bombs, images, mutate, mutate_json

# Copies that one child goes through.
CHUNK = 1000
# Seconds of a processor after which a copy counts as slow, and of the clock after which it is
# given up.
SLOW, HUNG = 10, 300
STATE_BYTES = 16_384
JSON_FILES = ("config.json", "task.json", "preprocessor.json", "tokenizer.json", "metadata.json")
VOCABULARY = "assets/tokenizer/vocabulary.txt"


class Hostile:
    """Runs the copies that the results lack.

    Args:
        scratch: folder with what `work.prepare` has made.
        results: `Results`.
        args: options of the command.
    """

    def __init__(self, scratch, results, args):
        self.scratch, self.results, self.args = scratch, results, args
        self.log = scratch / "log"

    def run(self):
        """All that was asked for, a `(fault, work)` at a time."""
        count = self.args.count
        tenth = max(1, count // 10)
        todo = [
            ("images", "generate", count, self.generate),
            ("images", "the command `caption`", max(1, count // 1000), self.caption),
            ("weights files", "from_preset", tenth, self.weights),
            *(
                (name, "from_preset", max(1, count // 20), lambda name=name: self.config(name))
                for name in (*JSON_FILES, VOCABULARY)
            ),
            *(
                (name, "read_captions_file", tenth, lambda name=name: self.captions(name))
                for name in CAPTIONS_FILES
            ),
            *(
                (name, "the command `train`", max(1, count // 2000), lambda n=name: self.train(n))
                for name in CAPTIONS_FILES
            ),
            ("answers of a Hub", "download_preset", tenth, self.hub),
        ]
        for fault, work, wanted, prepare in todo:
            if self.args.work and work not in self.args.work:
                continue
            while (first := self._done(fault, work)) < wanted:
                row = self._chunk(prepare, first, min(first + CHUNK, wanted))
                self.results.add({"fault": fault, "work": work, "trial": first, **row})
                done = self._done(fault, work)
                print(f"{fault}, {work}: {done} of {wanted}; {row['wrong'] or 'good'}", flush=True)

    def _done(self, fault, work):
        return sum(row["count"] for row in self.results.of(fault, work))

    def _chunk(self, prepare, first, last):
        """Goes through some copies in a child, and tells of a crash or a hang, too."""
        path = self.scratch / "state"
        path.write_bytes(b"")
        pid = processes.start(lambda: _go_through(prepare, first, last, path), self.log)
        hung = f"{first}: hangs"
        before, since = b"", time.monotonic()
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if (now := path.read_bytes()) != before:
                before, since = now, time.monotonic()
            # The first copy waits for imports.
            if time.monotonic() - since > (HUNG if before else processes.LONGEST):
                os.kill(pid, signal.SIGKILL)
                since, hung = time.monotonic(), True
            time.sleep(0.05)
        state = json.loads(path.read_bytes() or b'{"count": 0}')
        if state["count"] < last - first:
            code = os.waitstatus_to_exitcode(status)
            if not before:
                raise SystemExit(self.log.read_text()[-3000:])
            what = "hangs" if hung is True else f"ended with {code}"
            state["wrong"].append(f"{first + state['count']}: {what}")
            state["count"] += 1
        return state

    def _rng(self, *names):
        return random.Random(" ".join(map(str, (self.args.seed, *names))))

    def _captioner(self, preset=None):
        from keras_showattend import ImageCaptioner

        return ImageCaptioner.from_preset(preset or self.scratch / "tiny", compile=False)

    # What each does before the first copy, and with each. They return True for a result, False
    # for a ValueError, and raise what should not be.

    def _images(self):
        found = images()
        found.update(bombs())
        return list(found.items())

    def _image(self, sources, number):
        """Bombs come undamaged once, then as all others."""
        name, content = sources[number % len(sources)]
        if number < len(sources):
            return name, content
        rng = self._rng("image", number)
        return name, mutate(content, rng, [content for _, content in sources])

    def generate(self):
        """`ImageCaptioner.generate` of the bytes of an image."""
        sources, captioner = self._images(), self._captioner()
        # Compiles what all others use.
        captioner.generate(sources[0][1], num_beams=2)

        def attempt(number):
            _, content = self._image(sources, number)
            captioner.preprocessor.image_converter.accept_truncated = number % 2 == 0
            assert isinstance(captioner.generate(content, num_beams=2), str)

        return attempt

    def caption(self):
        """A folder of a hundred files: each has a row, or a line that says why not."""
        from keras_showattend.cli.main import main

        sources = self._images()
        folder = self.scratch / "folder"

        def attempt(number):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for place in range(100):
                name, content = self._image(sources, 1000 + 100 * number + place)
                ending = {"JPEG": "jpg", "TIFF": "tif"}.get(name.split()[0], "png")
                (folder / f"{place}.{ending}").write_bytes(content)
            output = self.scratch / f"{number}.jsonl"
            told = io.StringIO()
            with contextlib.redirect_stderr(told):
                words = ["caption", str(folder), "--preset", str(self.scratch / "tiny")]
                code = main([*words, "--output", str(output), "--num-beams", "2"])
            rows = [json.loads(line)["path"] for line in output.read_text().splitlines()]
            skipped = told.getvalue().count(": skipped ")
            assert len(rows) == len(set(rows)), "an image has two rows"
            assert len(rows) + skipped == 100, f"{len(rows)} rows and {skipped} skipped"
            assert code == (1 if skipped else 0), code
            raise _Counted(len(rows), skipped)

        return attempt

    def weights(self):
        """`from_preset` with a damaged `model.weights.h5`; one in twenty captions an image."""
        import numpy as np

        preset = self._undigested()
        path = preset / "model.weights.h5"
        whole = path.read_bytes()
        image = np.zeros((8, 8, 3), np.uint8)

        def attempt(number):
            path.write_bytes(mutate(whole, self._rng("weights", number), [whole, b"\x89HDF"]))
            captioner = self._captioner(preset)
            if number % 20 == 0:
                assert isinstance(captioner.generate(image, num_beams=2), str)

        return attempt

    def config(self, name):
        """`from_preset` with another value in a JSON file, or damaged bytes in any file."""
        preset = self._undigested()
        path = preset / name
        whole = path.read_bytes()

        def attempt(number):
            rng = self._rng(name, number)
            if name.endswith(".json") and number % 4:
                path.write_text(json.dumps(mutate_json(json.loads(whole), rng)))
            else:
                path.write_bytes(mutate(whole, rng, [whole, b'{"a": [1]}']))
            self._captioner(preset)

        return attempt

    def _undigested(self):
        preset = self.scratch / "damaged"
        shutil.rmtree(preset, ignore_errors=True)
        shutil.copytree(self.scratch / "tiny", preset)
        # Which would refuse every change.
        (preset / "digests.json").unlink()
        return preset

    def _captions_file(self, name, number):
        content = CAPTIONS_FILES[name]
        rng = self._rng(name, number)
        if name == "captions.json" and number % 2:
            return json.dumps(mutate_json(json.loads(content), rng)).encode()
        return mutate(content, rng, list(CAPTIONS_FILES.values()))

    def _beside_images(self):
        folder = self.scratch / "captions"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for place, name in enumerate("ab"):
            shutil.copy(self.scratch / "photos" / f"{place:02d}.png", folder / f"{name}.png")
        return folder

    def captions(self, name):
        """`read_captions_file`, and all that is in the dataset."""
        from keras_showattend import CaptionDataset, read_captions_file

        path = self._beside_images() / name

        def attempt(number):
            path.write_bytes(self._captions_file(name, number))
            found = read_captions_file(path)
            assert isinstance(found, CaptionDataset)
            assert all(isinstance(text, str) for item in found for text in item.captions)

        return attempt

    def train(self, name):
        """The command `train`: one epoch."""
        from keras_showattend.cli.main import main

        path = self._beside_images() / name
        output = self.scratch / "trained"

        def attempt(number):
            shutil.rmtree(output, ignore_errors=True)
            path.write_bytes(self._captions_file(name, number))
            words = ["train", str(path), "--preset", str(self.scratch / "tiny"), "--epochs", "1"]
            words += ["--output", str(output), "--dev-fraction", "0.5"]
            told = io.StringIO()
            with contextlib.redirect_stderr(told):
                code = main(words)
            assert "Traceback" not in told.getvalue(), told.getvalue()[-300:]
            if code:
                raise ValueError(told.getvalue())

        return attempt

    def hub(self):
        """`download_preset` from a Hub that spoils its answers."""
        from huggingface_hub import constants

        from keras_showattend.hub import download_preset

        constants.DOWNLOAD_CHUNK_SIZE = 1000
        sleep = time.sleep
        # The client waits seconds between its attempts.
        time.sleep = lambda seconds: sleep(min(seconds, 0.001))
        server = contextlib.ExitStack().enter_context(HostileHub())
        published = read_folder(self.scratch / "tiny")
        server.add_repo("alice/tiny", published)
        constants.ENDPOINT = server.url
        caches = self.scratch / "caches"

        def attempt(number):
            shutil.rmtree(caches, ignore_errors=True)
            server.begin(f"{self.args.seed} hub {number}")
            try:
                folder = download_preset("hf://alice/tiny", cache_dir=caches / "cache")
                assert read_folder(folder) == published, "other files"
            finally:
                outside = [path for path in caches.iterdir() if path.name != "cache"]
                assert not outside, outside
                assert not list(self.scratch.rglob("evil*")), "a file outside of the cache"

        return attempt


class _Counted(Exception):
    """Tells of several results at once."""

    def __init__(self, read, refused):
        super().__init__()
        self.read, self.refused = read, refused


def _go_through(prepare, first, last, path):
    """Calls what `prepare` returns with each number, and keeps the state in a file."""
    warnings.simplefilter("ignore")
    state = dict.fromkeys(("count", "read", "refused", "slowest", "memory"), 0)
    state["wrong"] = []
    attempt = prepare()
    early = None
    with open(path, "wb") as file:
        for number in itertools.count(first):
            start = time.process_time()
            try:
                attempt(number)
                state["read"] += 1
            except _Counted as several:
                state["read"] += several.read
                state["refused"] += several.refused
            except ValueError:
                state["refused"] += 1
            except BaseException as error:
                state["wrong"].append(f"{number}: {type(error).__name__}: {error}"[:300])
            seconds = time.process_time() - start
            state["slowest"] = round(max(state["slowest"], seconds), 2)
            if seconds > SLOW:
                state["wrong"].append(f"{number}: {seconds:.0f} s")
            state["count"] += 1
            if number - first >= (last - first) // 5:
                early = early or _resident()
                state["memory"] = round(_resident() - early, 1)
            file.seek(0)
            file.write(json.dumps({**state, "wrong": state["wrong"][:20]}).encode())
            file.truncate()
            file.flush()
            if number + 1 == last:
                return


def _resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
