"""Gathers the pages of the site: stage.py MILLRACE SOURCE writes into SOURCE what mkdocs reads, and mkdocs.yml with the navigation.

Pages stand in the tree as they do on a code host, with links to files beside them. Here each link leads to the page of that
file: to a page of the site; to a page with the source, where it names a file; to a list, where it names a folder. What describes
tables of the binary (settings, operations) is asked of the binary MILLRACE.
"""

import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Where pages stand in the navigation. A page in docs/ that is not named here stands under Guides.
NAVIGATION = [
    ("Start", ["README.md", "docs/quick-start.md", "docs/tutorial.md", "CHANGELOG.md"]),
    ("Concepts", ["docs/concepts.md", "docs/architecture.md", "docs/scaling.md", "docs/performance.md"]),
    ("Guides", ["docs/adding-a-resource.md", "docs/adding-a-job.md", "docs/jobs.md", "docs/workers.md", "docs/webhooks.md",
                "docs/api-keys.md"]),
    ("Reference", ["docs/applications.md", "reference/settings.md", "reference/operations.md", "docs/http.md", "docs/metrics.md"]),
    ("Operations", ["docs/operations.md", "docs/packaging.md", "docs/tracing.md", "docs/infrastructure.md",
                    "infrastructure/docs/runbook.md", "infrastructure/docs/cost.md"]),
    ("Project", ["CONTRIBUTING.md", "SECURITY.md", "bench/peers/README.md", "infrastructure/README.md", "tests/data/mistakes/README.md"]),
]
DECISIONS = "docs/decisions"
VERBS = ("get", "post", "put", "patch", "delete")
ASSETS = (".svg", ".png")
LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?(\))")
LANGUAGES = {".c": "c", ".h": "c", ".py": "python", ".sql": "sql", ".yaml": "yaml", ".yml": "yaml", ".ts": "typescript", ".mjs": "javascript"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def decisions():
    names = sorted(name for name in os.listdir(os.path.join(ROOT, DECISIONS)) if name.endswith(".md") and name != "README.md")
    return [f"{DECISIONS}/README.md"] + [f"{DECISIONS}/{name}" for name in names]


def navigation():
    """(section, pages) of those pages that there are."""
    there = {f"docs/{name}" for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")}
    sections = [(title, [page for page in pages if page.startswith("reference/") or os.path.exists(os.path.join(ROOT, page))])
                for title, pages in NAVIGATION]
    named = {page for _, pages in sections for page in pages}
    dict(sections)["Guides"].extend(sorted(there - named))
    return sections + [("Decisions", decisions())]


class Stage:
    def __init__(self, millrace, target):
        self.millrace = millrace
        self.target = target
        self.sections = navigation()
        self.pages = {page for _, pages in self.sections for page in pages}
        self.sources = []  # files and folders that pages link to, each a page by now or soon

    def ask(self, *arguments):
        return subprocess.run([self.millrace, *arguments], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def write(self, path, text):
        path = os.path.join(self.target, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def place(self, page):
        """Where a page of the tree stands in the site."""
        return "index.md" if page == "README.md" else page

    def source(self, path):
        """The page that shows a file or a folder."""
        if path not in self.sources:
            self.sources.append(path)
        return f"source/{path}.md"

    def leads_to(self, page, target, anchor):
        """Where a link of a page leads in the site, from its root."""
        path = os.path.normpath(os.path.join(os.path.dirname(page), target)) if target else page
        if path == "README.md" and anchor == "#settings":
            return "reference/settings.md", ""
        if path in self.pages:
            return self.place(path), anchor
        if os.path.isdir(os.path.join(ROOT, path)) and f"{path}/README.md" in self.pages:
            return f"{path}/README.md", anchor
        if path.endswith(ASSETS):
            return path, ""
        if not os.path.exists(os.path.join(ROOT, path)):
            raise SystemExit(f"{page}: {target} is not there")
        return self.source(path), ""

    def link(self, page, match):
        before, target, anchor, after = match.group(1), match.group(2), match.group(3) or "", match.group(4)
        if re.match(r"[a-z]+:", target) or not target + anchor:
            return match.group(0)
        where, anchor = self.leads_to(page, target, anchor)
        if where.endswith(ASSETS):
            self.copy(where)
        return before + os.path.relpath(where, os.path.dirname(self.place(page)) or ".") + anchor + after

    def copy(self, path):
        os.makedirs(os.path.dirname(os.path.join(self.target, path)), exist_ok=True)
        shutil.copyfile(os.path.join(ROOT, path), os.path.join(self.target, path))

    def rewrite(self, page, text):
        """Links of the text, where they are no part of a block of code."""
        parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
        for i in range(0, len(parts), 2):
            parts[i] = LINK.sub(lambda match: self.link(page, match), parts[i])
        # What our fences say behind the language is for tests.
        return re.sub(r"^```(\w+) [^\n]*$", r"```\1", "".join(parts), flags=re.M)

    def stage(self, page):
        text = read(page)
        if page == "README.md":
            text = text[:text.index("## Settings\n")]
        self.write(self.place(page), self.rewrite(page, text))

    def settings(self):
        """The table of the binary, its first three columns in one: names are long, and what a setting does has to have room beside them."""
        table = re.findall(r"^\| (`.*) \| (.*) \| (.*) \| (.*) \|$", self.ask("config", "--markdown"), re.M)
        rows = [f"| {name}<br>{kind}{f'<br>default {default}' if default else ''} | {does} |" for name, default, kind, does in table]
        self.write("reference/settings.md", "# Settings\n\nSettings are environment variables. `millrace config` prints each with its value. If some "
                   "are wrong, the process names all of them and does not start.\n\n<div class='settings' markdown>\n\n| setting | what it does |\n|---|---|\n"
                   + "\n".join(rows) + "\n\n</div>\n")

    def callers(self):
        """Who may call each operation: by its verb and path, in words."""
        words = {}
        for verb, path, _, _, access, scopes in (line.split(None, 6)[:6] for line in self.ask("routes").splitlines()):
            who = {"public": "anybody", "optional": "anybody", "user": "users", "admin": "administrators"}[access]
            keys = "" if scopes == "-" else "; keys with " + " or ".join(f"`{scope}`" for scope in scopes.split("|"))
            words[verb, re.sub(r":(\w+)", r"{\1}", path)] = who + keys
        return words

    def operations(self):
        """The operations of the application in the binary, by group, as its OpenAPI document has them."""
        document = json.loads(self.ask("openapi"))
        about = {tag["name"]: tag.get("description", "") for tag in document.get("tags", [])}
        operations = [one for item in document["paths"].values() for verb, one in item.items() if verb in VERBS]
        common = set.intersection(*(set(one["responses"]) for one in operations))
        callers = self.callers()
        groups = {}
        for path, item in document["paths"].items():
            for verb in VERBS:
                if verb in item:
                    one = item[verb]
                    alias = "anybody" if one.get("security") == [] else "users"  # another name of an operation is no route of its own
                    who = callers.get((verb.upper(), path), alias)
                    answers = " ".join(sorted(set(one["responses"]) - common))
                    groups.setdefault(one["tags"][0], []).append(
                        f"| {verb.upper()} | `{path}` | {one['summary']} | {who} | {answers} |")
        text = ("# Operations of the API\n\nThis is what the binary serves without a folder of yours: the engine's operations, and those of tasks. An "
                "application has the engine's and its own: `millrace routes` lists them, `/openapi.json` describes each with all fields, and "
                "`/apidoc` lets you try them. An API key may call what anybody may call, and what names one of its scopes. Every operation "
                f"may also answer {', '.join(sorted(common))}.\n")
        for group, rows in groups.items():
            text += f"\n## {group}\n\n{about.get(group, '')}\n\n| verb | path | what it does | who | answers |\n|---|---|---|---|---|\n"
            text += "\n".join(rows) + "\n"
        self.write("reference/operations.md", text)

    def show_file(self, path):
        language = LANGUAGES.get(os.path.splitext(path)[1], "text")
        fence = "````"
        self.write(f"source/{path}.md", f"# {os.path.basename(path)}\n\n`{path}`\n\n{fence}{language}\n{read(path).rstrip()}\n{fence}\n")

    def about(self, path):
        """The first sentence of a C file's head, which says what it is for."""
        if not path.endswith((".h", ".c")):
            return ""
        match = re.match(r"/\*\n \* [\w.-]+: (.*?)\n \*(?:\n|/)", read(path), re.S)
        return " ".join(match.group(1).replace("\n * ", " ").split()).replace("|", "\\|") if match else ""

    def show_folder(self, path):
        names = sorted(os.listdir(os.path.join(ROOT, path)))
        rows = []
        for name in names:
            whole = f"{path}/{name}"
            if name.startswith(".") or name in ("node_modules", "build", "__pycache__"):
                continue
            shown = f"[`{name}`]({os.path.relpath(f'source/{whole}.md', os.path.dirname(f'source/{path}.md'))})" if whole in self.sources else f"`{name}`"
            rows.append(f"| {shown} | {self.about(whole) if os.path.isfile(os.path.join(ROOT, whole)) else ''} |")
        self.write(f"source/{path}.md", f"# {path}/\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n")

    def configuration(self):
        """mkdocs.yml with the navigation behind it; its paths are from where it is written."""
        with open(os.path.join(HERE, "mkdocs.yml"), encoding="utf-8") as file:
            text = file.read()
        site = os.path.join(os.path.dirname(self.target), "docs")
        text = re.sub(r"^docs_dir: .*$", f"docs_dir: {json.dumps(self.target)}", text, flags=re.M)
        text = re.sub(r"^site_dir: .*$", f"site_dir: {json.dumps(site)}", text, flags=re.M)
        text += "nav:\n"
        for title, pages in self.sections:
            text += f"  - {title}:\n" + "".join(f"      - {json.dumps(self.place(page))}\n" for page in pages)
        with open(self.target + ".yml", "w", encoding="utf-8") as file:
            file.write(text)

    def run(self):
        shutil.rmtree(self.target, ignore_errors=True)
        for page in sorted(self.pages):
            if not page.startswith("reference/"):
                self.stage(page)
        self.settings()
        self.operations()
        for path in [path for path in self.sources if os.path.isfile(os.path.join(ROOT, path))]:
            self.show_file(path)
        for path in [path for path in self.sources if os.path.isdir(os.path.join(ROOT, path))]:
            self.show_folder(path)
        for name in ("site.css", "favicon.svg"):
            shutil.copyfile(os.path.join(HERE, name), os.path.join(self.target, name))
        self.configuration()


if __name__ == "__main__":
    Stage(sys.argv[1], os.path.abspath(sys.argv[2])).run()
