"""Alt text for every image of a folder, as CSV on stdout.

    python examples/caption_folder.py photos > alt_text.csv

`keras-showattend caption photos --output alt_text.csv` does the same and can be resumed.
"""

import argparse
import csv
import sys

from keras_showattend import ImageCaptioner, ImageError
from keras_showattend.preprocessing import find_images


def main() -> None:
    """Writes one row per image; names images that cannot be read on stderr."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    args = parser.parse_args()

    paths = find_images(args.folder)
    captioner = ImageCaptioner.from_preset(args.preset)
    writer = csv.writer(sys.stdout)
    writer.writerow(["path", "alt_text"])
    for path, beams in zip(paths, captioner.generate_stream(paths), strict=True):
        if isinstance(beams, ImageError):
            print(beams, file=sys.stderr)
        else:
            writer.writerow([path, beams[0].text])


if __name__ == "__main__":
    main()
