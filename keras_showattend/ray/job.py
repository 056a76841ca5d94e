"""A bulk run: what a source holds and an output lacks is captioned."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import pathlib
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from keras_showattend._locks import exclusive
from keras_showattend._typing import PathLike
from keras_showattend.data.storage import Listing, list_source, locate
from keras_showattend.engines import check_engine
from keras_showattend.preprocessing import ImageError
from keras_showattend.presets import resolve_preset
from keras_showattend.ray.parts import FORMATS, CaptionParts, WriteParts
from keras_showattend.ray.pipeline import (
    LIGHT_CPUS,
    caption_rows,
    image_converter_of,
    require_ray,
    usual_actors,
)
from keras_showattend.ray.preset_files import PresetFiles
from keras_showattend.ray.reading import PathSet, ReadImages
from keras_showattend.ray.stages import image_source

# Images whose rows are written together, and lost together with an actor.
ROWS_IN_A_PART = 512
# How many images `engine="openvino"` is shown beforehand.
_SAMPLES = 32


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a bulk run did.

    Attributes:
        captioned: int. Rows with a caption that were added.
        errors: int. Rows with an error that were added.
        cut: int. Captions among them that ended at the longest length.
        skipped: int. Rows that were there before; of tars and Parquet files, in all.
        lost: int. Images, or files of them, that could not be finished because the process
            that worked on them died each time.
        seconds: float.
    """

    captioned: int
    errors: int
    cut: int
    skipped: int
    lost: int
    seconds: float

    def __str__(self) -> str:
        parts = {
            "skipped, captioned before": self.skipped,
            "cut before their end": self.cut,
            "with an error": self.errors,
            "lost with the processes that read them": self.lost,
        }
        told = "".join(f"; {count} {what}" for what, count in parts.items() if count)
        rate = (self.captioned + self.errors) / max(self.seconds, 1e-9)
        return f"captioned {self.captioned} images at {rate:.1f} images/s{told}"


def caption_source(
    source: PathLike,
    output: PathLike,
    preset: PathLike,
    *,
    address: str | None = None,
    file_format: str = "parquet",
    retry_errors: bool = False,
    settings: Mapping[str, str] | None = None,
    image_column: str | None = None,
    id_column: str | None = None,
    rows_in_a_part: int | None = None,
    **options: Any,
) -> Summary:
    """Captions the images of a source that an output lacks.

    Every image has one row in the end, with its caption or an error, however often the run
    or a machine of it was stopped. A machine that dies costs the rows that it was at; they
    are captioned again before the run ends.

    Args:
        source: file, folder, glob or URI of images, of tars with images or of Parquet files;
            see `list_source`.
        output: folder or URI, made if need be. Gets files of rows with `path`, `caption`,
            `log_probability`, `score`, `confidence`, `complete`, `error` and the columns of
            `settings`. One run at a time may write to it.
        preset: see `resolve_preset`. It is sent to the machines, which need not see it.
        address: address of a Ray cluster, `"auto"` for the one of this machine, or None for a
            Ray of its own, unless this process is connected already.
        file_format: `"parquet"` or `"jsonl"`.
        retry_errors: bool. Whether images whose row has an error are captioned again.
        settings: dict of str that all rows get as columns. An output with others is refused.
        image_column, id_column: see `ReadImages`.
        rows_in_a_part: int. Most images that a task takes; None for 512, or fewer where the
            actors would go short.
        **options: of `caption_rows`.

    Returns:
        `Summary`.

    Raises:
        BlockingIOError: if another process of this machine writes to the output.
        ModuleNotFoundError: without Ray, or a package that a URI needs.
        OSError: if the source cannot be listed or the output cannot be written.
        ValueError: for a source without images, an output of another captioner, or a preset
            that cannot be loaded.
    """
    require_ray()
    if file_format not in FORMATS:
        raise ValueError(f"`file_format` must be one of {FORMATS}. Received: {file_format!r}")
    check_engine(options.get("engine", "keras"), options.get("dtype"))
    start = time.monotonic()
    constants = dict(settings or {})
    folder = resolve_preset(preset)
    listing = list_source(source)
    _check_names(listing)
    parts = CaptionParts(locate(output), file_format)
    with _held(parts), _connected(address):
        parts.prepare(constants)
        run = _Run(listing, parts, constants, rows_in_a_part, image_column, id_column)
        if options.get("engine") == "openvino":
            options["samples"] = run.samples(folder)
        counts = run.captions(PresetFiles.read(folder), retry_errors, options)
    return Summary(**counts, seconds=time.monotonic() - start)


