"""Errors of the Hub, the network and the disk, with what to do about each."""

import contextlib
import errno
import os
from collections.abc import Iterator

import huggingface_hub.errors as hf_errors

# A quota and a limit on the size of files look to a user like a full disk.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HTTP_PACKAGES = ("httpx", "httpx2", "requests", "urllib3")
_MOST_CAUSES = 8

_BY_STATUS = {
    401: "The Hub does not accept the token. Log in with `hf auth login`, or pass `token=`",
    402: "The plan of the account does not include this. See https://huggingface.co/settings/billing",
    403: (
        "The token does not have this permission. Add it at "
        "https://huggingface.co/settings/tokens, or use a repository of your own"
    ),
    409: "Another change was made at the same time. Try again",
    412: "Another change was made at the same time. Try again",
    429: "The Hub has a limit on requests. Wait a few minutes; it is higher if you log in",
}


class HubError(ValueError):
    """A transfer to or from the Hugging Face Hub failed; the message says what to do."""


def hub_error(error: BaseException, handle: str) -> HubError:
    """Explains an error of `huggingface_hub` or of the disk.

    Args:
        error: what was caught.
        handle: what the user asked for, such as `"hf://user/name"`.

    Returns:
        A `HubError` to be raised `from error`.
    """
    if isinstance(error, HubError):
        return error
    return HubError(f"{_advice(error)}. Received: {handle!r} ({_first_line(error)})")


def _advice(error: BaseException) -> str:
    chain = _causes(error)
    for cause in chain:
        if isinstance(cause, hf_errors.HFValidationError):
            return "A handle must have the form 'hf://user/name' or 'hf://user/name@revision'"
        if isinstance(cause, hf_errors.GatedRepoError):
            return (
                "The repository is gated. Ask for access on its page at huggingface.co, then "
                "log in with `hf auth login` or pass `token=`"
            )
        if isinstance(cause, hf_errors.RepositoryNotFoundError):
            return (
                "The repository must exist and be open to you. Check its name; for a private "
                "one log in with `hf auth login` or pass `token=`"
            )
        if isinstance(cause, hf_errors.RevisionNotFoundError):
            return "The revision must be a branch, a tag or a commit of the repository. Check it"
        if isinstance(cause, hf_errors.OfflineModeIsEnabled):
            return (
                "The repository must be complete in the cache while HF_HUB_OFFLINE is set. "
                "Fetch it once with HF_HUB_OFFLINE=0"
            )
        if isinstance(cause, hf_errors.HfHubHTTPError) and cause.response is not None:
            status = cause.response.status_code
            if status in _BY_STATUS:
                return _BY_STATUS[status]
            if status >= 500:
                return "The Hub has an internal error. Try again later"
            return f"The Hub refused the request with status {status}. Check the arguments"
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return (
                "The disk must have space for the whole repository. Free some, or choose "
                "another disk with the environment variable HF_HOME"
            )
        if isinstance(cause, PermissionError):
            return (
                "The cache must be writable. Change its permissions, or choose another folder "
                "with the environment variable HF_HOME"
            )
    return "The Hub cannot be reached, or its answer was cut off. Check the network and try again"


@contextlib.contextmanager
def explained(handle: str) -> Iterator[None]:
    """Turns failures of the Hub, the network and the disk inside it into `HubError`.

    Args:
        handle: what the user asked for.

    Raises:
        HubError: see `hub_error`. Other exceptions pass.
    """
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        if not is_hub_failure(error):
            raise
        raise hub_error(error, handle) from error


def is_hub_failure(error: BaseException) -> bool:
    """Whether an exception comes from the Hub, the network or the disk, and not from a bug."""
    return any(
        isinstance(cause, OSError | hf_errors.HFValidationError)
        or type(cause).__module__.split(".")[0] in _HTTP_PACKAGES
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain and len(chain) < _MOST_CAUSES:
        chain.append(cause)
        cause = cause.__cause__
    return chain


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0][:200] if lines else ""
    home = os.path.expanduser("~")
    return f"{type(error).__name__}: {text}".replace(home, "~")
