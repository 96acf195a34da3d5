"""Links of the pages in the tree, as a code host follows them: to files that are there, and to headings that are. And what pages name in
passing: files of the project, and tests.

    python3 markdown.py     prints those that lead nowhere; exit status 1 when there are any
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LINK = re.compile(r"\]\(([^)\s]+)\)")
NO_PAGES = {"build", "node_modules", ".git", ".millrace", "cdk.out"}
# A file or a folder of the project, in a code span. Capitals are placeholders.
NAMED = re.compile(r"`((?:actors|app|application|bench|docs|gateway|http|infrastructure|jobs|openapi|packaging|proto|runtime|scheduler|sql|tests)"
                   r"/[a-z_0-9./-]*(?:/|\.[a-z]+))`")
TEST = re.compile(r"`(test_\w+__\w+)`")
NOT_OURS = ("bench/results/", "infrastructure/.env", "docs/crash.log")  # what comes to be, and a path of a client's


def pages(root):
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in NO_PAGES]
        for name in files:
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def without_code(text):
    """Fenced and indented blocks and code spans are no links and no headings."""
    text = re.sub(r"^(```+).*?^\1$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", lambda match: re.sub(r"[\[\]()]", "", match.group(0)), text)


def anchors(text):
    """What headings are called in links, as GitHub does it: lower case, blanks as hyphens, no punctuation; -1 and so on when repeated."""
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    counts = {}
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", without_code(text), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = counts.get(slug, 0)
        counts[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def tests(root):
    """The names of all tests."""
    found = set()
    for folder, _, files in os.walk(os.path.join(root, "tests")):
        for name in files:
            if name.endswith(("_test.py", "_test.c")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    found.update(re.findall(r"\b(test_\w+)\(", file.read()))
    return found


def misnamed(root):
    """Names of files and tests in the pages of which there are none. Decisions tell what was so."""
    known = tests(root)
    found = []
    for page in sorted(pages(root)):
        name = os.path.relpath(page, root)
        if name.startswith("docs/decisions/") or name == "CHANGELOG.md":
            continue
        with open(page, encoding="utf-8") as file:
            whole = file.read()
        text = re.sub(r"^(```+).*?^\1$", "", whole, flags=re.M | re.S)
        written = set(re.findall(r"^```\w+ file=(\S+)$", whole, re.M))  # files that the page has its reader write
        found += [f"{name}: there is no {path}" for path in NAMED.findall(text)
                  if path not in written and not path.startswith(NOT_OURS) and not os.path.exists(os.path.join(root, path))]
        found += [f"{name}: there is no {test}" for test in TEST.findall(text) if test not in known]
    return found


def problems(root):
    texts = {}
    for page in pages(root):
        with open(page, encoding="utf-8") as file:
            texts[page] = file.read()
    known = {page: anchors(text) for page, text in texts.items()}
    found = []
    for page, text in sorted(texts.items()):
        name = os.path.relpath(page, root)
        for target in LINK.findall(without_code(text)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            whole = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(whole):
                found.append(f"{name}: {target} is not there")
            elif anchor and whole in known and anchor not in known[whole]:
                found.append(f"{name}: {target} has no such heading")
    return found


if __name__ == "__main__":
    wrong = problems(ROOT) + misnamed(ROOT)
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)
