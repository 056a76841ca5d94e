"""Folders that are Spaces of the Hugging Face Hub: their README.md, and publishing them."""

import pathlib
from typing import Any

import huggingface_hub
from huggingface_hub import ModelCard, SpaceCardData

import keras_showattend
from keras_showattend._files import write_text
from keras_showattend._typing import PathLike
from keras_showattend.hub.errors import HubError, explained
from keras_showattend.hub.leaks import find_leaks
from keras_showattend.hub.pull import plain_repo_id

README = "README.md"
# Addresses of Spaces begin so.
_PREFIX = "hf://spaces/"


def write_space_card(folder: PathLike, text: str, **data: Any) -> None:
    """Writes the README.md that makes a folder a Space.

    Args:
        folder: path of the folder.
        text: Markdown.
        **data: of `huggingface_hub.SpaceCardData`: `title`, `sdk`, `app_file` and so on.
    """
    front_matter = SpaceCardData(**data).to_yaml()
    write_text(pathlib.Path(folder, README), f"---\n{front_matter}\n---\n{text}")


def space_sdk(folder: PathLike) -> str | None:
    """Returns the `sdk` that a folder's README.md names, or None if it is no Space."""
    path = pathlib.Path(folder, README)
    if not path.is_file():
        return None
    card = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True)
    return card.data.to_dict().get("sdk")


def push_space(
    folder: PathLike,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    message: str | None = None,
) -> str:
    """Uploads a folder that `demo --space` or `web` wrote, in one commit.

    Args:
        folder: path of the folder.
        repo_id: `"user/name"`, with or without `hf://`. Made if need be.
        private: bool. Whether a new Space is private. Defaults to the account's setting.
        token: access token with the right to write. None uses `HF_TOKEN` or what
            `hf auth login` stored.
        message: commit message.

    Returns:
        Address of the Space.

    Raises:
        HubError: if the Hub refuses or cannot be reached, for another `repo_id`, or if a file
            holds a token.
        ValueError: if the folder is no Space.
    """
    repo_id = plain_repo_id(repo_id)
    root = pathlib.Path(folder)
    sdk = space_sdk(root)
    if sdk is None:
        raise ValueError(
            "A Space has a README.md that names its `sdk`: write one with `keras-showattend demo "
            f"--space FOLDER` or `keras-showattend web --output FOLDER`. Received: '{root}'"
        )
    names = space_files(root)
    leaks = find_leaks(root, names, token or huggingface_hub.get_token())
    if leaks:
        raise HubError(
            "What is published must not name anything of your machine. Remove it, and push "
            f"again. Received: {'; '.join(leaks[:10])}"
        )
    api = huggingface_hub.HfApi(
        token=token,
        library_name="keras-showattend",
        library_version=keras_showattend.__version__,
    )
    with explained(_PREFIX + repo_id):
        url = api.create_repo(
            repo_id, repo_type="space", space_sdk=sdk, private=private, exist_ok=True
        )
        api.create_commit(
            repo_id,
            [huggingface_hub.CommitOperationAdd(name, str(root / name)) for name in names],
            repo_type="space",
            commit_message=message or "Upload with keras-showattend",
        )
    return str(url)


def space_files(folder: pathlib.Path) -> list[str]:
    """Names of all files of a folder, without caches of Python and hidden files."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in paths
        if not any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    )
