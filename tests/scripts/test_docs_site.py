"""The pages of the documentation site: navigation, reference, presets, links, docstrings."""

import json
import pathlib
import tomllib

import docs_check
import docs_pages
import pytest
from test_public_names import NAMES

from keras_showattend.presets import list_presets

ROOT = pathlib.Path(__file__).parents[2]


def navigation(entries):
    """Files of the navigation, in order."""
    for entry in entries:
        (value,) = entry.values()
        yield from [value] if isinstance(value, str) else navigation(value)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    docs_pages.write_pages(folder)
    return folder


def test_every_page_is_in_the_navigation(pages):
    with open(ROOT / "zensical.toml", "rb") as file:
        shown = list(navigation(tomllib.load(file)["project"]["nav"]))
    written = {str(path.relative_to(pages)) for path in pages.rglob("*.md")}
    unlisted = {f"model_cards/{preset.name}.md" for preset in list_presets()}
    unlisted |= {"images/CREDITS.md"}
    assert len(shown) == len(set(shown))
    assert written - set(shown) == unlisted & written, "add these pages to `nav` of zensical.toml"
    assert set(shown) - written == set(), "these pages of `nav` in zensical.toml do not exist"


@pytest.mark.parametrize("package", [*filter(None, NAMES)])
def test_every_public_name_is_in_the_reference(pages, package):
    page = (pages / "reference" / f"{package}.md").read_text()
    index = (pages / "reference" / "index.md").read_text()
    for name in NAMES[package]:
        assert f"## {name} {{ #keras_showattend.{package}.{name} }}\n" in page
        assert f"({package}.md#keras_showattend.{package}.{name})" in index


def test_names_of_the_package_itself_are_in_the_reference(pages):
    index = (pages / "reference" / "index.md").read_text()
    for name in set(NAMES[""]) - set(NAMES):
        assert f"`keras_showattend.{name}`" in index


def test_the_reference_names_the_defining_module(pages):
    page = (pages / "reference" / "presets.md").read_text()
    assert "`from keras_showattend.presets import Preset`" in page
    assert "::: keras_showattend.presets.registry.Preset\n" in page
    page = (pages / "reference" / "models.md").read_text()
    assert "`from keras_showattend import ImageCaptioner`" in page


def test_presets_have_their_row(pages):
    page = (pages / "presets.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| [`vgg16_gru_flickr8k`]"))
    assert "| 21.0 M | 42 MB | 1 |" in row
    assert "| 56.4 (52.4 to 60.3) |" in row
    for preset in list_presets():
        assert f"## {preset.name}\n" in page
        assert preset.digest in page


def test_every_caption_of_the_gallery_is_judged():
    gallery = json.loads((ROOT / "scripts" / "gallery.json").read_text(encoding="utf-8"))
    for name in ("README.md", "docs/gallery.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "not judged" not in text, "look at these images, and add verdicts to gallery.json"
        for image in gallery["images"]:
            assert f"images/gallery/{image['file']})" in text
    files = {path.name for path in (ROOT / "docs" / "images" / "gallery").iterdir()}
    assert files == {image["file"] for image in gallery["images"]}
    assert all(image["credit"] and image["licence"] in text for image in gallery["images"])


def test_links_lead_to_pages(tmp_path):
    source = tmp_path / "docs" / "guide.md"
    places = {source: pathlib.Path("guide.md"), tmp_path / "NEWS.md": pathlib.Path("news.md")}
    source.parent.mkdir()
    (tmp_path / "NEWS.md").write_text("")
    (tmp_path / "code.py").write_text("")
    text = "[a](../NEWS.md#top) [b](https://x.org) [c](../gone.md)\n```\n[d](../NEWS.md)\n```\n"
    assert docs_pages.with_links(text, source, places[source], places) == text.replace(
        "[a](../NEWS.md#top)", "[a](news.md#top)"
    )
    page = pathlib.Path("parts/guide.md")
    assert docs_pages.with_links("[a](../NEWS.md)", source, page, places) == "[a](../news.md)"


def test_links_to_other_files_become_text():
    source = docs_pages.DOCS / "x.md"
    assert docs_pages.with_links("[a](../scripts/env)", source, pathlib.Path("x.md"), {}) == "a"


def test_dead_links_are_found(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "index.html").write_text(
        '<a id="top"></a><a href="part/#here"></a><a href="part/#gone"></a><img src="no.png">'
        '<a href="https://example.org/x">'
    )
    (tmp_path / "part" / "index.html").write_text('<h1 id="here"></h1><a href="../#top"></a>')
    found = [line for line in docs_check.find_problems(tmp_path) if "leads nowhere" in line]
    assert found == [
        "index.html: part/#gone leads nowhere",
        "index.html: no.png leads nowhere",
    ]


def test_a_missing_name_is_found(tmp_path):
    folder = tmp_path / "reference" / "hub"
    folder.mkdir(parents=True)
    names = [f'<h2 id="keras_showattend.hub.{name}"></h2>' for name in NAMES["hub"]]
    (folder / "index.html").write_text("".join(names[1:]))
    found = [line for line in docs_check.find_problems(tmp_path) if "showattend.hub" in line]
    assert found == [f"reference: keras_showattend.hub.{NAMES['hub'][0]} is missing"]


def test_call_arguments_become_a_list():
    pytest.importorskip("griffe", reason="the extra `docs` builds the site")
    from docs_griffe import with_list

    text = (
        "A layer.\n\nCall arguments:\n    a: float[B].\n        More.\n    b: int.\n\n"
        "Returns:\n    c"
    )
    assert with_list(text) == (
        "A layer.\n\n**Call arguments:**\n\n- `a`: float[B].\n        More.\n- `b`: int.\n\n"
        "Returns:\n    c"
    )
