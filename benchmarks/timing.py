"""Times functions in turns, for benchmarks whose figures are ratios within one run."""

import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping

Seconds = Mapping[str, list[float]]


def interleave(
    runs: Mapping[str, Callable[[], object]],
    repeats: int,
    warmup: int = 2,
    settle: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times functions in turns, so that a machine that slows down slows all of them.

    Args:
        runs: functions by name. Each must return only when its work is done: on JAX take the
            result to NumPy inside.
        repeats: rounds that count.
        warmup: rounds before them, which compile.
        settle: runs before each one that counts. The last run leaves its weights in the cache,
            so short runs need one of their own before them.
        clock: returns seconds.

    Returns:
        Seconds of each round, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for count in range(warmup + repeats):
        for name, run in runs.items():
            for _ in range(settle):
                run()
            start = clock()
            run()
            if count >= warmup:
                seconds[name].append(clock() - start)
    return seconds


def ratios(seconds: Seconds, baseline: str) -> dict[str, float]:
    """Returns each run's time as a multiple of the baseline's, the median over rounds.

    Ratios are taken within each round, because rounds differ more than two runs within one.
    """
    return {
        name: statistics.median(
            own / base for own, base in zip(times, seconds[baseline], strict=True)
        )
        for name, times in seconds.items()
    }


def table(title: str, seconds: Seconds, baseline: str) -> str:
    """Returns a table of median times, their ratios to the baseline and the speed-ups."""
    lines = [title, f"{'':40} {'median':>11} {'time':>8} {'speed':>8}"]
    for name, ratio in ratios(seconds, baseline).items():
        median = 1000 * statistics.median(seconds[name])
        lines.append(f"{name:40} {median:8.1f} ms {ratio:6.2f} x {1 / ratio:6.2f} x")
    return "\n".join(lines)


def write_json(path: str | pathlib.Path, results: Mapping[str, object]) -> None:
    """Writes results together with versions, backend, cores and command."""
    packages = ("keras-showattend", "keras", "keras-hub", "tensorflow", "jax", "torch", "numpy")
    context = {
        "command": " ".join(sys.argv),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {name: version for name in packages if (version := _version(name))},
    }
    pathlib.Path(path).write_text(json.dumps({**context, **results}, indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
