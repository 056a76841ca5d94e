"""Presets from the Hugging Face Hub, into the same cache that other libraries use."""

import os
import pathlib
from typing import Any

import huggingface_hub

import keras_showattend
from keras_showattend._typing import PathLike
from keras_showattend.hub.errors import HubError, explained
from keras_showattend.presets import files
from keras_showattend.presets.files import REQUIRED_FILES
from keras_showattend.presets.registry import HUB_PREFIX
from keras_showattend.presets.trust import check_preset, check_small_files

_OUR_BACKBONE = "keras_showattend>ShowAttendBackbone"


def parse_handle(handle: str, revision: str | None = None) -> tuple[str, str | None]:
    """Splits `"hf://user/name@revision"`.

    Args:
        handle: str.
        revision: branch, tag or commit, if it is not in the handle.

    Returns:
        `(repo_id, revision)`; the revision is None where none was given.

    Raises:
        HubError: if the handle has another form, or names another revision than `revision`.
    """
    repo_id, at, in_handle = handle.removeprefix(HUB_PREFIX).partition("@")
    is_one_repository = repo_id.count("/") == 1 and all(repo_id.split("/"))
    if not (handle.startswith(HUB_PREFIX) and is_one_repository) or (at and not in_handle):
        raise HubError(
            "A handle must have the form 'hf://user/name' or 'hf://user/name@revision'. "
            f"Received: {handle!r}"
        )
    if in_handle and revision not in (None, in_handle):
        raise HubError(
            "A revision must be given once. Drop it from the handle or from the arguments. "
            f"Received: {handle!r}, revision={revision!r}"
        )
    return repo_id, in_handle or revision


def plain_repo_id(repo_id: str) -> str:
    """Returns `"user/name"` of a repository to be written, given with or without `hf://`.

    Raises:
        HubError: if it has another form.
    """
    plain = repo_id.removeprefix(HUB_PREFIX)
    if plain.count("/") != 1 or not all(plain.split("/")) or "@" in plain:
        raise HubError(
            "`repo_id` must have the form 'user/name'; give a branch as `revision=`. "
            f"Received: {repo_id!r}"
        )
    return plain


def download_preset(
    handle: str,
    token: str | bool | None = None,
    revision: str | None = None,
    cache_dir: PathLike | None = None,
) -> str:
    """Downloads a preset, unless it is in the cache, and checks it.

    The description is downloaded and checked before the weights are. Without a network, or
    with `HF_HUB_OFFLINE=1`, what was downloaded before is used.

    Args:
        handle: `"hf://user/name"` or `"hf://user/name@revision"`.
        token: access token for a private or gated repository. None uses `HF_TOKEN` or
            what `hf auth login` stored; False uses none.
        revision: branch, tag or commit. Defaults to `main`.
        cache_dir: folder of the cache. Defaults to Hugging Face's own (`HF_HOME`).

    Returns:
        Path of the preset's folder inside the cache. Its files must not be changed.

    Raises:
        HubError: if the repository cannot be downloaded (no network, no such repository or
            revision, private, gated, disk full), holds no preset of this package, or
            arrives damaged.
        ValueError: if the preset is of a newer format or unsafe; see `check_preset`.
    """
    repo_id, revision = parse_handle(handle, revision)
    options = {
        "repo_id": repo_id,
        "token": token,
        "cache_dir": None if cache_dir is None else os.fspath(cache_dir),
        "library_name": "keras-showattend",
        "library_version": keras_showattend.__version__,
    }
    with explained(handle):
        folder = _fetch(files.SMALL_FILES, revision=revision, **options)
        # The commit and not the branch, which may move between the two requests.
        options["revision"] = folder.name
        _mend(folder, files.SMALL_FILES, handle, options)
        _check_is_ours(folder, handle)
        check_small_files(folder)
        _fetch(files.LOADED_FILES, **options)
        _check_complete(folder, handle)
        _mend(folder, files.WEIGHT_FILES, handle, options)
    check_preset(folder)
    return str(folder)


def _fetch(names: tuple[str, ...], **options: Any) -> pathlib.Path:
    folder = huggingface_hub.snapshot_download(allow_patterns=list(names), **options)
    return pathlib.Path(folder)


def _check_is_ours(folder: pathlib.Path, handle: str) -> None:
    found = None
    if (folder / "config.json").is_file():
        text = (folder / "config.json").read_text(encoding="utf-8", errors="replace")
        found = "a config.json of another kind"
        if f'"{_OUR_BACKBONE}"' in text:
            return
    raise HubError(
        "The repository must hold what `ImageCaptioner.push_to_hub` uploads. Check its name; "
        f"presets of other models load with KerasHub. Received: {handle!r} with "
        f"{found or 'no config.json'}"
    )


def _check_complete(folder: pathlib.Path, handle: str) -> None:
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        raise HubError(
            "The repository must hold a whole preset. Ask its owner to upload it again with "
            f"`push_to_hub`. Received: {handle!r} without {missing}"
        )


def _mend(folder: pathlib.Path, names: tuple[str, ...], handle: str, options: dict) -> None:
    """Downloads damaged files once more; what stays damaged leaves the cache."""
    damaged = files.damaged_files(folder, names)
    if not damaged:
        return
    try:
        for name in {*damaged, files.DIGESTS_FILE}:
            huggingface_hub.hf_hub_download(filename=name, force_download=True, **options)
        damaged = files.damaged_files(folder, names)
    finally:
        for name in damaged:
            _forget(folder / name)
    if damaged:
        raise HubError(
            "The files of a preset must have the digests in its digests.json. Try again; if it "
            "stays so, ask the owner to upload the preset again with `push_to_hub`. "
            f"Received: {handle!r} with {damaged}"
        )


def _forget(pointer: pathlib.Path) -> None:
    # First what the link points at, so that the bad bytes cannot be linked again.
    pointer.resolve().unlink(missing_ok=True)
    pointer.unlink(missing_ok=True)
