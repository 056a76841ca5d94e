"""What came of the trials: lines of JSON, so that a run of hours resumes, and tables of them."""

import json
import pathlib

GOOD = "as undisturbed"


class Results:
    """The trials that are done.

    Args:
        path: JSON-lines file, which need not exist. None keeps them in memory.
    """

    def __init__(self, path=None):
        self.path = path and pathlib.Path(path)
        self.rows = []
        if self.path and self.path.exists():
            lines = self.path.read_text().splitlines(keepends=True)
            # A kill may have cut the last one.
            self.rows = [json.loads(line) for line in lines if line.endswith("\n")]
            self.path.write_text("".join(line for line in lines if line.endswith("\n")))

    def of(self, fault, work):
        """The rows of one fault in one kind of work, in the order of their trials."""
        return [row for row in self.rows if (row["fault"], row["work"]) == (fault, work)]

    def add(self, row):
        """Keeps a row, on disk at once."""
        self.rows.append(row)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(row) + "\n")

    def wrong(self):
        """The rows that are not as they should be."""
        return [row for row in self.rows if row.get("wrong") or row.get("outcome", GOOD) != GOOD]

    def __str__(self):
        """The tables of docs/reliability.md."""
        groups = {}
        for row in self.rows:
            groups.setdefault((row["fault"], row["work"]), []).append(row)
        trials = {key: rows for key, rows in groups.items() if "outcome" in rows[0]}
        damaged = {key: rows for key, rows in groups.items() if "read" in rows[0]}
        lines = ["| fault | work | moments | as undisturbed |", "|---|---|---|---|"]
        for (fault, work), rows in trials.items():
            moments = sum(row["moments"] for row in rows)
            good = sum(row["outcome"] == GOOD for row in rows)
            lines.append(f"| {fault} | {work} | {moments} | {good} of {len(rows)} runs |")
        lines += ["", "| damaged copies of | in | read | refused | slowest | memory | wrong |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for (fault, work), rows in damaged.items():
            read, refused = (sum(row[name] for row in rows) for name in ("read", "refused"))
            slowest = max(row["slowest"] for row in rows)
            memory = max(row["memory"] for row in rows)
            wrong = sum(len(row["wrong"]) for row in rows)
            lines.append(
                f"| {read + refused + wrong:,} {fault} | {work} | {read:,} | {refused:,} "
                f"| {slowest:.1f} s | +{memory:.0f} MB | {wrong} |"
            )
        return "\n".join(lines)
