"""METEOR 1.5 through its Java program, kept open between calls.

The program is not part of this package. It comes with the PyPI package `pycocoevalcap` (pip extra
`meteor`) and needs a Java runtime.
"""

import atexit
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from keras_showattend.metrics._inputs import MetricUnavailableError

# The program's English parameters (Denkowski and Lavie 2014, "Meteor Universal", and its manual):
# precision against recall, penalty shape and height, content against function words.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
# Exact, stem, synonym and paraphrase matches.
MATCHER_WEIGHTS = (1.0, 0.6, 0.8, 0.6)
NUM_STATISTICS = 23
_OPTIONS = ("-", "-", "-stdio", "-l", "en", "-norm")
JAR_VARIABLE = "METEOR_JAR"


class MeteorProcess:
    """One running METEOR 1.5 program.

    Args:
        jar: path of `meteor-1.5.jar`, beside its `data` folder, or None for the one named by the
            environment variable METEOR_JAR or brought by `pycocoevalcap`. Defaults to None.
        start_timeout: float. Seconds to wait for the first answer, before which the program reads
            a large table of paraphrases. Defaults to 120.
        timeout: float. Seconds to wait for each later answer. Defaults to 30.

    Raises:
        MetricUnavailableError: if Java or the jar is missing.

    Use it in a `with` statement, or call `close`. Several threads may use it at once.
    """

    def __init__(
        self, jar: str | Path | None = None, start_timeout: float = 120.0, timeout: float = 30.0
    ):
        java, jar = _find_java(), _find_jar(jar)
        self._lock = threading.Lock()
        self._timeout = timeout
        self._next_timeout = start_timeout
        # A file, because a pipe that nobody reads fills up and blocks the program.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [java, "-Dfile.encoding=UTF-8", "-Xmx2G", "-jar", str(jar), *_OPTIONS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def statistics(
        self, captions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
    ) -> np.ndarray:
        """Aligns each caption with its best reference.

        Args:
            captions: tokens of one caption an image, length I.
            references: tokens of the reference captions of each image, length I.

        Returns:
            float64[I, 23]. The program's counts, whose sums over images give the corpus score. A
            caption that equals its reference has 0 chunks, as in the program's own sums.

        Raises:
            RuntimeError: if the program ends, gives another answer than 23 numbers, or takes longer
                than its time-out. The program is then stopped.
        """
        rows = np.zeros((len(captions), NUM_STATISTICS))
        with self._lock:
            for index, (caption, sentences) in enumerate(zip(captions, references, strict=True)):
                parts = ["SCORE", *(_clean(sentence) for sentence in sentences), _clean(caption)]
                rows[index] = self._ask(" ||| ".join(parts))
        whole = (rows[:, 21:23] == rows[:, 0:2]).all(axis=1) & (rows[:, 20] == 1)
        rows[whole, 20] = 0
        return rows

    @property
    def is_running(self) -> bool:
        """Whether the program is alive."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stops the program and closes its pipes; does nothing if it is closed."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass

    def __enter__(self) -> "MeteorProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def _ask(self, question: str) -> np.ndarray:
        assert self._process.stdin is not None
        answer = b""
        problem = "the program ended"
        try:
            self._process.stdin.write(f"{question}\n".encode())
            self._process.stdin.flush()
            answer = self._answers.get(timeout=self._next_timeout)
            self._next_timeout = self._timeout
        except queue.Empty:
            problem = f"no answer within {self._next_timeout:g} s"
        except (OSError, ValueError):
            pass
        numbers = answer.decode(errors="replace").split()
        try:
            if len(numbers) == NUM_STATISTICS:
                return np.array([float(number) for number in numbers])
            if numbers:
                problem = f"the answer {' '.join(numbers)!r:.100}"
        except ValueError:
            problem = f"the answer {' '.join(numbers)!r:.100}"
        messages = self._last_messages()
        self.close()
        raise RuntimeError(
            f"METEOR 1.5 must answer each caption with {NUM_STATISTICS} numbers in time. Check "
            "that Java has 2 GB of memory, raise the time-outs of `MeteorProcess`, or leave "
            f"'meteor' out of `metrics`. Received: {problem} for {question!r:.200}{messages}"
        )

    def _last_messages(self) -> str:
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return f"; its messages end with {text[-300:]!r}" if text else ""


def meteor_from_statistics(statistics: np.ndarray) -> np.ndarray:
    """Turns METEOR 1.5 counts, of an image or summed over images, into scores.

    Args:
        statistics: float[..., 23], rows of `MeteorProcess.statistics` or sums of them.

    Returns:
        float64[...] on a scale of 0 to 1.

    Source: Denkowski and Lavie 2014, section 2: P and R weighted by matcher (w) and by content and
    function words (delta); F = P R / (alpha P + (1 - alpha) R); score = (1 - gamma
    (chunks / matches)^beta) F.
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    lengths, function_words = statistics[..., 0:2], statistics[..., 2:4]
    # [..., matcher, content or function, caption or reference]
    matches = statistics[..., 4:20].reshape(*statistics.shape[:-1], 4, 2, 2)
    chunks, matched_words = statistics[..., 20], statistics[..., 21:23]

    weighted = np.einsum("...mws,m->...ws", matches, MATCHER_WEIGHTS)
    weighted = DELTA * weighted[..., 0, :] + (1 - DELTA) * weighted[..., 1, :]
    possible = DELTA * (lengths - function_words) + (1 - DELTA) * function_words
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(possible > 0, weighted / possible, 0.0)
        precision, recall = shares[..., 0], shares[..., 1]
        mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        fragmentation = chunks / matched_words.mean(axis=-1)
        return np.nan_to_num(mean * (1 - GAMMA * fragmentation**BETA))


