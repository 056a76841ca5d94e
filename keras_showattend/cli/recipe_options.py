"""One option for each attribute of `Recipe`, made from the class itself."""

from __future__ import annotations

import argparse
import dataclasses
import re
import typing


def add_recipe_options(parser: argparse._ActionsContainer) -> None:
    """Adds `--recipe FILE` and, for each attribute of `Recipe`, an option of its name.

    Args:
        parser: parser or group of the command.
    """
    recipe = _recipe_class()
    parser.add_argument(
        "--recipe",
        metavar="FILE|NAME",
        help="JSON file of the values below, or of a list of such stages, or the name of a bundled "
        "recipe: vgg16_gru_short, or a preset's for the one that made it; an option overrides its "
        "value in every stage",
    )
    types = typing.get_type_hints(recipe)
    help_texts = _help_texts(recipe.__doc__ or "")
    for field in dataclasses.fields(recipe):
        text = help_texts.get(field.name, field.name.replace("_", " ")).replace("%", "%%")
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            # None tells an option that was not given from one that was given the default.
            default=None,
            help=f"{text} (default: {field.default})",
            **_kind(types[field.name]),
        )


def recipes_from(args: argparse.Namespace) -> list:
    """The stages of parsed arguments, each a `Recipe`: defaults, then file, then options.

    Raises:
        ValueError: if the file is no recipe.
        OSError: if it cannot be read.
    """
    recipe = _recipe_class()
    from keras_showattend.recipes.recipe import load_recipes

    stages = load_recipes(args.recipe) if args.recipe else [recipe()]
    names = [field.name for field in dataclasses.fields(recipe)]
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return [dataclasses.replace(stage, **given) for stage in stages]


def _recipe_class():
    from keras_showattend.recipes.recipe import Recipe

    return Recipe


def _kind(annotation) -> dict[str, typing.Any]:
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        return {"choices": choices, "type": type(choices[0])}
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": annotation, "metavar": annotation.__name__.upper()}


def _help_texts(docstring: str) -> dict[str, str]:
    """Reads `name, name: text` with its indented further lines from a docstring."""
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.splitlines():
        entry = re.fullmatch(r" {8}(\w+(?:, \w+)*): (.+)", line)
        if entry:
            names = entry[1].split(", ")
            texts.update(dict.fromkeys(names, entry[2]))
        elif names and line.startswith(" " * 12):
            texts.update({name: f"{texts[name]} {line.strip()}" for name in names})
        else:
            names = []
    return {name: text.rstrip(".").replace("`", "") for name, text in texts.items()}
