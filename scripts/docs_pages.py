"""Writes the pages of the documentation site: those of docs/, and those that are generated.

    python scripts/docs_pages.py build/pages

Generated are the reference (one page for each folder of the package, with every public name), the
table of presets, and the pages made from files at the top of the repository.
"""

import argparse
import ast
import json
import os
import pathlib
import re
import shutil
import sys

from keras_showattend.metrics.labels import METRICS, printed_score
from keras_showattend.presets import list_presets
from keras_showattend.presets.registry import BUNDLED, Preset

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT / "tests"))
from test_public_names import NAMES  # noqa: E402

# Pages of the site that lie elsewhere in the repository.
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{
        f"presets/{preset.name}/README.md": f"model_cards/{preset.name}.md"
        for preset in list_presets()
    },
}
SHOWN_METRICS = ("bleu_4", "meteor", "rouge_l", "cider")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    write_pages(parser.parse_args().folder)


def write_pages(folder: pathlib.Path) -> None:
    """Writes all pages into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("*.md"))
    places = {path: path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    places |= {ROOT / source: pathlib.Path(page) for source, page in ELSEWHERE.items()}
    for source, page in places.items():
        text = re.sub(r"\A---\n.*?\n---\n", "", source.read_text(encoding="utf-8"), flags=re.S)
        write(folder / page, with_formulas(with_links(text, source, page, places)))
    write(folder / "presets.md", presets_page(list_presets()))
    write(folder / "citation.md", citation_page())
    write(folder / "reference" / "index.md", reference_index())
    for package in filter(None, NAMES):
        write(folder / "reference" / f"{package}.md", reference_page(package))


def write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def with_links(
    text: str,
    source: pathlib.Path,
    page: pathlib.Path,
    places: dict[pathlib.Path, pathlib.Path],
) -> str:
    """The text of a page whose links lead to pages of the site.

    Links to files of the repository that are no pages become plain text.
    """

    def relink(match: re.Match[str]) -> str:
        label, target = match.groups()
        name, hash_sign, anchor = target.partition("#")
        if not name or re.match(r"[a-z]+:", name):
            return match.group()
        path = pathlib.Path(os.path.normpath(source.parent / name))
        if path in places:
            place = places[path]
        elif path.is_relative_to(DOCS) or not path.exists():
            place = path.relative_to(DOCS) if path.is_relative_to(DOCS) else pathlib.Path(name)
        else:
            return label
        relative = pathlib.PurePath(os.path.relpath(place, page.parent)).as_posix()
        return f"[{label}]({relative}{hash_sign}{anchor})"

    return outside_code(text, lambda part: re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", relink, part))


def with_formulas(text: str) -> str:
    """The text with its LaTeX as MathML, which browsers draw without a script."""
    if "```math" not in text:
        return text
    from latex2mathml.converter import convert

    text = re.sub(
        r"^```math\n(.*?)^```",
        lambda match: convert(match[1].strip(), display="block"),
        text,
        flags=re.M | re.S,
    )
    return outside_code(text, lambda part: re.sub(r"\$`(.+?)`\$", lambda m: convert(m[1]), part))


def outside_code(text, change):
    """`text` with `change` made to all that is outside fenced blocks."""
    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


# Reference


def reference_index() -> str:
    """The page of all public names, with where each is described."""
    rows = [
        "# Reference",
        "",
        "Every public name. What is importable from `keras_showattend` itself",
    ]
    rows += ["is described on the page of its folder.", ""]
    homes = sources("")
    for package in filter(None, NAMES):
        rows += [f"## {package}", "", summary(package), ""]
        for name in sorted(NAMES[package], key=str.lower):
            short = homes.get(name, "").split(".")[1:2] == [package]
            also = f" (also `keras_showattend.{name}`)" if short else ""
            rows.append(f"- [`{name}`]({package}.md#{anchor(package, name)}){also}")
        rows.append("")
    return "\n".join(rows)


def reference_page(package: str) -> str:
    """The page of one folder's public names; mkdocstrings fills in what each says of itself."""
    top = sources("")
    found = sources(package)
    lines = [f"# keras_showattend.{package}", "", summary(package), ""]
    for name in sorted(NAMES[package], key=str.lower):
        module = "keras_showattend"
        if top.get(name, "").split(".")[1:2] != [package]:
            module += f".{package}"
        lines += [
            f"## {name} {{ #{anchor(package, name)} }}",
            "",
            f"`from {module} import {name}`",
            "",
            f"::: {found[name]}.{name}",
            "",
        ]
    return "\n".join(lines)


