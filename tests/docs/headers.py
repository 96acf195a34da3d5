"""Reads headers: which functions they declare, and what the comment directly above each says."""

import collections
import os
import re

Function = collections.namedtuple("Function", "line name declaration comment")

# A declaration or an inline definition begins a line: a type, then the name and its parenthesis.
FUNCTION = re.compile(r"^(?!typedef\b|return\b|#|_Static_assert\b)[a-z_][\w ]*[ *](?P<name>[a-z]\w*)\((?!\*)")

HEADING = re.compile(r"---- \*/\s*$|^/\* [\w.]+\.c \*/\s*$")


def comment_above(lines, number):
    """The comment that ends on the line above `number`, as one line; None: there is none. A heading (`---- Rows ----`, `claim.c`) is of a section."""
    last = number - 1
    if last < 0 or not lines[last].rstrip().endswith("*/") or HEADING.search(lines[last]):
        return None
    first = last
    while first > 0 and not lines[first].lstrip().startswith("/*"):
        first -= 1
    text = " ".join(line.strip() for line in lines[first:last + 1])
    return "/* " + " ".join(re.sub(r"^/\*|\*/$| \* ", " ", text).replace(" * ", " ").split()) + " */"


def functions(text):
    """The functions that a header declares, in its order."""
    lines = text.split("\n")
    inside = False
    found = []
    for number, line in enumerate(lines):
        if inside:
            inside = "*/" not in line
            continue
        match = FUNCTION.match(line)
        if match:
            found.append(Function(number + 1, match["name"], line, comment_above(lines, number)))
        inside = "/*" in line and "*/" not in line[line.index("/*"):]
    return found


def headers(root):
    """The headers of the folders that the build makes a library of."""
    with open(os.path.join(root, "CMakeLists.txt"), encoding="utf-8") as file:
        folders = re.findall(r"^mr_library\((\w+) SOURCES", file.read(), re.M)
    for folder in folders:
        for place, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith(".h"):
                    yield os.path.join(place, name)
