"""Times the import of the package and the start of its command, each in a fresh process.

python benchmarks/startup.py [--repeats 7]
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

from timing import interleave, table, write_json

COMMAND = [sys.executable, "-m", "keras_showattend.cli.main"]
# Measured within one process: the noise of importing TensorFlow exceeds the difference.
BEYOND = """
import keras_hub, time
start = time.perf_counter()
import keras_showattend
print(time.perf_counter() - start)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    beyond = []
    seconds = interleave(
        {
            "import keras_hub, then the package": lambda: beyond.append(
                float(run(sys.executable, "-c", BEYOND))
            ),
            "import keras_showattend": lambda: run(sys.executable, "-c", "import keras_showattend"),
            "keras-showattend caption --help": lambda: run(*COMMAND, "caption", "--help"),
            "keras-showattend presets": lambda: run(*COMMAND, "presets"),
        },
        args.repeats,
        warmup=1,
    )
    print(table("each in a fresh process", seconds, next(iter(seconds))))
    more = statistics.median(beyond)
    print(f"import keras_showattend takes {more:.2f} s beyond import keras_hub")
    if args.output:
        write_json(args.output, {"seconds": seconds, "seconds beyond keras_hub": more})


def run(*command):
    """Returns what a command prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


if __name__ == "__main__":
    main()
