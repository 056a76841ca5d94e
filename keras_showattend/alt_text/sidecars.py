"""Alt texts in `.xmp` files beside images, which need no other program."""

from __future__ import annotations

import os
import pathlib
import xml.parsers.expat
from xml.sax.saxutils import escape

from keras_showattend._files import replacing
from keras_showattend.preprocessing.image_formats import is_camera_raw

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_PROPERTIES = {
    f"{_IPTC} AltTextAccessibility": "Iptc4xmpCore:AltTextAccessibility",
    f"{_DC} description": "dc:description",
}
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="{_RDF}">
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def sidecar_of(path: str) -> pathlib.Path:
    """Returns the path of an image's sidecar.

    Args:
        path: of the image.

    Returns:
        The one that is there; otherwise `photo.xmp` for camera raw, as Adobe's programs take
        it, and `photo.jpg.xmp` for other images, of which several may share a name.
    """
    image = pathlib.Path(path)
    short, long = image.with_suffix(".xmp"), image.with_name(f"{image.name}.xmp")
    if long.exists() or not is_camera_raw(path):
        return long
    return short


def write_sidecar(path: str, text: str, overwrite: bool = False) -> bool:
    """Writes an alt text and a description into an image's sidecar, and keeps all else there.

    Args:
        path: of the image.
        text: the alt text.
        overwrite: whether texts that are there are replaced.

    Returns:
        bool: whether something was written; False if the sidecar has such texts.

    Raises:
        ValueError: if the sidecar is no XMP.
        OSError: if it cannot be written.
    """
    sidecar = sidecar_of(path)
    data = sidecar.read_bytes() if os.path.lexists(sidecar) else _EMPTY.encode()
    found = _Properties(data, sidecar)
    if overwrite:
        for start, end in sorted(found.spans.values(), reverse=True):
            data = data[:start] + data[end:]
        found = _Properties(data, sidecar)
    wanted = [name for key, name in _PROPERTIES.items() if key not in found.spans]
    if not wanted:
        return False
    lines = [
        f'  <{name}><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt>'
        f"</{name}>\n"
        for name in wanted
    ]
    block = (
        f' <rdf:Description rdf:about="" xmlns:rdf="{_RDF}" xmlns:dc="{_DC}" '
        f'xmlns:Iptc4xmpCore="{_IPTC}">\n{"".join(lines)} </rdf:Description>\n'
    )
    new = data[: found.end] + block.encode() + data[found.end :]
    # It must be read as it is meant before it takes the place of the old one.
    _Properties(new, sidecar)
    with replacing(sidecar) as partial:
        partial.write_bytes(new)
    return True


class _Properties:
    """Where properties stand in XMP.

    Attributes:
        spans: dict from the name of a property to where its element begins and ends.
        end: int. Where the RDF ends, in front of which more can be written.
    """

    def __init__(self, data: bytes, path: pathlib.Path) -> None:
        self.spans: dict[str, tuple[int, int]] = {}
        self.end = -1
        self._data = data
        self._starts: dict[str, int] = {}
        parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        self._parser = parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(data, True)
            if self.end < 0 or data[self.end : self.end + 2] != b"</":
                raise ValueError("it has no RDF to write into")
            if b"\0" in data:
                raise ValueError("it is not in UTF-8")
        except (ValueError, xml.parsers.expat.ExpatError) as error:
            raise ValueError(
                f"A sidecar must be XMP in UTF-8: mend or remove it. Received: '{path}' ({error})"
            ) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _PROPERTIES:
            self._starts[name] = self._parser.CurrentByteIndex
        for key in attributes:
            # A property may also be written as an attribute, which is left alone.
            if key in _PROPERTIES:
                self.spans[key] = (0, 0)

    def _end(self, name: str) -> None:
        # Where the closing tag begins.
        place = self._parser.CurrentByteIndex
        if name in _PROPERTIES:
            self.spans[name] = (self._starts[name], self._data.index(b">", place) + 1)
        elif name == f"{_RDF} RDF":
            self.end = place

    def _refuse(self, *details: object) -> None:
        raise ValueError("it declares a document type")
