"""Text and pages from Jinja2 templates that lie beside the code."""

import functools
import re
from typing import Any

import jinja2

from keras_showattend._text import printable

_MARKDOWN_SPECIALS = str.maketrans({character: f"\\{character}" for character in "\\`*[]<>|#"})


def render(package: str, template: str, **values: Any) -> str:
    """Fills a template.

    Values are escaped in templates whose name ends in `.html.j2`, control characters too. Elsewhere
    the template escapes them by the filters `plain` (Markdown that shows a text as it is, on one
    line), `printable`, and `fence` for the lines around a block of code.

    Args:
        package: name of the package in whose folder the template lies.
        template: file name.
        **values: what the template names. A name without a value is an error.
    """
    return _environment(package).get_template(template).render(**values)


@functools.cache
def _environment(package: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters["plain"] = plain_markdown
    environment.filters["printable"] = printable
    environment.filters["fence"] = fence
    return environment


@jinja2.pass_eval_context
def _finalize(context: Any, value: Any) -> Any:
    # What is HTML already is of a class of its own.
    return printable(value, keep="\n") if context.autoescape and type(value) is str else value


def plain_markdown(text: Any) -> str:
    """Returns Markdown that shows a text as it is, on one line and without markup of its own."""
    return printable(" ".join(str(text).split())).translate(_MARKDOWN_SPECIALS)


def fence(code: str) -> str:
    """Returns the backticks around a block of code: more than follow one another in it."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    return "`" * max(3, longest + 1)
