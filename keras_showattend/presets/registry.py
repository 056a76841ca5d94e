"""The presets: what each is, and where it lives. Data only: no model is imported."""

import dataclasses
import os
import pathlib
from typing import Any

from keras_showattend._typing import PathLike

_PACKAGE = pathlib.Path(__file__).parents[1]
# In a wheel the presets lie inside the package; in a checkout beside it.
BUNDLED = next(
    (p for p in (_PACKAGE / "bundled_presets", _PACKAGE.parent / "presets") if p.is_dir()),
    _PACKAGE / "bundled_presets",
)
HUB_PREFIX = "hf://"


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is known of a preset without loading it.

    Attributes:
        name: what `from_preset` is called with.
        description: one sentence.
        location: `"bundled"`, the path of a folder, or a handle like `"hf://user/name"`.
        parameters: number of weights.
        megabytes: size of the folder, in 10^6 bytes.
        license: expression of SPDX identifiers.
        origin: where its weights come from.
        digest: SHA-256 of `model.weights.h5`.
        speed: images a second of a folder, 5 beams, as a multiple of `vgg16_gru_flickr8k` in the
            same run on a CPU; 0 if it was not measured.
        scores: dict from metric to its value on Flickr8k's dev split, beam search.
        grown_from: name of the preset out of which it is made when it is first used.
        builder: `"module:function"` that makes it, called with the folders of `grown_from` and
            of the new preset.
    """

    name: str
    description: str
    location: str = "bundled"
    parameters: int = 0
    megabytes: float = 0.0
    license: str = ""
    origin: str = ""
    digest: str = ""
    speed: float = 0.0
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    grown_from: str | None = None
    builder: str = ""


REGISTRY = {
    preset.name: preset
    for preset in (
        Preset(
            name="vgg16_gru_flickr8k",
            description="VGG16 with 7 x 7 locations and a GRU decoder, trained on Flickr8k.",
            parameters=20_994_861,
            megabytes=42.1,
            license="Apache-2.0 AND CC-BY-4.0",
            origin="VGG16 by the Visual Geometry Group, Oxford (ImageNet, CC BY 4.0); "
            "its last block and the decoder by the recipe of the same name",
            digest="1edf9f353e457cc813b8211234ead63c9b483dffbb29699c359f064d508e7f08",
            speed=1.0,
            scores={"bleu_4": 0.2336, "meteor": 0.2066, "rouge_l": 0.4763, "cider": 0.5636},
        ),
        Preset(
            name="vgg19_gru_flickr8k",
            description="The same captions from a VGG19, to be trained further.",
            parameters=26_304_557,
            license="Apache-2.0 AND CC-BY-4.0",
            origin="VGG19 grown from vgg16_gru_flickr8k by three identity convolutions "
            "(Net2Net, arXiv 1511.05641), not VGG19's own ImageNet weights",
            scores={"bleu_4": 0.2336, "meteor": 0.2066, "rouge_l": 0.4763, "cider": 0.5636},
            grown_from="vgg16_gru_flickr8k",
            builder="keras_showattend.recipes.grow:grow_preset",
        ),
    )
}


def register_preset(name: str, location: PathLike, description: str = "", **details: Any) -> None:
    """Gives a folder or a Hub handle a short name, for this process.

    Args:
        name: str. What `from_preset` is to be called with.
        location: path of a preset folder, or a handle like `"hf://user/name"`.
        description: str.
        **details: further attributes of `Preset`.

    Raises:
        ValueError: if the name belongs to a bundled preset, or looks like a handle.
    """
    taken = name in REGISTRY and REGISTRY[name].location == "bundled"
    if taken or "://" in name:
        raise ValueError(
            "A preset's name must be new and not a handle. Bundled: "
            f"{sorted(bundled_presets())}. Received: name={name!r}"
        )
    REGISTRY[name] = Preset(name, description, os.fspath(location), **details)


def list_presets() -> list[Preset]:
    """Returns all known presets, the bundled ones first."""
    return [*REGISTRY.values()]


def bundled_presets() -> dict[str, dict[str, Any]]:
    """Returns the presets that came with this copy of the package.

    Returns:
        Dict from name to a dict of the attributes of its `Preset` and `path`, its folder.
    """
    return {
        preset.name: {**dataclasses.asdict(preset), "path": str(BUNDLED / preset.name)}
        for preset in REGISTRY.values()
        if preset.location == "bundled" and (BUNDLED / preset.name).is_dir()
    }


class _PresetNames:
    """Class attribute that lists the bundled presets when it is read."""

    def __get__(self, instance: Any, owner: type) -> dict[str, dict[str, Any]]:
        return bundled_presets()


preset_names = _PresetNames()


def cache_directory() -> pathlib.Path:
    """Returns the folder of what can be made again: `$KERAS_SHOWATTEND_CACHE` or `~/.cache`."""
    root = os.environ.get("KERAS_SHOWATTEND_CACHE")
    return pathlib.Path(root or "~/.cache/keras_showattend").expanduser()
