"""Alt texts in the metadata of images, by exiftool; the pixels stay as they are."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from keras_showattend._files import replacing
from keras_showattend._install import install_advice

# IPTC Photo Metadata 2021.1: "Alt Text (Accessibility)". Its place is XMP.
ALT_TEXT = "XMP-iptcCore:AltTextAccessibility"
DESCRIPTION = "XMP-dc:Description"
# Where the Metadata Working Group sees one description: who has one of them has a description.
_DESCRIPTIONS = (DESCRIPTION, "IPTC:Caption-Abstract", "IFD0:ImageDescription")
PROGRAM = "exiftool"


class MetadataError(OSError):
    """An image into which no text was written, with the reason."""


class MetadataWriter:
    """Writes alt texts into images, with one exiftool for all of them.

    Use it in a `with` block.

    Args:
        overwrite: whether texts that are there are replaced.

    Raises:
        ModuleNotFoundError: if PyExifTool is not installed.
        ValueError: if there is no exiftool.
    """

    def __init__(self, overwrite: bool = False) -> None:
        try:
            import exiftool
        except ImportError:
            raise ModuleNotFoundError(
                f"To write metadata, install PyExifTool: {install_advice('metadata')}"
            ) from None
        if shutil.which(PROGRAM) is None:
            raise ValueError(
                "Metadata is written by exiftool: install it (Debian and Ubuntu: `apt install "
                "libimage-exiftool-perl`; macOS: `brew install exiftool`), or write `.xmp` files "
                "beside the images with `--write-sidecars`. Received: no exiftool on PATH"
            )
        self._overwrite = overwrite
        self._program: Any = exiftool.ExifTool(common_args=["-n"], encoding="utf-8")

    def __enter__(self) -> MetadataWriter:
        self._program.run()
        return self

    def __exit__(self, *details: object) -> None:
        self._program.terminate()

    def write(self, path: str, text: str) -> bool:
        """Writes an alt text, and a description where there is none.

        exiftool changes a copy, which takes the image's place when it is whole. Permissions and
        the time of modification stay.

        Args:
            path: of the image.
            text: the alt text.

        Returns:
            bool: whether something was written; False if the image has such texts.

        Raises:
            MetadataError: if the image is gone, read-only, or of a format without metadata.
            OSError: if it cannot be written, as on a full disk.
        """
        # A link stays a link to the image.
        target = os.path.realpath(path)
        before = _stat_of_writable(target, path)
        with _copy(target) as copy:
            tags = self._wanted(copy)
            if not tags:
                return False
            self._execute("-overwrite_original", "-P", *(f"-{tag}={text}" for tag in tags), copy)
            if self._read(copy, tags[0]).get(tags[0]) != text:
                raise MetadataError("exiftool wrote another text than it was given")
            with replacing(target) as partial:
                shutil.copyfile(copy, partial)
                shutil.copystat(target, partial)
                now = os.stat(target)
                if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
                    raise MetadataError("another program changed it meanwhile: run it again")
        return True

    def _wanted(self, path: str) -> list[str]:
        found = self._read(path, ALT_TEXT, *_DESCRIPTIONS)
        tags = [] if found.get(ALT_TEXT) and not self._overwrite else [ALT_TEXT]
        if self._overwrite or not any(found.get(name) for name in _DESCRIPTIONS):
            tags.append(DESCRIPTION)
        return tags

    def _read(self, path: str, *tags: str) -> dict[str, str]:
        answer = self._execute("-j", "-G1", *(f"-{tag}" for tag in tags), path)
        [found] = json.loads(answer)
        # exiftool gives the names in its own spelling.
        return {name: str(value).strip() for name, value in found.items()}

    def _execute(self, *words: str) -> str:
        answer = str(self._program.execute(*words))
        if self._program.last_status:
            reason = str(self._program.last_stderr).strip().partition(" - ")[0]
            raise MetadataError(f"exiftool cannot change it ({reason or 'no reason given'})")
        return answer


def _stat_of_writable(target: str, path: str) -> os.stat_result:
    try:
        found = os.stat(target)
    except OSError as error:
        raise MetadataError(f"it cannot be opened ({error.strerror})") from error
    # A file is replaced, for which its own permission would not be asked.
    if not found.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
        raise MetadataError("it is read-only")
    return found


@contextlib.contextmanager
def _copy(path: str) -> Iterator[str]:
    """A copy under a name that exiftool, which reads names by lines, takes as it is."""
    with tempfile.TemporaryDirectory(prefix="keras-showattend-") as folder:
        copy = pathlib.Path(folder, f"image{os.path.splitext(path)[1]}")
        shutil.copyfile(path, copy)
        shutil.copystat(path, copy)
        yield os.fspath(copy)
