"""`ImageCaptioner`: explain, load, save, share."""

import os

import keras

from keras_showattend.engines.check import check_engine
from keras_showattend.engines.encoders import MIN_SAMPLES, KerasEncoder, OpenVinoEncoder
from keras_showattend.models.caption_generator import CaptionGenerator
from keras_showattend.models.trainable import TrainableCaptioner
from keras_showattend.presets import preset_names, resolve_preset
from keras_showattend.presets.saving import save_preset


@keras.saving.register_keras_serializable(package="keras_showattend")
class ImageCaptioner(CaptionGenerator, TrainableCaptioner):
    """Describes images in words; after "Show, Attend and Tell".

    Args:
        backbone: a `ShowAttendBackbone`.
        preprocessor: an `ImageCaptionerPreprocessor`, or None if you feed tensors.
        **kwargs: `name`; `compile=False` leaves it uncompiled.

    Call arguments:
        inputs: dict of `token_ids` int32[B, T] and `images` float32[B, H, W, 3] or
            `annotations` float[B, L, D]; with `padding_mask` bool[B, T] where training
            has a doubly stochastic penalty or scheduled sampling.

    Returns:
        logits float32[B, T, V].

    Example:

    ```python
    captioner = ImageCaptioner.from_preset("vgg16_gru_flickr8k")
    captioner.generate("photo.jpg")
    captioner.fit({"images": ["a.jpg"], "captions": [["A dog runs.", "A dog on grass."]]})
    captioner.save_to_preset("my_captioner")
    ```
    """

    def use_engine(self, engine, samples=(), *, dtype=None):
        """Chooses what runs the image encoder when captions are generated.

        An engine other than `use_engine("keras")` keeps a copy of the encoder's weights as
        they are now, until `compile` or another `use_engine`.

        Args:
            engine: `"keras"`, the backend; or `"openvino"`, which computes in 8-bit
                integers on the CPU: about four times as fast as float32, other words in
                some captions.
            samples: for `"openvino"`: a list of 16 pictures or more, of the kind that will be
                captioned; see `generate`. They tell it how large the numbers get.
            dtype: for `"keras"`: dtype policy of the encoder, such as `"mixed_bfloat16"`,
                twice as fast as float32 on CPUs that compute in it; words are found in the
                captioner's own. None is the captioner's own for all.

        Raises:
            ModuleNotFoundError: if the engine is not installed; says how to.
            ValueError: for an unknown engine, too few samples, or for `"openvino"` on JAX or
                with a `dtype`.
        """
        check_engine(engine, dtype)
        generate = self.make_generate_function()
        encoder = self.backbone.image_encoder
        if engine == "keras":
            options = generate.compile_options
            generate.engine = None if dtype is None else KerasEncoder(encoder, dtype, **options)
            return
        if len(samples) < MIN_SAMPLES:
            raise ValueError(
                f"The engine {engine!r} needs `samples`, at least {MIN_SAMPLES} pictures of the "
                f"kind that will be captioned. Received: {len(samples)}"
            )
        images = self.preprocessor.convert_images(list(samples))
        generate.engine = OpenVinoEncoder(encoder, images)

    def explain(self, image, **options):
        """Captions one image and tells where each word looked and how sure it was.

        Args:
            image: one image; see `generate`.
            **options: `num_beams`, `length_penalty`, `no_repeat_ngram_size`, `max_length`,
                `capitalize` as for `generate`, and `caption` to explain a sentence of yours.

        Returns:
            `keras_showattend.explain.Explanation`, which plots itself; its caption is
            the one that `generate` gives with the same options.
        """
        # Here and below: these packages stand above `models`.
        from keras_showattend.explain import explain

        return explain(self, image, **options)

    def push_to_hub(self, repo_id, **options):
        """Publishes the captioner on the Hugging Face Hub.

        Args:
            repo_id: `"user/name"`.
            **options: `private`, `token`, `revision`, `message`, `dry_run`, `evaluation`
                and so on; see `keras_showattend.hub.push_to_hub`.

        Returns:
            Address of the repository, or with `dry_run` a listing of what would be sent.
        """
        from keras_showattend.hub import push_to_hub

        return push_to_hub(self, repo_id, **options)

    presets = preset_names

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Loads a captioner.

        Args:
            preset: name of a bundled preset (`ImageCaptioner.presets` lists them), path
                of a folder that `save_to_preset` wrote, or a handle such as
                `"hf://user/name"` or `"hf://user/name@revision"`.
            load_weights: bool. False gives the same architecture with fresh weights.
            **kwargs: `dtype` or policy of the computation, e.g. `"mixed_bfloat16"`.

        Raises:
            ValueError: for an unknown name, or a folder that is incomplete or newer than
                this package.
        """
        from keras_showattend.explain.calibration import load_calibration

        folder = resolve_preset(preset)
        captioner = super().from_preset(folder, load_weights=load_weights, **kwargs)
        captioner.calibration = load_calibration(folder) if load_weights else None
        return captioner

    def save_to_preset(self, preset_dir, max_shard_size=10, weights_dtype=None):
        """Saves everything that `from_preset` needs into a folder.

        Args:
            preset_dir: path of the folder, made if need be. Files of an older preset in
                it are replaced, each at once, when all new ones are complete.
            max_shard_size: float. Largest weight file in GB.
            weights_dtype: `"float16"` to store weights in half the space; they are
                computed with in the captioner's own dtype. None keeps their dtype.
        """

        def write(folder):
            super(ImageCaptioner, self).save_to_preset(folder, max_shard_size=max_shard_size)
            if self.calibration is not None:
                self.calibration.save(folder)

        save_preset(write, os.fspath(preset_dir), weights_dtype)
