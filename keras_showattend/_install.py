"""How this package is installed today: the one place that changes with a release."""

# False until the package is on a package index; then `pip install keras-showattend` is all.
ON_INDEX = False
# What pip is told to install; `{extras}` is empty or like "[plots]".
_FROM_INDEX = "keras-showattend{extras}"
_FROM_GIT = "keras-showattend{extras}@git+URL"
_FROM_CHECKOUT = ".{extras}"


def install_command(extra: str = "") -> str:
    """Returns the command that installs the package.

    Args:
        extra: name of an extra, such as `"plots"`, or the empty string.

    Returns:
        str: a command line for a shell; before the first release one to be run in a checkout.
    """
    return _pip(_FROM_INDEX if ON_INDEX else _FROM_CHECKOUT, extra)


def install_advice(extra: str = "") -> str:
    """Returns a clause that says how to install the package, for errors, help and cards.

    Args:
        extra: name of an extra, or the empty string.
    """
    if ON_INDEX:
        return f"`{install_command(extra)}`"
    return (
        f"`{install_command(extra)}` in a checkout of keras-showattend, or "
        f"`{_pip(_FROM_GIT, extra)}` with the URL of its Git repository"
    )


def upgrade_advice() -> str:
    """Returns a sentence that says how to get a newer version."""
    if ON_INDEX:
        return "Upgrade with `pip install --upgrade keras-showattend`."
    command = _pip(_FROM_GIT, "").replace("install", "install --upgrade")
    return (
        f"Upgrade: run `git pull` and `{install_command()}` in your checkout of "
        f"keras-showattend, or `{command}` with the URL of its Git repository."
    )


def _pip(requirement: str, extra: str) -> str:
    # Shells read brackets as a pattern.
    argument = requirement.format(extras=f"[{extra}]" if extra else "")
    return f'pip install "{argument}"' if extra else f"pip install {argument}"
