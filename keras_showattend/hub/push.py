"""Publishes a captioner on the Hugging Face Hub, in one commit."""

import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import huggingface_hub

import keras_showattend
from keras_showattend._files import write_text
from keras_showattend._text import printable
from keras_showattend._typing import PathLike
from keras_showattend.hub.card import model_card
from keras_showattend.hub.errors import HubError, explained
from keras_showattend.hub.evaluations import read_evaluation
from keras_showattend.hub.leaks import find_leaks
from keras_showattend.hub.pull import plain_repo_id
from keras_showattend.presets import files, resolve_preset
from keras_showattend.presets.provenance import Provenance, weights_digest
from keras_showattend.presets.registry import HUB_PREFIX
from keras_showattend.presets.trust import check_preset

_UNITS = ("bytes", "kB", "MB", "GB")


def push_to_hub(
    captioner: Any,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
    evaluation: Mapping[str, Any] | PathLike | None = None,
    weights_dtype: str | None = None,
    **card: Any,
) -> str:
    """Uploads a captioner with its model card and digests.

    The preset is written to a temporary folder, checked as strangers' presets are, and
    searched for what belongs to this machine. Nothing is sent before that. A second push
    to the same repository adds a commit; files of an older preset that are no longer
    needed go, other files in the repository stay.

    Args:
        captioner: an `ImageCaptioner`; or the name or folder of a preset, whose files are
            sent as they are.
        repo_id: `"user/name"`, with or without `hf://`. Made if need be.
        private: bool. Whether a new repository is private. Defaults to the account's
            setting. A repository that exists must already be so.
        token: access token with the right to write. None uses `HF_TOKEN` or what
            `hf auth login` stored.
        revision: branch to commit to, made from `main` if need be. Defaults to `main`.
        message: commit message.
        dry_run: bool. Whether only to list what would be sent; the network is not used.
        evaluation: measured results for the card, of these very weights; see `model_card`. They
            are stored as `evaluation.json` beside it.
        weights_dtype: `"float16"` to upload half as much; see `save_to_preset`.
        **card: `license`, `datasets`, `language`, `training_command` and `limits` of
            `model_card`.

    Returns:
        Address of the repository; for a dry run a listing of files and sizes, followed by
        the model card.

    Raises:
        HubError: if the Hub refuses or cannot be reached, or if a file names something of
            this machine: an absolute path, a token, the state of an optimizer.
        ValueError: if the preset, the evaluation or `repo_id` is not valid, or if the evaluation
            tells that other weights were evaluated.
    """
    repo_id = plain_repo_id(repo_id)
    api = huggingface_hub.HfApi(
        token=token,
        library_name="keras-showattend",
        library_version=keras_showattend.__version__,
    )
    with tempfile.TemporaryDirectory(prefix="keras_showattend-") as scratch:
        folder = pathlib.Path(scratch)
        _write_preset(captioner, folder, weights_dtype)
        _write_evaluation(folder, evaluation, captioner)
        existing = None
        if not (dry_run or (folder / files.CARD_FILE).is_file()):
            existing = _card_on_hub(api, repo_id, revision)
        text = model_card(folder, repo_id, existing=existing, **card)
        write_text(folder / files.CARD_FILE, text)
        files.write_digests(folder)
        check_preset(folder)
        names = files.preset_files(folder)
        _check_no_leaks(folder, names, token or huggingface_hub.get_token())
        if dry_run:
            return f"{_listing(folder, names, repo_id, revision)}\n\n{text}"
        with explained(HUB_PREFIX + repo_id):
            return _upload(api, folder, names, repo_id, private, revision, message)


def _write_preset(captioner: Any, folder: pathlib.Path, weights_dtype: str | None) -> None:
    if hasattr(captioner, "save_to_preset"):
        captioner.save_to_preset(str(folder), weights_dtype=weights_dtype)
        return
    if weights_dtype is not None:
        raise ValueError(
            "`weights_dtype` is for a captioner in memory; a folder is sent as it is. Load it "
            f"with `from_preset` first. Received: weights_dtype={weights_dtype!r}"
        )
    source = resolve_preset(os.fspath(captioner))
    for name in files.preset_files(source):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # The contents, where the file is a link into a cache.
        shutil.copyfile(pathlib.Path(source) / name, target)
    origin = Provenance.read(source)
    metadata = folder / files.METADATA_FILE
    if origin.name is not None and metadata.is_file():
        value = json.loads(metadata.read_text(encoding="utf-8"))
        write_text(metadata, json.dumps({**value, "name": origin.name}, indent=4))


