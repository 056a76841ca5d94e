"""Times images, compared with two captioners of Hugging Face Transformers.

    pip install transformers
    python benchmarks/transformers_captioners.py [PHOTO.jpg] [--precision float32] [--tokens 12]

ViT-GPT2 (ViT-base, GPT-2 with cross-attention, 4 beams as in its published settings) and
BLIP-base (384 x 384 pixels, greedy as in its published settings) are built from their
configurations with random weights, on which time does not depend. Random weights never end a
caption, so both write `--tokens` tokens for every image: captions of 10 words and an end token
have 12. Each is timed image by image and in batches of `--batch-size`. This package starts from
image files with its defaults (5 beams), theirs from normalised arrays already in memory.
`--precision` sets this package's precision, `--dtype` theirs.
"""

import argparse
import pathlib

import torch
import transformers
from captioning import PHOTO, PRECISIONS, captioner_in
from timing import interleave, ratios, table, write_json

OURS = "keras_showattend, 5 beams"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", default=str(PHOTO))
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()

    transformers.logging.set_verbosity_error()
    captioner = captioner_in(args.precision, args.preset, [args.photo])
    size, photos = args.batch_size, [args.photo] * args.batch_size
    runs = {OURS: lambda: captioner.generate(photos, num_beams=5, batch_size=size)}
    for name, generate in {
        "ViT-GPT2, 4 beams": vit_gpt2(args.dtype, args.tokens),
        "BLIP-base, greedy": blip_base(args.dtype, args.tokens),
    }.items():
        runs[f"{name}, one by one"] = lambda generate=generate: generate(1)
        runs[f"{name}, together"] = lambda generate=generate: generate(size)
    # Once more than the others, because a batch size is compiled with XLA when it comes again.
    runs[OURS]()
    seconds = interleave(runs, args.repeats, warmup=1)
    # All times are for one image.
    counts = {name: 1 if name.endswith("one by one") else size for name in runs}
    seconds = {name: [time / counts[name] for time in times] for name, times in seconds.items()}
    precisions = f"{args.precision} against {args.dtype}"
    title = f"{precisions}, time for one image, batches of {size}, {args.tokens} tokens"
    print(table(title, seconds, OURS))
    if args.output:
        write_json(args.output, {"seconds": seconds, "ratios": ratios(seconds, OURS)})


def vit_gpt2(dtype, tokens):
    """Returns a function that captions a batch of a given size with ViT-GPT2."""
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(),
        transformers.GPT2Config(add_cross_attention=True, is_decoder=True),
    )
    config.decoder_start_token_id = config.pad_token_id = 50256
    model = transformers.VisionEncoderDecoderModel(config).to(getattr(torch, dtype)).eval()
    return run_of(model, 224, dtype, tokens, num_beams=4)


def blip_base(dtype, tokens):
    """Returns a function that captions a batch of a given size with BLIP-base."""
    config = transformers.BlipConfig()
    model = transformers.BlipForConditionalGeneration(config).to(getattr(torch, dtype)).eval()
    return run_of(model, config.vision_config.image_size, dtype, tokens, num_beams=1)


def run_of(model, image_size, dtype, tokens, num_beams):
    options = {"num_beams": num_beams, "min_new_tokens": tokens, "max_new_tokens": tokens}

    def generate(batch_size):
        pixels = torch.zeros((batch_size, 3, image_size, image_size), dtype=getattr(torch, dtype))
        with torch.inference_mode():
            model.generate(pixel_values=pixels, do_sample=False, **options)

    return generate


if __name__ == "__main__":
    main()
