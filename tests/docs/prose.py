"""Spelling: which words of the pages and of the comments in headers no dictionary knows, nor tests/docs/words.txt.

    python3 prose.py        prints them with their places; exit status 1 when there are any

Hunspell's en_GB decides. What is code is left out: blocks, code spans, links' targets, names with digits, capitals inside or an underscore.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORDS = os.path.join(HERE, "words.txt")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def without_code(text):
    """The text with everything that is no prose blanked, and its lines where they were."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    for pattern in (r"^```.*?^```$", r"(?:(?<=\n\n)|(?<=\n))(?: {4}|\t)[^\n]*", r"`[^`]*`", r"\]\([^)]*\)", r"<[^>\n]*>", r"https?://\S+"):
        text = re.sub(pattern, blank, text, flags=re.M | re.S if "```" in pattern else re.M)
    return text


def comments(text):
    """The comments of a C file, everything else blanked."""
    kept = []
    at = 0
    for match in re.finditer(r"/\*.*?\*/", text, re.S):
        kept.append(re.sub(r"[^\n]", " ", text[at:match.start()]))
        kept.append(match.group(0))
        at = match.end()
    return "".join(kept)


def words(text):
    """(line, word) of the words of a prose; not those that are names: with a dot, a digit, a slash or an underscore, or capitals inside."""
    for number, line in enumerate(text.split("\n"), 1):
        for token in re.split(r"[\s\"()\[\]{}<>|*,;:!?…–—“”]+", line):
            token = token.strip(".'’/=+")
            for part in re.split(r"[-/]", token):
                part = part.strip(".'’")
                if WORD.fullmatch(part) and not re.search(r"[a-z][A-Z]|^[A-Z]{2,}s?$", part):
                    yield number, part


def sources():
    """(path, prose) of every page and header that git knows."""
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "*.md", "*.h"], check=True, capture_output=True, text=True).stdout.split("\0")
    for name in names:
        path = os.path.join(ROOT, name)
        if name and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            yield name, without_code(text if name.endswith(".md") else comments(text))


def unknown(candidates, own=WORDS):
    """Those that neither the dictionary nor the list knows; the project's own words count in any case."""
    with open(own, encoding="utf-8") as file:
        known = {line.strip().lower() for line in file if line.strip() and not line.startswith("#")}
    def stem(word):
        return re.sub("['’]s$", "", word)

    asked = sorted({stem(word) for word in candidates if stem(word).lower() not in known})
    done = subprocess.run(["hunspell", "-d", "en_GB", "-i", "utf-8", "-l"], input="\n".join(asked) + "\n", check=True, capture_output=True,
                          text=True)
    wrong = set(done.stdout.split())
    return {word for word in candidates if stem(word) in wrong}


def problems():
    places = {}
    for name, prose in sources():
        for line, word in words(prose):
            places.setdefault(word, []).append(f"{name}:{line}")
    return [f"{places[word][0]}: {word}" + (f" (and {len(places[word]) - 1} more)" if len(places[word]) > 1 else "")
            for word in sorted(unknown(places))]


if __name__ == "__main__":
    found = problems()
    for line in found:
        print(line)
    sys.exit(1 if found else 0)