def _write_evaluation(
    folder: pathlib.Path, evaluation: Mapping[str, Any] | PathLike | None, captioner: Any
) -> None:
    """Writes what may be published of an evaluation of these weights; see `Evaluation`."""
    if evaluation is None and not (folder / files.EVALUATION_FILE).is_file():
        return
    path = folder / files.EVALUATION_FILE
    measured = read_evaluation(folder, evaluation)
    published = dict(measured.published)
    stored = Provenance.read(folder).digest
    if measured.weights_digest is not None and stored is not None:
        # Scores hold for weights that are rounded to be stored, too.
        if measured.weights_digest not in (stored, _digest_in_memory(captioner)):
            raise ValueError(
                "An evaluation is published with the weights that were evaluated: evaluate this "
                "captioner (`keras-showattend evaluate --preset PRESET --output FILE.json`), or "
                f"leave the evaluation out. Received: weights {stored[:12]}, and an evaluation of "
                f"the weights {measured.weights_digest[:12]}"
            )
        published["protocol"] = {**published["protocol"], "weights_digest": stored}
    if not (path.is_file() and json.loads(path.read_text(encoding="utf-8")) == published):
        write_text(path, json.dumps(published, indent=4, ensure_ascii=False) + "\n")


def _digest_in_memory(captioner: Any) -> str | None:
    return weights_digest(captioner) if hasattr(captioner, "save_to_preset") else None


def _card_on_hub(api: huggingface_hub.HfApi, repo_id: str, revision: str | None) -> str | None:
    """The card in the repository, which its owner may have edited on the page."""
    # Not by the usual cache, which may remember a repository that is gone.
    with tempfile.TemporaryDirectory() as cache:
        try:
            path = api.hf_hub_download(repo_id, files.CARD_FILE, revision=revision, cache_dir=cache)
        except Exception:
            # No repository, no card, no network: the upload itself will tell.
            return None
        return pathlib.Path(path).read_text(encoding="utf-8")


def _check_no_leaks(folder: pathlib.Path, names: list[str], token: str | None) -> None:
    leaks = find_leaks(folder, names, token)
    if leaks:
        raise HubError(
            "What is published must not name anything of your machine: paths, tokens, the state "
            "of an optimizer. Remove it from the preset or the arguments, and push again. "
            f"Received: {'; '.join(leaks[:10])}"
        )


def _listing(folder: pathlib.Path, names: list[str], repo_id: str, revision: str | None) -> str:
    sizes = [(folder / name).stat().st_size for name in names]
    width = max(map(len, names))
    rows = [
        f"  {printable(name):<{width}}  {_readable(size):>12}"
        for name, size in zip(names, sizes, strict=True)
    ]
    total = f"{len(names)} files, {_readable(sum(sizes))}"
    return "\n".join([f"To {HUB_PREFIX}{repo_id}@{revision or 'main'}: {total}", *rows])


def _readable(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{size} bytes"
        size /= 1000
    raise AssertionError


def _upload(
    api: huggingface_hub.HfApi,
    folder: pathlib.Path,
    names: list[str],
    repo_id: str,
    private: bool | None,
    revision: str | None,
    message: str | None,
) -> str:
    url = str(api.create_repo(repo_id, private=private, exist_ok=True))
    info = api.model_info(repo_id)
    if private is not None and bool(info.private) != private:
        # Making it public, or hiding it, is more than a push should do.
        raise HubError(
            "A repository keeps the visibility it was made with. Change it on its settings page, "
            f"or leave `private` out. Received: private={private} for '{repo_id}', which is "
            f"{'private' if info.private else 'public'}"
        )
    if revision is not None:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    there = set(api.list_repo_files(repo_id, revision=revision))
    operations: list[Any] = [
        huggingface_hub.CommitOperationAdd(name, str(folder / name)) for name in names
    ]
    # Weights of an earlier preset would be loaded with the new description.
    operations += [
        huggingface_hub.CommitOperationDelete(name)
        for name in files.LOADED_FILES
        if name in there and name not in names
    ]
    # Not `upload_folder`, which may spread a large folder over several commits.
    api.create_commit(
        repo_id,
        operations,
        commit_message=message or "Upload captioner with keras-showattend",
        revision=revision,
    )
    return url if revision is None else f"{url}/tree/{revision}"
