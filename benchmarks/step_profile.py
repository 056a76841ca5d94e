"""Shows where the time of a training step goes on TensorFlow, and its arithmetic limit.

    python benchmarks/step_profile.py [--locations 49]

The step is that of `benchmarks/training.py step`. Two cores work on different operations at the
same time, so the table gives processor time. The limit is the multiply-adds of the step at the
rate of one large product on this machine.
"""

import argparse
import collections
import pathlib
import statistics
import tempfile

import tensorflow as tf
from timing import interleave
from training import BATCH, SIZES, VOCABULARY, WORDS, step_of

# The first part found in an operation's name decides its row.
PARTS = {
    "adam": "optimizer",
    "compile_loss": "loss",
    "while_grad": "loop, backward",
    "/while/body": "loop, forward",
    "": "before and after the loop",
}
PRODUCTS = ("MatMul", "Conv")


def multiplications(locations):
    """Returns the multiply-adds of a step by part: one product forward and two backward."""
    hidden, attention, embedding = (
        SIZES[f"{name}_dim"] for name in ("hidden", "attention", "embedding")
    )
    depth, rows = 512, BATCH * WORDS
    return {
        # Frozen features need no gradient by location.
        "projected annotations": 2 * BATCH * locations * depth * attention,
        "attention": 3 * rows * (hidden * attention + locations * (attention + depth)),
        "recurrence": 3 * rows * (embedding + depth + hidden) * 3 * hidden,
        "deep output": 3 * rows * (hidden + depth) * embedding,
        "vocabulary": 3 * rows * embedding * VOCABULARY,
    }


def rate():
    """Returns the multiply-adds a second of one large product."""
    left, right = tf.random.normal((2048, 2048)), tf.random.normal((2048, 2048))
    product = tf.function(lambda: tf.reduce_sum(left @ right))
    seconds = interleave({"product": lambda: product().numpy()}, 10)["product"]
    return 2048**3 / statistics.median(seconds)


def processor_time(step, count=3):
    """Returns the seconds of a step by (part of the step, kind of operation)."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(count):
            step()
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    seconds = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            # Operations are named "path/in/graph:Kind"; other events are calls around them.
            if "/" in name and kind.strip("_").isalnum():
                place = next(row for part, row in PARTS.items() if part in name)
                sort = "products" if any(p in kind for p in PRODUCTS) else kind
                seconds[place, sort] += event.duration_ps / 1e12 / count
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--locations", "--places", type=int, default=49, help="locations of the encoder grid"
    )
    parser.add_argument("--rows", type=int, default=25, help="rows of the table")
    args = parser.parse_args()

    step = step_of(args.locations, jit_compile=False)
    wall = statistics.median(interleave({"step": step}, 5)["step"])
    seconds = processor_time(step)
    total = sum(seconds.values())
    print(f"L = {args.locations}: {1000 * wall:.0f} ms a step, {1000 * total:.0f} ms of two cores")
    for row in PARTS.values():
        share = sum(value for (place, _), value in seconds.items() if place == row)
        print(f"{100 * share / total:6.1f} %  {row}")
    print()
    for (place, sort), value in seconds.most_common(args.rows):
        print(f"{100 * value / total:6.1f} %  {place:26} {sort}")

    speed = rate()
    print(f"\na large product: {speed / 1e9:.0f} billion multiply-adds a second")
    counts = multiplications(args.locations)
    for part, count in counts.items():
        print(f"{count / 1e9:6.2f} billion {1000 * count / speed:6.1f} ms  {part}")
    limit = sum(counts.values()) / speed
    print(f"the step takes {wall / limit:.2f} times the limit of its products")


if __name__ == "__main__":
    main()
