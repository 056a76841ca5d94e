"""Where a captioner's weights come from, and what binds those who pass them on.

The record lies in a preset's `metadata.json` and travels with a captioner through loading,
training and saving. Whether weights were changed is decided by their digest and by nothing else:
however they were changed, what was measured of the old ones is no longer claimed.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_showattend._files import write_text
from keras_showattend._typing import PathLike
from keras_showattend.presets import files

# The Hub's words for what became of a base model.
FINETUNED = "finetune"
QUANTIZED = "quantized"
MERGED = "merge"
# In place of a base model's name; it has no licence, so that one is asked for.
UNPUBLISHED = "an unpublished captioner"
_ASSET = "provenance.json"
LARGEST_RECORD = 10 * 2**20


@dataclasses.dataclass(frozen=True)
class Credit:
    """Somebody's work inside a captioner, with its terms.

    Attributes:
        text: who made what, and on which terms it may be used; one sentence of Markdown.
        license: expression of SPDX identifiers that binds whoever passes the captioner on, or
            None where there is none.
    """

    text: str
    license: str | None = None


@dataclasses.dataclass(frozen=True)
class BaseModel:
    """A published captioner out of which another one was made.

    Attributes:
        name: name of a bundled preset, or `"user/name"` on the Hub.
        relation: `"finetune"`, `"quantized"` or `"merge"`, as the Hub calls them; None if unknown.
        license: its licence, which still binds.
    """

    name: str
    relation: str | None = None
    license: str | None = None


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What is known of the origin of a captioner.

    Attributes:
        name: name under which these very weights are published, or None.
        description: one sentence about these weights.
        license: expression of SPDX identifiers, or None if nobody has stated one.
        credits: others' work inside.
        datasets: names of the datasets that these weights or their base models learned from.
        language: code of the captions' language.
        limits: sentences on what these weights do badly.
        base_models: what these weights were made from.
        training_command: command that made these weights.
        digest: `weights_digest` of these weights.
        weights_dtype: dtype in which they are stored, if it is the same for all floats.
        records: from file name to content: evaluation, record of the training, licence texts.
    """

    name: str | None = None
    description: str | None = None
    license: str | None = None
    credits: tuple[Credit, ...] = ()
    datasets: tuple[str, ...] = ()
    language: str | None = None
    limits: tuple[str, ...] = ()
    base_models: tuple[BaseModel, ...] = ()
    training_command: str | None = None
    digest: str | None = None
    weights_dtype: str | None = None
    records: Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "Provenance":
        """Reads the record out of the content of a `metadata.json`; what is malformed is not used.

        Args:
            metadata: dict; keys of others are ignored. `origin` is read as one more credit.
        """
        texts = {
            key: metadata[key]
            for key in _TEXT_FIELDS
            if isinstance(metadata.get(key), str) and metadata[key]
        }
        credits = _entries(Credit, metadata.get("credits"))
        if isinstance(metadata.get("origin"), str):
            credits = (Credit(metadata["origin"]), *credits)
        return cls(
            **texts,
            credits=credits,
            datasets=_texts(metadata.get("datasets")),
            limits=_texts(metadata.get("limits")),
            base_models=_entries(BaseModel, metadata.get("base_models")),
        )

    @classmethod
    def read(cls, folder: PathLike) -> "Provenance":
        """Reads the record of a preset, with the files that go with these weights.

        Args:
            folder: path of a preset folder. A registered name or a handle that it was resolved
                from (see `PresetFolder`) becomes the record's name unless it has one.
        """
        root = pathlib.Path(folder)
        path = root / files.METADATA_FILE
        metadata = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        names = (files.EVALUATION_FILE, files.TRAINING_FILE, *files.LICENSE_PATTERNS)
        found = cls.from_metadata(metadata)
        return dataclasses.replace(
            found,
            name=found.name or getattr(folder, "public_name", None),
            records={
                name: (root / name).read_bytes()
                for name in files.matching_files(root, names)
                if (root / name).stat().st_size <= LARGEST_RECORD
            },
        )

    def to_metadata(self) -> dict[str, Any]:
        """Returns the part of a `metadata.json` that holds the record."""
        value = dataclasses.asdict(dataclasses.replace(self, records={}))
        del value["records"]
        return {key: item for key, item in value.items() if item}

    def save(self, folder: PathLike) -> None:
        """Writes the record, without its files, into the folder of a `.keras` file's assets."""
        write_text(pathlib.Path(folder) / _ASSET, json.dumps(self.to_metadata(), indent=4))

    @classmethod
    def load(cls, folder: PathLike) -> "Provenance | None":
        """Reads what `save` wrote; None where there is nothing."""
        path = pathlib.Path(folder) / _ASSET
        if not path.is_file():
            return None
        return cls.from_metadata(json.loads(path.read_text(encoding="utf-8")))

    @property
    def license_expression(self) -> str | None:
        """All licences that bind, joined; None if the weights' own is not known.

        The own one is known where somebody stated it, or where all is made from base models
        with licences.
        """
        bases = [base.license for base in self.base_models]
        if self.license is None and not (bases and all(bases)):
            return None
        return join_licenses([self.license, *bases, *(credit.license for credit in self.credits)])

    def changed(self, digest: str | None, relation: str | None) -> "Provenance":
        """Returns the record of weights that were made from these.

        Licences, credits and datasets still bind. What was said or measured of these weights is
        dropped, and they become the base model if others can get them.

        Args:
            digest: of the new weights.
            relation: see `BaseModel`.
        """
        bases, license = self.base_models, self.license
        if self.name:
            bases = (BaseModel(self.name, relation, self.license_expression),)
            license = None
        records = {
            name: content for name, content in self.records.items() if not name.endswith(".json")
        }
        return Provenance(
            license=license,
            credits=self.credits,
            datasets=self.datasets,
            language=self.language,
            base_models=bases,
            digest=digest,
            records=records,
        )

    def with_teachers(self, teachers: Iterable["Provenance"]) -> "Provenance":
        """Returns a record that credits the captioners that these weights were distilled from.

        Args:
            teachers: records of the teacher, or of the members of a teaching ensemble.
        """
        teachers = list(teachers)
        names = [teacher.name or UNPUBLISHED for teacher in teachers]
        credit = Credit(f"Distilled from {' and '.join(dict.fromkeys(names))}.")
        return dataclasses.replace(
            self,
            credits=_distinct([*self.credits, credit, *_concatenated(teachers, "credits")]),
            datasets=_distinct([*self.datasets, *_concatenated(teachers, "datasets")]),
        )


