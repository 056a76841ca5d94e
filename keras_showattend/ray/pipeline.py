"""The stages joined on Ray Data, with what each may use of the machines."""

from __future__ import annotations

import os
from typing import Any

from keras_showattend._install import install_advice
from keras_showattend.ray.preset_files import PresetFiles
from keras_showattend.ray.stages import CaptionImages, DecodeImages

# Ray counts cores and does not share them out: what a captioning actor leaves of its core is
# for the reading, decoding and writing that feed it.
CAPTION_CPUS = 0.75
LIGHT_CPUS = 0.2


def caption_rows(
    dataset: Any,
    preset: Any,
    *,
    actors: int | None = None,
    image_column: str = "image",
    accept_truncated: bool = False,
    **options: Any,
) -> Any:
    """Adds captions to the rows of a `ray.data.Dataset`.

    Decoding runs in tasks, captioning in actors of one core, or of one GPU where Ray has some.
    Ray starts an actor that died once more and repeats what it was at.

    Args:
        dataset: `ray.data.Dataset` with a column of images; see `DecodeImages`.
        preset: see `CaptionImages`.
        actors: int. Captioning actors; None for one for each core, or each GPU, of the cluster.
        image_column, accept_truncated: see `DecodeImages`. The column is not in the result.
        **options: of `CaptionImages`.

    Returns:
        `ray.data.Dataset` with the columns of `CaptionImages`, computed when it is read.

    Raises:
        ModuleNotFoundError: without Ray.
        ValueError: for a preset that cannot be loaded, or `actors` below 1.
    """
    require_ray()
    from ray.data import ActorPoolStrategy

    if actors is not None and actors < 1:
        raise ValueError(f"`actors` must be at least 1. Received: actors={actors}")
    actors = actors or usual_actors()
    converter = image_converter_of(preset)
    decode = DecodeImages(
        converter.image_size,
        crop_to_aspect_ratio=converter.crop_to_aspect_ratio,
        accept_truncated=accept_truncated,
        image_column=image_column,
    )
    decoded = dataset.map_batches(decode, batch_size=64, num_cpus=LIGHT_CPUS)
    return decoded.map_batches(
        CaptionImages,
        fn_constructor_args=(preset,),
        fn_constructor_kwargs=options,
        batch_size=4 * options.get("batch_size", 16),
        compute=ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        num_cpus=CAPTION_CPUS,
        num_gpus=1 if cluster_total("GPU") else None,
        runtime_env={"env_vars": actor_environment()},
    )


def usual_actors() -> int:
    """Returns the number of captioning actors that the cluster has room for."""
    return max(1, int(cluster_total("GPU") or cluster_total("CPU")))


def image_converter_of(preset: Any) -> Any:
    """Loads the `CaptionImageConverter` of a preset or of `PresetFiles`. Imports Keras."""
    from keras_showattend import ImageCaptioner

    with PresetFiles.folder(preset) as folder:
        return ImageCaptioner.preprocessor_cls.from_preset(folder).image_converter


def require_ray() -> None:
    """Refuses to go on without Ray.

    Raises:
        ModuleNotFoundError: says how to install them.
    """
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Bulk captioning needs Ray Data: {install_advice('ray')}. Received: {error}"
        ) from error


def cluster_total(resource: str) -> float:
    """Returns how much of `"CPU"` or `"GPU"` the cluster has."""
    import ray

    return float(ray.cluster_resources().get(resource, 0))


def actor_environment() -> dict[str, str]:
    """Environment of a captioning actor: the backend of this process, and one thread."""
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = {
        **dict.fromkeys(threads, "1"),
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
    if environment["KERAS_BACKEND"] == "jax":
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    return environment
