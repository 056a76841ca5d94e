"""Times how a file of many captions is read when a run resumes, compared with row by row.

    python benchmarks/resuming.py [--rows 1000000] [--repeats 3]

The file is made beforehand, in the form of `keras-showattend caption --output`. The baseline is
"row by row": each row is parsed by itself, and put into a database with its indexes and a copy
of the row, as this package did at first. "Parsing alone" is the standard library's parser over
all rows, which nothing can be faster than. Seconds are those of the processor, which a busy
machine changes less.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import pathlib
import resource
import sqlite3
import tempfile
import time

from timing import interleave, ratios, table, write_json

from keras_showattend.cli.caption_file import CaptionFile
from keras_showattend.cli.caption_rows import COLUMNS
from keras_showattend.cli.row_formats import Csv, JsonLines

FORMATS = {"CSV": Csv(COLUMNS), "JSON lines": JsonLines(COLUMNS)}
BASELINE = "row by row"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()
    results = {"rows": args.rows}
    with tempfile.TemporaryDirectory() as folder:
        for name, row_format in FORMATS.items():
            path = os.path.join(folder, "captions")
            write_rows(path, row_format, args.rows)
            before = peak_memory()
            CaptionFile(path, row_format)
            results[f"MiB more, {name}"] = peak_memory() - before
            seconds = interleave(
                {
                    BASELINE: lambda path=path, form=row_format: row_by_row(path, form),
                    "parsing alone": lambda path=path, name=name: parsing_alone(path, name),
                    "CaptionFile": lambda path=path, form=row_format: CaptionFile(path, form),
                },
                args.repeats,
                warmup=0,
                clock=time.process_time,
            )
            results[f"seconds, {name}"] = seconds
            results[f"ratio, {name}"] = ratios(seconds, BASELINE)
            title = f"{name}, {args.rows} rows, {os.path.getsize(path) >> 20} MiB"
            print(table(title, seconds, BASELINE))
            print(f"at most {results[f'MiB more, {name}']:.0f} MiB more in memory", flush=True)
    if args.output:
        write_json(args.output, results)


def write_rows(path, row_format, count):
    """Writes a file of rows, sorted by path, each with content of its own."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(row_format.header)
        for number in range(count):
            row = {
                "path": f"photos/{number // 1000:04d}/IMG_{number:07d}.jpg",
                "caption": "A brown dog is running through the grass.",
                "log_probability": -7 - number % 1000 / 331,
                "score": -0.7 - number % 77 / 991,
                "confidence": round(number % 997 / 997, 4),
                "shaky_words": "brown" if number % 3 else "",
                "unfamiliar": number % 5 == 0,
                "complete": True,
                "withheld": False,
                "review": "",
                "content": hashlib.sha256(b"%d" % number).hexdigest()[:32],
                "preset": "vgg16_gru_flickr8k",
                "settings": "num_beams=5 length_penalty=0.9 digest=0123456789abcdef",
            }
            file.write(row_format.line(row))


def row_by_row(path, row_format):
    """Parses each row by itself, and keeps it in a database that is indexed meanwhile."""
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    database.execute("CREATE TABLE rows (path BLOB PRIMARY KEY, content TEXT) WITHOUT ROWID")
    database.execute("CREATE TABLE contents (content TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID")
    is_csv = isinstance(row_format, Csv)
    pending = b""
    with open(path, "rb") as file:
        for number, line in enumerate(file):
            pending += line
            if is_csv and (number == 0 or pending.count(b'"') % 2):
                pending = b"" if number == 0 else pending
                continue
            text, pending = pending.decode("utf-8", "surrogateescape"), b""
            if is_csv:
                [cells] = csv.reader(io.StringIO(text, newline=""), strict=True)
                row = dict(zip(COLUMNS, cells, strict=True))
            else:
                row = json.loads(text)
            key = os.fsencode(os.path.abspath(row["path"]))
            kept = {name: row[name] for name in row if name not in ("path", "preset", "settings")}
            database.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", (key, row["content"]))
            database.execute(
                "INSERT OR IGNORE INTO contents VALUES (?, ?)", (row["content"], json.dumps(kept))
            )


def parsing_alone(path, name):
    """Has the standard library parse all rows."""
    with open(path, encoding="utf-8", newline="") as file:
        for _ in csv.reader(file) if name == "CSV" else map(json.loads, file):
            pass


def peak_memory():
    """Returns the most memory that this process has had, in MiB; Linux only."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