_TEXT_FIELDS = tuple(
    field.name for field in dataclasses.fields(Provenance) if field.type == str | None
)


def merged(origins: Sequence[Provenance]) -> Provenance:
    """Returns the record of weights that were made from several captioners' weights.

    Args:
        origins: records of the captioners.
    """
    parts = [origin.changed(None, MERGED) for origin in origins]
    bases = [
        dataclasses.replace(base, relation=MERGED)
        for part in parts
        for base in part.base_models or (BaseModel(UNPUBLISHED, license=part.license),)
    ]
    languages = {part.language for part in parts}
    return Provenance(
        credits=_distinct(_concatenated(parts, "credits")),
        datasets=_distinct(_concatenated(parts, "datasets")),
        language=languages.pop() if len(languages) == 1 else None,
        base_models=_distinct(bases),
        records={name: content for part in parts for name, content in part.records.items()},
    )


def join_licenses(licenses: Iterable[str | None]) -> str | None:
    """Joins licence expressions by `AND`, each identifier once; None for no licence at all."""
    terms: list[str] = []
    for license in licenses:
        # "A OR B" stays one term.
        for term in (license or "").split(" AND "):
            if term and term.lower() not in map(str.lower, terms):
                terms.append(term)
    return " AND ".join(terms) or None


def weights_digest(captioner: Any, dtype: str | None = None) -> str:
    """Returns the SHA-256, 64 hex digits, over a captioner's weights and vocabulary.

    It is the same on every backend, and for weights that are stored in float16 and loaded into
    float32.

    Args:
        captioner: an `ImageCaptioner`.
        dtype: `"float16"` for the digest after storing floats in it, or None.
    """
    import keras
    import numpy as np

    digest = hashlib.sha256()
    if captioner.preprocessor is not None:
        words = captioner.preprocessor.tokenizer.get_vocabulary()
        digest.update("\n".join(words).encode())
    for weight in captioner.backbone.weights:
        array = np.asarray(keras.ops.convert_to_numpy(weight))
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(weight.dtype)):
            if dtype is not None:
                with np.errstate(over="ignore"):
                    array = array.astype(dtype)
            array = array.astype("float32")
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read_origin(captioner: Any, folder: PathLike) -> Provenance:
    """Returns the record of a captioner that has just been loaded.

    Args:
        captioner: an `ImageCaptioner` with the weights of the preset.
        folder: path of the preset folder, best as `resolve_preset` gave it.
    """
    found = Provenance.read(folder)
    # Presets of older versions did not store it.
    return found if found.digest else dataclasses.replace(found, digest=weights_digest(captioner))


def origin_of(captioner: Any) -> Provenance:
    """Returns what a captioner remembers of its origin, which may be nothing."""
    return getattr(captioner, "provenance", None) or Provenance()


def origins_of(captioner: Any) -> list[Provenance]:
    """Returns the records of the members of an ensemble, or the one of a captioner."""
    return getattr(captioner, "origins", None) or [origin_of(captioner)]


def relation_to(captioner: Any) -> str:
    """Returns what changed weights are to those that they were made from; see `BaseModel`."""
    is_quantized = any("int" in str(weight.dtype) for weight in captioner.backbone.weights)
    return QUANTIZED if is_quantized else FINETUNED


def _texts(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()


def _entries(kind: type, value: Any) -> tuple[Any, ...]:
    names = [field.name for field in dataclasses.fields(kind)]
    return tuple(
        kind(**{name: entry[name] for name in names if isinstance(entry.get(name), str)})
        for entry in (value if isinstance(value, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get(names[0]), str)
    )


def _concatenated(origins: Iterable[Provenance], field: str) -> list[Any]:
    return [item for origin in origins for item in getattr(origin, field)]


def _distinct(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))
