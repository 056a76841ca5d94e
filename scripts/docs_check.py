"""Refuses a built site with links that lead nowhere, or without some public name.

    python scripts/docs_check.py build/site

The builder checks links between Markdown files. This looks at what it wrote: images, generated
links, anchors, and whether every public name has its place in the reference.
"""

import argparse
import pathlib
import sys
import urllib.parse
from html.parser import HTMLParser

from docs_pages import NAMES, anchor


class Page(HTMLParser):
    """The links and anchors of an HTML page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=pathlib.Path)
    problems = find_problems(parser.parse_args().site.resolve())
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


def find_problems(site):
    """Sentences that say what is wrong with the site in the folder `site`."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    problems = []
    for path, page in pages.items():
        for link in page.links:
            target = urllib.parse.urlsplit(link)
            if target.scheme or target.netloc:
                continue
            file = path
            if target.path:
                file = (path.parent / urllib.parse.unquote(target.path)).resolve()
                file = file / "index.html" if file.is_dir() else file
            missing = not file.is_file()
            if target.fragment and file in pages:
                missing = urllib.parse.unquote(target.fragment) not in pages[file].anchors
            # The button back to the top of the page has no target in every page.
            if missing and target.fragment != "__skip":
                problems.append(f"{path.relative_to(site)}: {link} leads nowhere")
    for package in filter(None, NAMES):
        page = pages.get(site / "reference" / package / "index.html")
        for name in NAMES[package]:
            if page is None or anchor(package, name) not in page.anchors:
                problems.append(f"reference: {anchor(package, name)} is missing")
    return problems


if __name__ == "__main__":
    main()
