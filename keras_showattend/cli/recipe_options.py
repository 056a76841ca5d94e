"""One option for each setting of `Recipe`, made from the class itself."""

from __future__ import annotations

import argparse
import dataclasses
import typing

from keras_showattend.recipes import Recipe, load_recipes


def add_recipe_options(parser: argparse._ActionsContainer) -> None:
    """Adds `--recipe` and, for each setting of `Recipe`, an option of its name.

    Args:
        parser: parser or group of the command.
    """
    parser.add_argument(
        "--recipe",
        metavar="FILE|NAME",
        help="JSON file of the values below, or of a list of such stages; or a bundled recipe: "
        "vgg16_gru_short, or the name of a preset for the recipe that made it; an option "
        "overrides its value in every stage",
    )
    types = typing.get_type_hints(Recipe)
    for field in dataclasses.fields(Recipe):
        default = "none" if field.default == "" else field.default
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            # None tells an option that was not given from one that was given the default.
            default=None,
            help=f"{field.metadata['help']} (default: {default})".replace("%", "%%"),
            **_kind(types[field.name]),
        )


def recipes_from(args: argparse.Namespace) -> list[Recipe]:
    """Returns the stages of parsed arguments: defaults, then file, then options.

    Args:
        args: what the parser has found.

    Raises:
        ValueError: if the file is no recipe.
        OSError: if it cannot be read.
    """
    stages = load_recipes(args.recipe) if args.recipe else [Recipe()]
    names = [field.name for field in dataclasses.fields(Recipe)]
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return [dataclasses.replace(stage, **given) for stage in stages]


def _kind(annotation: typing.Any) -> dict[str, typing.Any]:
    """Returns the arguments of `add_argument` that belong to the type of a setting."""
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        return {"choices": choices, "type": type(choices[0])}
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": annotation, "metavar": annotation.__name__.upper()}
