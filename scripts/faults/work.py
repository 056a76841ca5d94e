"""Kinds of work that are disturbed, each on 24 images with a tiny captioner."""

import contextlib
import json
import pathlib
import shutil

import numpy as np
from PIL import Image

WORDS = ["a dog runs on the grass", "two children play on a red slide", "a man rides a bike"]
IMAGES = 24


def prepare(folder):
    """Makes a tiny preset, images and captions of them. To be called in a child."""
    import keras

    from keras_showattend import CaptionImageConverter, CaptionTokenizer, create_captioner
    from keras_showattend.presets.files import write_digests

    keras.utils.set_random_seed(3)
    layers = [
        keras.Input((32, 48, 3)),
        keras.layers.Conv2D(6, 3, strides=8, padding="same", activation="relu"),
        keras.layers.Conv2D(10, 3, strides=2, padding="same"),
    ]
    create_captioner(
        keras.Sequential(layers),
        tokenizer=CaptionTokenizer.from_captions(WORDS, 1),
        image_converter=CaptionImageConverter((32, 48), scale=1 / 255),
        image_shape=(32, 48, 3),
        sequence_length=8,
        embedding_dim=8,
        hidden_dim=9,
        attention_dim=5,
    ).save_to_preset(folder / "tiny")
    write_digests(folder / "tiny")
    (folder / "photos").mkdir()
    lines = ["image,caption,split\n"]
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number:02d}.png")
        split = "train" if number < 16 else "dev"
        lines.append(f"{number:02d}.png,{WORDS[number % 3]},{split}\n")
    (folder / "photos" / "captions.csv").write_text("".join(lines))


def _load(folder):
    from keras_showattend import ImageCaptioner

    return ImageCaptioner.from_preset(folder, compile=False)


def _command(*words):
    from keras_showattend.cli.main import main

    if code := main(list(map(str, words))):
        raise SystemExit(code)


class Work:
    """A piece of work in a folder of its own.

    Args:
        folder: where it writes.
        source: folder that `prepare` has filled.
        services: dict of addresses of what it talks to.

    Attributes:
        computes: bool. Whether Keras does, so that its backend matters.
        shared: bool. Whether two processes may do it at once; else the second is refused.
    """

    computes = True
    shared = False

    def __init__(self, folder, source, services):
        self.folder, self.services = folder, services
        self.preset, self.photos = source / "tiny", source / "photos"

    @classmethod
    def name(cls):
        """What the table calls it."""
        return cls.__name__.lower()

    def run(self):
        """Does the work, or what is left of it."""
        raise NotImplementedError

    def check(self):
        """Raises an error if a half file passes for a whole one."""

    def result(self):
        """What the work has made."""
        raise NotImplementedError


class Captioning(Work):
    """`caption FOLDER --output captions.jsonl`."""

    def run(self):
        options = ["--batch-size", "2", "--num-beams", "2"]
        output = self.folder / "captions.jsonl"
        _command("caption", self.photos, "--preset", self.preset, "--output", output, *options)

    def check(self):
        """Lines before the last one are whole."""
        path = self.folder / "captions.jsonl"
        if path.exists():
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    json.loads(line)

    def result(self):
        text = (self.folder / "captions.jsonl").read_text()
        rows = [json.loads(line) for line in text.splitlines()]
        return sorted((row["path"], row["caption"]) for row in rows)


class Caching(Work):
    """Features of images, in shards of two."""

    shared = True

    def run(self):
        from keras_showattend.data import features

        features.SHARD_SIZE = 2
        self._compute()

    def _compute(self):
        from keras_showattend.preprocessing import find_images

        captioner = _load(self.preset)
        captioner.backbone.image_encoder.trainable = False
        cache = captioner.feature_cache(self.folder / "features")
        paths = find_images(self.photos)
        found = cache.compute(paths, batch_size=2, progress=False)
        return found.gather(range(len(paths)))

    def check(self):
        """Every index has the array that it tells of."""
        for index in self.folder.glob("features/*/[!.]*.json"):
            keys = json.loads(index.read_text())["keys"]
            assert len(np.load(index.with_suffix(".npy"))) == len(keys)

    def result(self):
        return [image.tobytes() for image in self._compute()]