class _Run:
    def __init__(
        self,
        listing: Listing,
        parts: CaptionParts,
        constants: Mapping[str, str],
        rows_in_a_part: int | None,
        image_column: str | None,
        id_column: str | None,
    ) -> None:
        self.listing = listing
        self.parts = parts
        self.constants = constants
        self.rows_in_a_part = rows_in_a_part
        self.columns: dict[str, Any] = {"image_column": image_column, "id_column": id_column}

    def captions(
        self, preset: PresetFiles, retry_errors: bool, options: Mapping[str, Any]
    ) -> dict[str, int]:
        """Passes over what is lacking until nothing is, or a pass brings nothing new."""
        done = PathSet(self.parts.done(retry_errors))
        prefix = self.listing.location.prefix
        todo = self.listing.paths
        if self.listing.kind == "images":
            todo = [path for path in todo if prefix + path not in done]
            skipped = len(self.listing.paths) - len(todo)
        else:
            skipped = len(done)
        written = errors = cut = 0
        while todo:
            counts: dict[str, list[int]] = {}
            for row in self._pass(todo, done, preset, options):
                count = counts.setdefault(row["file"], [0, -1])
                count[0] += row["written"]
                count[1] = max(count[1], row["rows"])
                written += row["written"]
                errors += row["errors"]
                cut += row["cut"]
            if self.listing.kind == "images":
                left = [path for path in todo if path not in counts]
            else:
                left = [path for path in todo if not _is_whole(counts.get(path))]
            if left and not any(count[0] for count in counts.values()):
                break
            todo = left
            if todo and self.listing.kind != "images":
                done = PathSet(self.parts.done())
        return {
            "captioned": written - errors,
            "errors": errors,
            "cut": cut,
            "skipped": skipped,
            "lost": len(todo),
        }

    def _pass(
        self, todo: list[str], done: PathSet, preset: PresetFiles, options: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        import pyarrow
        import ray.data

        size = self._files_in_a_task(len(todo), options)
        tables = [
            pyarrow.table({"file": pyarrow.array(todo[first : first + size], pyarrow.string())})
            for first in range(0, len(todo), size)
        ]
        read = ReadImages(self.listing.location, self.listing.kind, done, **self.columns)
        write = WriteParts(self.parts.location, self.parts.format, self.constants)
        rows = ray.data.from_arrow(tables).map_batches(read, batch_size=None, num_cpus=LIGHT_CPUS)
        rows = caption_rows(rows, preset, **options)
        return rows.map_batches(write, batch_size=None, num_cpus=LIGHT_CPUS).iter_rows()

    def _files_in_a_task(self, count: int, options: Mapping[str, Any]) -> int:
        if self.listing.kind != "images":
            return 1
        if self.rows_in_a_part:
            return self.rows_in_a_part
        actors = options.get("actors") or usual_actors()
        return min(ROWS_IN_A_PART, max(32, int(count / (8 * actors))))

    def samples(self, folder: str) -> list[Any]:
        """The same images in every run, spread over the source or over its first file."""
        converter = image_converter_of(folder)
        paths = self.listing.paths
        if self.listing.kind == "images":
            paths = paths[:: max(1, len(paths) // _SAMPLES)][:_SAMPLES]
        read = ReadImages(self.listing.location, self.listing.kind, **self.columns)
        found: list[Any] = []
        for batch in read({"file": paths}):
            for image in batch["image"]:
                with contextlib.suppress(ImageError, OSError):
                    found.append(converter.load(image_source(image)))
            if len(found) >= _SAMPLES:
                break
        return found[:_SAMPLES]


def _is_whole(count: list[int] | None) -> bool:
    return count is not None and count[0] == count[1]


def _check_names(listing: Listing) -> None:
    for path in listing.paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "Names of files must be UTF-8, as tables hold no others: rename the file. "
                f"Received: {path!r}"
            ) from None


@contextlib.contextmanager
def _held(parts: CaptionParts) -> Iterator[None]:
    if not parts.location.is_local:
        yield
        return
    pathlib.Path(parts.location.path).parent.mkdir(parents=True, exist_ok=True)
    with exclusive(parts.location.path):
        yield


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """A connection to Ray, which goes on after errors and shows progress on a terminal."""
    import ray
    from ray.data import DataContext

    is_mine = not ray.is_initialized()
    if is_mine:
        with warnings.catch_warnings():
            # Of a change that Ray will make to environment variables of GPUs.
            warnings.simplefilter("ignore", FutureWarning)
            ray.init(
                address or "local",
                logging_level=logging.WARNING,
                log_to_driver=False,
                include_dashboard=None if address else False,
            )
    context = DataContext.get_current()
    before = {
        name: getattr(context, name) for name in ("max_errored_blocks", "enable_progress_bars")
    }
    logger = logging.getLogger("ray.data")
    level = logger.level
    try:
        context.max_errored_blocks = -1
        context.enable_progress_bars = sys.stderr.isatty()
        logger.setLevel(logging.ERROR)
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)
        if is_mine:
            ray.shutdown()
