"""Measures whether a captioner needs the locations it attends to; see docs/evaluation.md.

    python scripts/attention_deletion.py --preset vgg16_gru_flickr8k --data FLICKR8K_FOLDER

Prints a table and, with --output, writes everything as JSON.
"""

import argparse
import json
import pathlib
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--data", required=True, help="folder of Flickr8k")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--level", choices=("image", "annotations"), default="image")
    parser.add_argument("--num-cells", type=int, default=5)
    parser.add_argument("--num-images", type=int, default=100)
    parser.add_argument("--num-beams", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    arguments = parser.parse_args()

    from keras_showattend import ImageCaptioner, read_flickr8k
    from keras_showattend.evaluation import attention_deletion

    def progress(done, total):
        print(f"\r{done} of {total} images", end="\n" if done == total else "", file=sys.stderr)

    result = attention_deletion(
        ImageCaptioner.from_preset(arguments.preset),
        read_flickr8k(arguments.data).split(arguments.split),
        level=arguments.level,
        num_cells=arguments.num_cells,
        num_images=arguments.num_images,
        num_beams=arguments.num_beams,
        seed=arguments.seed,
        progress=progress,
    )
    result["command"] = {
        key: str(value) for key, value in vars(arguments).items() if key not in ("data", "output")
    }
    print_table(result)
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def print_table(result):
    print(
        f"{result['num_cells']} of {result['num_places']} locations hidden at the level of the "
        f"{result['level']}; {result['num_images']} images, {result['num_words']} words"
    )
    for part in ("all", "content_words", "function_words"):
        if part not in result:
            continue
        share = result[part]["attended_falls_more_than_random"]
        print(f"\n{part} ({result[part]['num_words']}), attended falls more in {share:.1%}")
        for name, row in result[part]["fall"].items():
            print(
                f"  {name:<22} {row['mean']:+.3f} nats  ({row['low']:+.3f} to {row['high']:+.3f})"
            )
    print(f"\n{'word':<14} {'count':>5} {'attended':>9} {'random':>8} {'elsewhere':>9}")
    for row in result["by_word"]:
        print(
            f"{row['word']:<14} {row['count']:5d} {row['attended']:+9.3f} {row['random']:+8.3f} "
            f"{row['elsewhere']:+9.3f}"
        )


if __name__ == "__main__":
    main()
