"""Refuses a wheel or sdist that lacks a bundled preset, or carries one whose weights differ.

python scripts/release_check.py dist
"""

import argparse
import hashlib
import pathlib
import sys
import tarfile
import zipfile

import keras_showattend
from keras_showattend.presets import list_presets

# Of a package index, for one file.
MOST_MEGABYTES = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    problems = find_problems(parser.parse_args().folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


def find_problems(folder):
    """Sentences that say what is wrong with the distributions in a folder."""
    version = keras_showattend.__version__
    wheel = folder / f"keras_showattend-{version}-py3-none-any.whl"
    sdist = folder / f"keras_showattend-{version}.tar.gz"
    problems = [f"{path.name} is missing" for path in (wheel, sdist) if not path.is_file()]
    if problems:
        return problems
    for path in (wheel, sdist):
        size = path.stat().st_size / 1e6
        print(f"{path.name}: {size:.1f} MB")
        if size > MOST_MEGABYTES:
            problems.append(f"{path.name} has {size:.1f} MB, more than {MOST_MEGABYTES}")
    with zipfile.ZipFile(wheel) as file:
        problems += preset_problems(
            wheel.name, "keras_showattend/bundled_presets", file.namelist(), file.read
        )
        if "keras_showattend/py.typed" not in file.namelist():
            problems.append(f"{wheel.name} lacks py.typed")
    with tarfile.open(sdist) as file:
        problems += preset_problems(
            sdist.name,
            f"keras_showattend-{version}/presets",
            file.getnames(),
            lambda name: file.extractfile(name).read(),
        )
    return problems


def preset_problems(archive, folder, names, read):
    """What is wrong with the bundled presets of one archive."""
    for preset in list_presets():
        if preset.location != "bundled" or not preset.digest:
            continue
        weights = f"{folder}/{preset.name}/model.weights.h5"
        if weights not in names:
            yield f"{archive} lacks the weights of {preset.name}"
        elif hashlib.sha256(read(weights)).hexdigest() != preset.digest:
            yield f"{archive} has other weights of {preset.name} than the registry says"


if __name__ == "__main__":
    main()