def anchor(package: str, name: str) -> str:
    return f"keras_showattend.{package}.{name}"


def package_file(package: str) -> pathlib.Path:
    return ROOT / "keras_showattend" / package / "__init__.py"


def summary(package: str) -> str:
    """The first paragraph of a folder's docstring."""
    tree = ast.parse(package_file(package).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").split("\n\n")[0]


def sources(package: str) -> dict[str, str]:
    """The module that defines each public name, read from imports and the table of lazy names."""
    tree = ast.parse(package_file(package).read_text(encoding="utf-8"))
    prefix = f"keras_showattend.{package}".rstrip(".")
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_NAMES":
            names = ast.literal_eval(node.value)
            found |= {name: f"{prefix}.{module}" for name, module in names.items()}
    return found


# Presets


def presets_page(presets: list[Preset]) -> str:
    """The table of presets, and a section for each."""
    names = " | ".join(METRICS[metric].label for metric in SHOWN_METRICS)
    lines = [
        "# Presets",
        "",
        "Captioners that `from_preset`, `--preset` and the demo load by name. Scores x 100 on",
        "Flickr8k's dev split (1,000 images, 5 references each), 5 beams, with 95 % intervals over",
        "images. Speed: images a second of a folder, as a multiple of `vgg16_gru_flickr8k` in the",
        "same run. [Results](results.md) has the test split and says how all this was measured.",
        "",
        f"| preset | parameters | size | speed | {names} | licence |",
        "|---|---|---|---|" + "---|" * len(SHOWN_METRICS) + "---|",
    ]
    for preset in presets:
        cells = [
            f"[`{preset.name}`](#{preset.name})",
            f"{preset.parameters / 1e6:.1f} M",
            f"{preset.megabytes:.0f} MB" if preset.megabytes else "made at first use",
            f"{preset.speed:.2g}" if preset.speed else "not measured",
            *(printed_with_interval(preset, metric) for metric in SHOWN_METRICS),
            preset.license,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if (DOCS / "images" / "presets.png").is_file():
        lines += ["", "![CIDEr and speed of each preset](images/presets.png)"]
    for preset in presets:
        lines += ["", *preset_section(preset)]
    return "\n".join(lines) + "\n"


def printed_with_interval(preset: Preset, metric: str) -> str:
    if metric not in preset.scores:
        return ""
    score = printed_score(preset.scores[metric])
    interval = evaluation(preset).get("intervals", {}).get(metric)
    if not interval:
        return score
    return f"{score} ({printed_score(interval['low'])} to {printed_score(interval['high'])})"


def evaluation(preset: Preset) -> dict:
    """What `evaluate` wrote of the preset whose captions this one gives."""
    path = BUNDLED / (preset.grown_from or preset.name) / "evaluation.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def preset_section(preset: Preset) -> list[str]:
    lines = [f"## {preset.name}", "", preset.description, "", f"Origin: {preset.origin}.", ""]
    if preset.digest:
        lines += [f"SHA-256 of its weights: `{preset.digest}`", ""]
    if (BUNDLED / preset.name / "README.md").is_file():
        lines += [f"[Model card](model_cards/{preset.name}.md)", ""]
    return [
        *lines,
        "```sh",
        f"keras-showattend caption photo.jpg --preset {preset.name}",
        "```",
        "",
        "```py",
        f'captioner = ImageCaptioner.from_preset("{preset.name}")',
        "```",
    ]


# Other pages


def citation_page() -> str:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    return (
        "# Citation\n\nIf this package helps your research, cite it and the paper that it "
        f"implements.\n\n```yaml\n{text}```\n"
    )


if __name__ == "__main__":
    main()