def meteor_statistics(
    captions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> np.ndarray:
    """Returns `MeteorProcess.statistics` of one program that all calls of this process share."""
    with _shared_lock:
        if not _shared or not _shared[-1].is_running:
            while _shared:
                _shared.pop().close()
            _shared.append(MeteorProcess())
            _register_closing()
        process = _shared[-1]
    return process.statistics(captions, references)


def close_meteor() -> None:
    """Stops the shared program if it runs. The next METEOR score starts a new one."""
    with _shared_lock:
        while _shared:
            _shared.pop().close()


def check_meteor() -> None:
    """Raises MetricUnavailableError, with what to install, if METEOR 1.5 cannot run here."""
    _find_java()
    _find_jar(None)


_shared: list[MeteorProcess] = []
_shared_lock = threading.Lock()


@cache
def _register_closing() -> None:
    atexit.register(close_meteor)


def _clean(tokens: Sequence[str]) -> str:
    return " ".join(" ".join(tokens).replace("|||", " ").split())


def _find_java() -> str:
    java = shutil.which("java")
    if java is None:
        raise MetricUnavailableError(
            "METEOR 1.5 is a Java program. Install a Java runtime (such as the package "
            "default-jre-headless) and put `java` on the PATH, or leave 'meteor' out of `metrics`. "
            "Received: no `java` on the PATH"
        )
    return java


def _find_jar(jar: str | Path | None) -> Path:
    jar = jar or os.environ.get(JAR_VARIABLE)
    if jar is not None:
        if Path(jar).is_file():
            return Path(jar).resolve()
        found = f"no file {str(jar)!r}"
    else:
        spec = find_spec("pycocoevalcap")
        for location in (spec.submodule_search_locations or []) if spec else []:
            path = Path(location) / "meteor" / "meteor-1.5.jar"
            if path.is_file():
                return path.resolve()
        found = "no installed package pycocoevalcap"
    raise MetricUnavailableError(
        "METEOR 1.5 needs meteor-1.5.jar, which this package does not ship. Run "
        f"`pip install pycocoevalcap`, or set {JAR_VARIABLE} to the path of the jar, or leave "
        f"'meteor' out of `metrics`. Received: {found}"
    )
