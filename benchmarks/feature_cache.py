"""What the digests of the feature cache cost: the check, beside reading the same entries.

    python benchmarks/feature_cache.py --images 1000

Entries are those of VGG16 at 224 x 224, 49 locations of 512 numbers. The check is made once an
entry and process; the entries are read in every epoch.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np

from keras_showattend.data.feature_shards import FeatureShards

ROW_SHAPE = (49, 512)
SHARD_SIZE = 256


def main():
    """Prints the seconds for all entries and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    keys = [f"{number:064x}" for number in range(args.images)]
    with tempfile.TemporaryDirectory() as folder:
        shards = FeatureShards(pathlib.Path(folder), ROW_SHAPE)
        rng = np.random.default_rng(0)
        for start in range(0, args.images, SHARD_SIZE):
            part = keys[start : start + SHARD_SIZE]
            shards.write(part, rng.normal(size=(len(part), *ROW_SHAPE)))
        reads, checks = [], []
        for _ in range(args.rounds):
            # Opened anew, nothing is checked yet.
            opened = FeatureShards(pathlib.Path(folder), ROW_SHAPE)
            started = time.perf_counter()
            for stem, row in opened.rows.values():
                np.array(opened.arrays[stem][row])
            reads.append(time.perf_counter() - started)
            started = time.perf_counter()
            if opened.drop_damaged(keys):
                raise SystemExit("entries were damaged on disk")
            checks.append(time.perf_counter() - started)
    read, check = min(reads), min(checks)
    print(f"reading {args.images} entries: {read:.3f} s")
    print(
        f"checking {args.images} entries: {check:.3f} s, {1000 * check / args.images:.3f} ms each"
    )
    print(f"checking / reading: {check / read:.1f}")


if __name__ == "__main__":
    main()
