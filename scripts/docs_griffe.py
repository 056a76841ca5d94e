"""Sections of docstrings that mkdocstrings does not know, as Markdown lists."""

import re

import griffe

# Its lines are indented; the arguments by four spaces, what continues them by more.
_SECTION = re.compile(r"^Call arguments:\n((?:[ ]+.*\n?|\n)+)", re.M)


class CallArguments(griffe.Extension):
    """Turns the section "Call arguments" of layers into a list."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Rewrites the docstring of `obj` before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = with_list(obj.docstring.value)


def with_list(docstring: str) -> str:
    """The docstring with one bullet for each call argument."""

    def rewrite(section: re.Match[str]) -> str:
        items = re.sub(r"^ {4}(\w+): ", r"- `\1`: ", section.group(1), flags=re.M)
        return f"**Call arguments:**\n\n{items}"

    return _SECTION.sub(rewrite, docstring)
