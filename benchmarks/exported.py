"""Compares exported captioners with the captioner they come from, on Flickr8k's dev images.

    python benchmarks/exported.py FLICKR8K PRESET [--quantization none float16 int8]

Each file is made once, in `--work`, and captions are kept there, so that a run resumes. For each
quantization: the share of the first `--images` images with the very same caption, the largest
difference between their log-probabilities, and the size of the file; for int8 CIDEr on all of dev.
"""

import argparse
import json
import pathlib

from keras_showattend import ExportedCaptioner, ImageCaptioner, read_flickr8k
from keras_showattend.metrics import score_captions
from keras_showattend.presets import resolve_preset

BATCH = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path, help="folder of Flickr8k")
    parser.add_argument("preset")
    parser.add_argument("--quantization", nargs="+", default=["none", "float16", "int8"])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("exported"))
    args = parser.parse_args()
    dataset = read_flickr8k(args.data).split("dev")
    work = args.work / pathlib.Path(resolve_preset(args.preset)).name
    work.mkdir(parents=True, exist_ok=True)
    captioner = None
    paths = {name: work / f"{name}.onnx" for name in args.quantization}
    if not all(path.is_file() for path in [*paths.values(), work / "keras.json"]):
        captioner = ImageCaptioner.from_preset(args.preset)
    for name, path in paths.items():
        if not path.is_file():
            captioner.export(path, quantization=None if name == "none" else name, num_beams=5)
    whole = len(dataset) if "int8" in paths else args.images
    expected = captions(work / "keras.json", captioner, dataset, whole, num_beams=5)
    references = dict(zip(dataset.ids, dataset.captions, strict=True))
    float32 = paths.get("none", next(iter(paths.values()))).stat().st_size
    print(f"{'':12} {'same':>7} {'log-prob':>9} {'MB':>7} {'size':>6} {'CIDEr':>7}")
    report("Keras", expected, expected, references, None, float32, args.images)
    for name, path in paths.items():
        count = whole if name == "int8" else args.images
        found = captions(work / f"{name}.json", ExportedCaptioner(path), dataset, count)
        report(name, found, expected, references, path.stat().st_size, float32, args.images)


def captions(cache, captioner, dataset, count, **options):
    """Texts and log-probabilities by image, captioned in pieces that are kept in a file."""
    done = json.loads(cache.read_text()) if cache.is_file() else {}
    for start in range(0, count, BATCH):
        names = [str(name) for name in dataset.ids[start : min(start + BATCH, count)]]
        if names[-1] in done:
            continue
        images = dataset.images[start : start + len(names)]
        found = captioner.generate(images, return_all_beams=True, capitalize=False, **options)
        done |= {n: (b[0].text, b[0].log_probability) for n, b in zip(names, found, strict=True)}
        cache.write_text(json.dumps(done))
    return done


def report(name, found, expected, references, size, float32, count):
    names = list(expected)[:count]
    same = [image for image in names if found[image][0] == expected[image][0]]
    error = max((abs(found[image][1] - expected[image][1]) for image in same), default=0.0)
    row = f"{name:12} {100 * len(same) / len(names):6.1f}% {error:9.1e}"
    row += f" {size / 1e6:7.1f} {size / float32:6.2f}" if size else " " * 15
    if len(found) == len(references):
        texts = {image: found[str(image)][0] for image in references}
        cider = score_captions(texts, references, metrics=("cider",))["cider"]
        row += f" {100 * cider:7.1f}"
    print(row)


if __name__ == "__main__":
    main()
