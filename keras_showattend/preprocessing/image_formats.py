"""Image formats: those that are read, those that are only recognised, and their file endings."""

from __future__ import annotations

import functools
import importlib.util
import os

from PIL import Image, features

# What Pillow opens and is no image of pixels (a program, a document, a video, weather data), or
# holds values that have no fixed range.
_NO_IMAGES = {
    *("BUFR", "EPS", "FITS", "GRIB", "HDF5", "IMT", "IPTC", "MCIDAS", "MPEG", "PDF", "SPIDER"),
    "WMF",
}
# Formats whose plugin is always there and whose decoder may be missing: Pillow's feature of each.
_OPTIONAL = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
# The raw data of cameras, whose embedded preview is read where `rawpy` is installed.
_CAMERA_RAW = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw"),
    *(".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"),
)
# Images that people have, and that Pillow may not read.
_SEEN_AS_IMAGES = (
    *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".jp2", ".webp"),
    # Vector graphics and the files of image editors.
    *(".ai", ".cdr", ".eps", ".svg", ".svgz", ".wmf", ".emf", ".xcf", ".kra", ".clip"),
    *(".exr", ".hdr", ".jxl", ".jxr", ".wdp", ".psb", ".palm", ".fits"),
)
HEIF_HINT = "HEIC and HEIF images need one more package: `pip install pillow-heif`."
RAW_HINT = "Camera raw needs one more package: `pip install rawpy`."
# Formats in which one file may hold several pages or frames, of which the first is read. What
# else a photo of MPO or HEIF holds is no page: a preview, a depth map, a brighter copy.
_PAGED = frozenset({"APNG", "AVIF", "FLI", "GIF", "PNG", "TIFF", "WEBP"})


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Returns Pillow's names of the image formats that can be read here.

    `pillow-heif` is used where it is installed; it makes itself known to Pillow.
    """
    Image.init()
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    missing = {name for name, feature in _OPTIONAL.items() if not features.check(feature)}
    names = [name for name in Image.OPEN if name not in _NO_IMAGES | missing]
    # The usual ones first, since Pillow tries one after the other.
    return tuple(sorted(names, key=lambda name: name not in ("JPEG", "PNG", "WEBP")))


@functools.cache
def image_extensions() -> frozenset[str]:
    """Returns the lower-case endings of image files that can be read here, such as `".jpg"`."""
    # MPO, several JPEG images in one file, is opened by the plugin of JPEG.
    formats = {*readable_formats(), "MPO"}
    endings = {e for e, name in Image.registered_extensions().items() if name in formats}
    return frozenset(endings.union(_CAMERA_RAW if reads_camera_raw() else ()))


@functools.cache
def reads_camera_raw() -> bool:
    """Whether `rawpy` is installed."""
    return importlib.util.find_spec("rawpy") is not None


def is_camera_raw(path: str) -> bool:
    """Whether a file name ends like that of a camera's raw data."""
    return os.path.splitext(path)[1].lower() in _CAMERA_RAW


def has_several_frames(path: str) -> bool:
    """Whether an image file is an animation or has pages, of which the first is read.

    Args:
        path: a file; one that cannot be opened has none.
    """
    if os.path.splitext(path)[1].lower() not in _paged_extensions():
        return False
    try:
        with Image.open(path, formats=readable_formats()) as image:
            return image.format in _PAGED and bool(getattr(image, "is_animated", False))
    except Exception:
        # Decoders raise anything on a damaged file, which is reported when it is read.
        return False


@functools.cache
def _paged_extensions() -> frozenset[str]:
    return frozenset(e for e, name in Image.registered_extensions().items() if name in _PAGED)


@functools.cache
def unreadable_image_extensions() -> frozenset[str]:
    """Returns the lower-case endings of files that are images to people and are not read here."""
    return frozenset(_SEEN_AS_IMAGES + _CAMERA_RAW) - image_extensions()


def has_image_extension(name: str) -> bool:
    """Whether a file name ends like that of an image, one that is read here or another."""
    ending = os.path.splitext(name)[1].lower()
    return ending in image_extensions() or ending in unreadable_image_extensions()


def unreadable_content(start: bytes) -> str:
    """Names what a file is that Pillow does not read, and what to do.

    Args:
        start: the first bytes of the file; 64 are enough.

    Returns:
        str: the rule and the remedy, for an `ImageError`.
    """
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        return HEIF_HINT
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis"):
        return "This build of Pillow reads no AVIF: install a newer Pillow."
    if start.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "EPS is a program, not an image: convert it to PNG or JPEG."
    if start.startswith(b"%PDF"):
        return "A PDF is a document, not an image: convert its pages to PNG or JPEG."
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")):
        return "SVG is a drawing in text, not an image of pixels: convert it to PNG."
    if start.startswith((b"<!DOCTYPE html", b"<!doctype html", b"<html")):
        return "The file is a web page, not an image: download the image itself."
    return "The content is no image Pillow can read: convert it to JPEG, PNG, WebP or TIFF."


_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1")
