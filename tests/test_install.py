"""How to install is said in one place, and everywhere else as it is said there."""

import pathlib
import re

from keras_showattend import _install

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("keras_showattend", "docs", "examples", "presets")


def files():
    yield from (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    for folder in FOLDERS:
        yield from (p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".md", ".j2"))


def test_before_the_first_release():
    assert _install.install_command() == "pip install ."
    assert _install.install_command("plots") == 'pip install ".[plots]"'
    assert _install.install_advice("plots") == (
        '`pip install ".[plots]"` in a checkout of keras-showattend, or '
        '`pip install "keras-showattend[plots]@git+URL"` with the URL of its Git repository'
    )
    assert "`pip install --upgrade keras-showattend@git+URL`" in _install.upgrade_advice()


def test_after_it(monkeypatch):
    monkeypatch.setattr(_install, "ON_INDEX", True)
    assert _install.install_command() == "pip install keras-showattend"
    assert _install.install_advice("plots") == '`pip install "keras-showattend[plots]"`'
    assert _install.upgrade_advice() == "Upgrade with `pip install --upgrade keras-showattend`."


def test_nobody_is_sent_to_an_index_that_has_it_not():
    wrong = [
        f"{path.name}: {line.strip()}"
        for path in files()
        if path.name != "_install.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"pip install\b.*keras-showattend", line)
        and "git+" not in line
        and "checkout" not in line
    ]
    assert wrong == [] or _install.ON_INDEX
