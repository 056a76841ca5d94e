"""From what a page says of an image to the image itself."""

from __future__ import annotations

import base64
import binascii
import os
import re
import urllib.parse
from typing import NamedTuple

from keras_showattend.alt_text.page_images import PageImage

MAX_DATA_BYTES = 20_000_000
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Reference(NamedTuple):
    """Where an image lies: one of the attributes is set.

    Attributes:
        path: a file.
        url: an address on the web.
        data: what the page itself holds.
        problem: why there is no image.
    """

    path: str | None = None
    url: str | None = None
    data: bytes | None = None
    problem: str | None = None


def find_image(image: PageImage, page: str, root: str) -> Reference:
    """Finds out where an image lies.

    Args:
        image: of the page.
        page: path of the page.
        root: the site's folder: addresses that begin with a slash are relative to it, and no file
            outside of it is read.

    Returns:
        `Reference`. Of several sources, the first that is a file of the site; otherwise the first
        that is on the web; otherwise what the page holds itself, which is often but a
        placeholder.
    """
    if not image.sources:
        return Reference(problem="it names no image")
    found = [_reference(source, image.base, page, root) for source in image.sources]
    for kind in ("path", "url", "data"):
        for reference in found:
            if getattr(reference, kind) is not None:
                return reference
    return found[0]


def _reference(source: str, base: str | None, page: str, root: str) -> Reference:
    if source[:5].lower() == "data:":
        return _data(source)
    if base is not None and not _SCHEME.match(source):
        source = urllib.parse.urljoin(base, source)
    parts = urllib.parse.urlsplit(source)
    if parts.scheme.lower() in ("http", "https") or (not parts.scheme and parts.netloc):
        return Reference(url=source if parts.scheme else f"https:{source}")
    if parts.scheme:
        return Reference(problem=f"its address begins with {parts.scheme}:")
    name = urllib.parse.unquote(parts.path, errors="surrogateescape")
    if "\0" in name or not name:
        return Reference(problem="its address names no file")
    folder = root if name.startswith("/") else os.path.dirname(page)
    path = os.path.join(folder, name.lstrip("/"))
    inside, real = os.path.realpath(root), os.path.realpath(path)
    if os.path.commonpath([inside, real]) != inside:
        return Reference(problem="it lies outside the site's folder (see --root)")
    if not os.path.isfile(real):
        return Reference(problem=f"there is no file {os.path.normpath(path)}")
    return Reference(path=os.path.normpath(path))


def _data(source: str) -> Reference:
    header, comma, content = source[5:].partition(",")
    if not comma or len(content) > 2 * MAX_DATA_BYTES:
        return Reference(problem="its data: address is damaged or too long")
    if "svg" in header.lower():
        return Reference(problem="it is a drawing in SVG")
    raw = urllib.parse.unquote_to_bytes(content)
    try:
        return Reference(data=base64.b64decode(raw) if header.endswith(";base64") else raw)
    except binascii.Error:
        return Reference(problem="its data: address is damaged")
