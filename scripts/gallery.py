"""Captions the images of the gallery, and writes docs/gallery.md and the table in README.md.

    python scripts/gallery.py [--preset NAME]

`gallery.json` names the images of docs/images/gallery with credit and licence, and holds the
verdict on each caption: `right`, `small error` or `wrong`. A caption that has no verdict is
printed at the end and marked "not judged": look at its image, and add its verdict.
"""

import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]
DATA = pathlib.Path(__file__).with_suffix(".json")
FOLDER = ROOT / "docs" / "images" / "gallery"
MARKS = {"right": "✓ right", "small error": "≈ small error", "wrong": "✗ wrong"}
COLUMNS = 4
# README shows the table between these lines.
BEGIN, END = "<!-- gallery: scripts/gallery.py -->", "<!-- end of gallery -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    arguments = parser.parse_args()

    from keras_showattend import ImageCaptioner

    data = json.loads(DATA.read_text(encoding="utf-8"))
    captioner = ImageCaptioner.from_preset(arguments.preset)
    for image in data["images"]:
        explanation = captioner.explain(FOLDER / image["file"])
        image["caption"], image["confidence"] = explanation.caption, explanation.confidence
        verdict = data["verdicts"].get(image["file"], {}).get(explanation.caption)
        image["verdict"] = MARKS.get(verdict, "not judged")
    write(data["images"], arguments.preset)
    for image in data["images"]:
        if image["verdict"] == "not judged":
            print(f"not judged: {image['file']}: {image['caption']}", file=sys.stderr)


def write(images, preset):
    """Writes the page, and README's table."""
    page = [
        "# Gallery",
        "",
        f"What `{preset}` says of images that it has not seen, as it comes. Each caption was",
        "compared with its image by eye: ✓ right, ≈ one untrue detail, ✗ an untrue main subject or",
        "action.",
        "The percentage is its [confidence](explain.md#confidence). The preset has learned from",
        "images of people and dogs outdoors, and most of these are others: this is what it does",
        "with the unknown. [Why captions go wrong](mistakes.md) says more.",
        "",
        table(images, "images/gallery"),
        "",
        "## Credits",
        "",
        "| image | by | licence | taken from |",
        "|---|---|---|---|",
        *(
            f"| {image['alt']} | {image['credit']} | {image['licence']} | {image['source']} |"
            for image in images
        ),
        "",
        "The table is made by `python scripts/gallery.py`.",
    ]
    (ROOT / "docs" / "gallery.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    readme = ROOT / "README.md"
    text, between = readme.read_text(encoding="utf-8"), table(images, "docs/images/gallery")
    pattern = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.S)
    text = pattern.sub(lambda match: f"{match[1]}\n{between}\n\n{match[2]}", text)
    readme.write_text(text, encoding="utf-8")


def table(images, folder):
    """Images, captions and verdicts, as a Markdown table of `COLUMNS` columns."""
    rows = []
    for start in range(0, len(images), COLUMNS):
        row = images[start : start + COLUMNS]
        pictures = [f"![{image['alt']}]({folder}/{image['file']})" for image in row]
        captions = [
            f"{image['caption']}<br>**{image['verdict']}**, {image['confidence']:.0%}"
            for image in row
        ]
        rows += [pictures, captions]
    head, *rest = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([head, "|" + "---|" * COLUMNS, *rest])


if __name__ == "__main__":
    main()