class Saving(Work):
    """`save_to_preset` over an older preset of other weights."""

    def __init__(self, folder, source, services):
        super().__init__(folder, source, services)
        self.target = folder / "preset"
        shutil.copytree(self.preset, self.target)

    def run(self):
        captioner = _load(self.preset)
        for variable in captioner.backbone.trainable_variables:
            variable.assign(variable * 0.5)
        captioner.save_to_preset(self.target)

    def check(self):
        """The preset is the old one or the new one, whole."""
        old = sum(float(np.abs(w).sum()) for w in _load(self.preset).get_weights())
        found = sum(float(np.abs(w).sum()) for w in _load(self.target).get_weights())
        assert min(abs(found - old), abs(found - old / 2)) < 1e-2 * old, (found, old)

    def result(self):
        return [w.tobytes() for w in _load(self.target).get_weights()]


class Training(Work):
    """`train_captioner`: four epochs, from captions to a preset."""

    def run(self):
        from keras_showattend import ImageCaptioner, read_captions_file
        from keras_showattend.recipes import Recipe, train_captioner
        from keras_showattend.recipes.work_folder import work_folder

        output = self.folder / "mine"
        if output.exists() and not work_folder(output).exists():
            # Killed after its last write: nothing is left to do, and the command says so.
            return
        captions = read_captions_file(self.photos / "captions.csv", split_column="split")
        train_captioner(
            captions.split("train"),
            captions.split("dev"),
            output,
            Recipe(epochs=4, batch_size=8, num_beams=2, learning_rate=0.01),
            captioner=ImageCaptioner.from_preset(self.preset),
            feature_cache=self.folder / "features",
            verbose=0,
        )

    def check(self):
        """A preset is there whole or not at all."""
        if (self.folder / "mine" / "config.json").exists():
            _load(self.folder / "mine")

    def result(self):
        record = json.loads((self.folder / "mine" / "training.json").read_text())
        weights = [w.tobytes() for w in _load(self.folder / "mine").get_weights()]
        return [record["stages"][0]["best_epoch"], weights]


class Pulling(Work):
    """`download_preset` from a Hub on this machine."""

    computes = False
    shared = True

    def run(self):
        from huggingface_hub import constants

        from keras_showattend.hub import download_preset

        # Weights of 10 MB come in several pieces; let those of a tiny preset do so too.
        constants.DOWNLOAD_CHUNK_SIZE = 1000
        return download_preset("hf://alice/tiny", cache_dir=self.folder / "cache")

    def check(self):
        """Without a network, the preset is refused or whole."""
        from huggingface_hub import constants

        from keras_showattend.hub import HubError

        constants.HF_HUB_OFFLINE = True
        with contextlib.suppress(HubError):
            self._same(pathlib.Path(self.run()))

    def result(self):
        from huggingface_hub import constants

        constants.HF_HUB_OFFLINE = True
        return sorted(path.name for path in self._same(pathlib.Path(self.run())))

    def _same(self, folder):
        files = [path for path in self.preset.rglob("*") if path.is_file()]
        for path in files:
            assert (folder / path.relative_to(self.preset)).read_bytes() == path.read_bytes(), path
        return files


class RayCaptioning(Work):
    """`caption_source` on a Ray cluster of two nodes, four images in a part."""

    @classmethod
    def name(cls):
        return "captioning on Ray"

    def run(self):
        import ray

        from keras_showattend.ray import caption_source

        ray.init(self.services["ray"], log_to_driver=False, logging_level="WARNING")
        options = {"actors": 2, "rows_in_a_part": 4, "batch_size": 2, "num_beams": 2}
        summary = caption_source(self.photos / "*.png", self._output(), self.preset, **options)
        assert (summary.errors, summary.lost) == (0, 0), summary

    def _output(self):
        return self.folder / "rows"

    def check(self):
        """All parts can be read."""
        self._rows()

    def _rows(self):
        from keras_showattend.data.storage import locate
        from keras_showattend.ray.parts import CaptionParts

        return list(CaptionParts(locate(self._output()), "parquet").rows())

    def result(self):
        return sorted((row["path"], row["caption"]) for row in self._rows())


KINDS = (Captioning, Caching, Saving, Training, Pulling, RayCaptioning)
