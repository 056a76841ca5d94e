"""Captions images with an exported captioner: NumPy, Pillow and ONNX Runtime, nothing else.

    pip install numpy pillow onnxruntime
    python caption_onnx.py captioner.onnx photo.jpg other.jpg

`keras-showattend export PRESET captioner.onnx` writes the file. Copy this one into your project.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


class Captioner:
    """An exported captioner; `metadata` is what it says of itself."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        properties = self.session.get_modelmeta().custom_metadata_map
        self.metadata = json.loads(properties["keras_showattend"])

    def __call__(self, image):
        """Captions one image: path, binary file or PIL image.

        Returns:
            Dict of `caption` str, `log_probability` float, `words` list of str,
            `probabilities` float32[T] of the words, and `maps` float32[T, rows, columns],
            where each word looked.
        """
        if not isinstance(image, Image.Image):
            image = Image.open(image)
        # Upright, and transparency on white.
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        pixels = np.asarray(image.convert("RGB"))[None]
        names = [output.name for output in self.session.get_outputs()]
        outputs = self.session.run(None, {"images": pixels})
        # The best beam of the only image.
        best = {name: array[0, 0] for name, array in zip(names, outputs, strict=True)}
        ids = best["token_ids"]
        count = int(np.sum(ids >= len(self.metadata["special_tokens"])))
        words = [self.metadata["vocabulary"][i] for i in ids[:count]]
        return {
            "caption": " ".join(words).capitalize(),
            "log_probability": float(best["log_probabilities"]),
            "words": words,
            "probabilities": best["word_probabilities"][:count],
            "maps": best["attention_maps"][:count],
        }


if __name__ == "__main__":
    captioner = Captioner(sys.argv[1])
    for path in sys.argv[2:]:
        print(path, captioner(path)["caption"], sep="\t")
