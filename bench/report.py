"""The rows of a run: each a figure, what it is held against, the target, and a verdict."""

import csv
import io
import os
import re

WHY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "why.md")

AT_LEAST, AT_MOST = ">=", "<="


class Row:
    """`figure` and `reference` are texts with their units; `value` is what the target is about, None when it was not measured.
    `key` is its name in bench/why.md, `profile` what was measured of where its time goes, `hot` the rows of measure.hot_threads()."""

    def __init__(self, work, against, figure, reference, value, sense, target, unit, note="", key="", profile=""):
        self.key, self.profile, self.hot = key, profile, []
        self.work, self.against, self.figure, self.reference = work, against, figure, reference
        self.value, self.sense, self.target, self.unit = value, sense, target, unit
        self.note = note.strip().split("\n", maxsplit=1)[0]  # a table has a line for each row

    @property
    def verdict(self):
        if self.value is None:
            return "skipped"
        if self.target is None:
            return "reported"
        if self.sense == AT_LEAST:
            return "ok" if self.value >= self.target else "UNDER"
        return "ok" if self.value <= self.target else "OVER"

    @property
    def missed(self):
        return self.verdict in ("UNDER", "OVER")

    def texts(self):
        value = "" if self.value is None else f"{self.value:.2f} {self.unit}".rstrip()
        target = "" if self.target is None else f"{self.sense} {self.target:g} {self.unit}".rstrip()
        return [self.work, self.against, self.figure, self.reference, value, target, self.verdict, self.note]


def reasons(path=WHY):
    """What is known to hold a row back, by its key."""
    with open(path) as file:
        parts = re.split(r"^## (.+)\n", file.read(), flags=re.M)
    return {key.strip(): " ".join(text.split()) for key, text in zip(parts[1::2], parts[2::2])}


def held_back(rows, known):
    """For each row that misses its target: where its time went in this run, and what is known of it."""
    lines = []
    for row in rows:
        if row.missed:
            _, _, _, _, value, target, _, _ = row.texts()
            told = known.get(row.key, f"Nobody has said yet what holds it: `bench/why.md` has no part `{row.key}`.")
            profile = f" In this run: {row.profile}." if row.profile else ""
            lines.append(f"- **{row.work}**, {value} ({target}).{profile} {told}")
    return ["What holds back what is missed:", "", *lines, "", *hot_table(rows)] if lines else []


def hot_table(rows):
    """The threads that had the cores while a row that misses its target was measured once more, by samples, and their functions."""
    lines = [f"| {row.work} | `{thread}` | {cores:.2f} | {kernel:.0%} | {functions} |".replace("|  |", "| – |")
             for row in rows if row.missed for thread, cores, kernel, functions in row.hot]
    return ["Who had the cores meanwhile, by samples. A function's share is of its thread's time; those of a program without names are left out.",
            "", "| row | thread | cores | of it in the kernel | functions that take most |", "|---|---|---|---|---|", *lines, ""] if lines else []


HEAD = ["work", "against", "millrace", "reference", "value", "target", "verdict", "note"]


def as_line(row):
    work, against, figure, reference, value, target, verdict, note = row.texts()
    return f"{work:44.44} {against:26.26} {figure:>12} {reference:>12} {value:>11} {target:>12}  {verdict}" + (f": {note}" if note else "")


def as_csv(rows, head):
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in head)
    csv.writer(text, lineterminator="\n").writerows([HEAD, *(row.texts() for row in rows)])
    return text.getvalue()


def between(text, begin, end, part):
    """`text` with `part` between the lines `begin` and `end`; SystemExit where they are not."""
    before, found, rest = text.partition(begin + "\n")
    _, found_end, after = rest.partition(end + "\n")
    if not found or not found_end:
        raise SystemExit(f"no lines {begin} and {end}")
    return f"{before}{begin}\n\n{part.strip()}\n\n{end}\n{after}"


def as_markdown(rows, head, charts, heading="# The last run", folder=""):
    """`charts`: file name to title; they are in `folder`."""
    cells = [[text.replace("|", "\\|").replace(">=", "≥").replace("<=", "≤") for text in row.texts()] for row in rows]
    missed = sum(row.missed for row in rows)
    told = [line.replace(">=", "≥").replace("<=", "≤") for line in held_back(rows, reasons())]
    lines = [heading, "", *(f"- {line}" for line in head), "",
             f"Rows: {len(rows)}; targets missed: {missed}; not measured: {sum(row.value is None for row in rows)}.", "",
             "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD), *("| " + " | ".join(row) + " |" for row in cells), "", *told]
    for name, title in charts.items():
        lines += [f"![{title}]({folder}{name})", ""]
    return "\n".join(lines)
