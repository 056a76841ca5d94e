"""Breaks the package in many ways and writes down what came of it; see docs/reliability.md.

    python scripts/faults [PART ...] [--results FILE] [--moments 50] [--count 10000]

`kills` ends every kind of work with SIGKILL at random moments, fills the disk, makes folders
read-only and lets two processes do the same; each time the same work is started again, and its
result compared with that of a run that nobody disturbed. `clock` lets the clock jump meanwhile
(needs libfaketime, `apt-get install libfaketime`). `hostile` feeds damaged files and answers to
what reads them. `table` prints the tables of FILE. Without a name, all run. Run again with the
same FILE, it resumes. Linux, because the workers are forked.
"""

import argparse
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import processes  # noqa: E402
import services  # noqa: E402
from hostile import Hostile  # noqa: E402
from kills import Kills, libfaketime  # noqa: E402
from results import Results  # noqa: E402
from work import prepare  # noqa: E402

PARTS = ("kills", "clock", "hostile", "table")
CLOCK = "FAKETIME_TIMESTAMP_FILE"


def main():
    """Runs what was asked for and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--results", metavar="FILE", help="JSON lines of all results, to resume")
    parser.add_argument("--moments", type=int, default=50, help="kills of each kind of work")
    parser.add_argument("--count", type=int, default=10_000, help="damaged images")
    parser.add_argument("--work", action="append", help="one kind of work; repeat it for several")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"PART must be one of {PARTS}. Received: {sorted(unknown)}")
    results = Results(args.results)
    parts = args.parts or PARTS
    with tempfile.TemporaryDirectory() as scratch:
        for part in parts:
            if part != "table":
                run(part, pathlib.Path(scratch, part), results, args)
    print(results)
    return 1 if results.wrong() else 0


def run(part, scratch, results, args):
    """Runs one part in a folder of its own."""
    if part == "clock" and CLOCK not in os.environ:
        return under_faketime(scratch, results, args)
    scratch.mkdir(exist_ok=True)
    # Other accounts look into it where folders are read-only.
    for folder in (scratch.parent, scratch):
        folder.chmod(0o755)
    os.environ.update(services.ENVIRONMENT)
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["KERAS_SHOWATTEND_CACHE"] = os.environ["HF_HOME"] = str(scratch / "home")
    if processes.run(lambda: prepare(scratch), scratch / "log"):
        sys.exit((scratch / "log").read_text())
    if part == "hostile":
        return Hostile(scratch, results, args).run()
    running = [processes.Service(lambda: services.hub(scratch / "tiny"))]
    # Read when huggingface_hub is imported, with what follows.
    os.environ["HF_ENDPOINT"] = running[0].address
    addresses = {}
    if part == "kills" and (not args.work or "captioning on Ray" in args.work):
        running.append(processes.Service(services.ray_cluster))
        addresses["ray"] = running[1].address
    # Imported before the forks, so that a kill hits the work and not the imports.
    import keras_showattend.cli.caption
    import keras_showattend.cli.train
    import keras_showattend.hub
    import keras_showattend.models
    import keras_showattend.ray
    import keras_showattend.recipes  # noqa: F401

    clock = os.environ.get(CLOCK)
    try:
        Kills(scratch, addresses, results, args, clock and pathlib.Path(clock)).run()
    finally:
        for service in running:
            service.close()


def under_faketime(scratch, results, args):
    """Runs the part `clock` in a Python whose clock is another."""
    library = libfaketime()
    if library is None:
        print("the part `clock` needs libfaketime: apt-get install libfaketime", flush=True)
        return
    scratch.mkdir()
    clock = scratch / "clock"
    clock.write_text("+0\n")
    settings = {
        CLOCK: str(clock),
        "LD_PRELOAD": str(library),
        "FAKETIME_NO_CACHE": "1",
        # As on a real machine: durations and the times of files do not jump.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    words = [sys.executable, __file__, "clock", "--moments", str(args.moments)]
    words += [word for name in args.work or () for word in ("--work", name)]
    words += ["--seed", str(args.seed)]
    words += ["--results", args.results] if args.results else []
    os.spawnve(os.P_WAIT, sys.executable, words, os.environ | settings)
    results.__init__(args.results)


if __name__ == "__main__":
    sys.exit(main())
