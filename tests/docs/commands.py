"""Which commands the pages show, and who runs each: a test, or nobody, for a reason that stands here.

The test named in FOLLOWED types the fenced blocks of a page, as tests/e2e/pages.py says. Any other command has to match a pattern: in
ELSEWHERE with the test that runs it and words of that test, or in NOT_HERE with the reason why it cannot be run here.
"""

import collections
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

Command = collections.namedtuple("Command", "page line text skipped")

FOLLOWED = {
    "docs/tutorial.md": "tests/e2e/tutorial_test.py",
    "docs/api-keys.md": "tests/e2e/guides_test.py",
    "docs/jobs.md": "tests/e2e/guides_test.py",
    "docs/workers.md": "tests/e2e/guides_test.py",
    "docs/webhooks.md": "tests/e2e/guides_test.py",
    "docs/http.md": "tests/e2e/guides_test.py",
    "docs/metrics.md": "tests/e2e/guides_test.py",
    "docs/tracing.md": "tests/e2e/guides_test.py",
    "docs/operations.md": "tests/e2e/guides_test.py",
    "docs/quick-start.md": "tests/e2e/pages_test.py",
    "docs/adding-a-resource.md": "tests/e2e/pages_test.py",
}

# (pattern, test, what stands in that test)
ELSEWHERE = [
    (r"^post /v1/products ", "tests/e2e/pages_test.py", "its_twelve_lines"),
    (r"^\./dev test$", ".ci/run", "./dev test"),
    (r"^\./dev package$", "tests/package/package_test.py", '"dev", "package"'),
    (r"^\./dev run$", "tests/bare/bare.py", "./dev run"),
    (r"^\./dev \w", "tests/e2e/dev_test.py", "test_commands_of_pages__reach_their_programs"),
    (r"^aws ecr get-login-password \| docker login ", "tests/docs/aws_cli.py", "of-the-registry"),
    (r"^(aws|PASSWORD=|for \w+ in .*\baws) ?", "tests/docs/aws_test.py", "test_commands__are_what_the_aws_cli_and_its_services_take"),
    (r"^(npm install|npm test)$", "tests/npm", "npm"),
    (r"^(cd infrastructure|cp \.env\.example \.env)$", "infrastructure/test/cli.test.ts", "cp \\.env\\.example \\.env"),
    (r"^npm run synth ", "infrastructure/test/cli.test.ts", "npm run synth .*"),
    (r"^curl localhost:3000/v1/products/import ", "tests/e2e/example_shop_test.py", "/v1/products/import"),
    (r"^curl --fail https://millrace-api\.example\.com/", "tests/e2e/pages_test.py", "curl --fail"),
    (r"^python3 bench/scaling\.py ", "tests/docs/commands_test.py", "docs/scaling.md"),
    (r"^(MILLRACE_IMAGE=shop )?docker compose -f compose/docker-compose\.yml ", "tests/image/compose_test.py", "docker-compose.yml"),
    (r"^docker (tag|push) ", "tests/image/image_test.py", "docker (?:tag|push) "),
    (r"^docker (build --tag shop \.|run --rm shop routes)$", "tests/image/image_test.py", "class Application"),
    (r"^apt install \./build/release/millrace_", "tests/package/package_test.py", "dpkg"),
]

# (pattern, why)
NOT_HERE = [
    (r"^apt-get update && apt-get install -y git curl$", "installs packages on this machine; `./dev bare` types it on one that it makes"),
    (r"^docker run .* jaegertracing/", "takes an image from a public registry; tests reach none, and have a collector of their own at that port"),
    (r"^npm run (diff|deploy|deploy:\w+|destroy)\b", "changes or asks an account of AWS; `npm run rehearse` types it against moto, which Debian does not have"),
    (r"^systemctl edit millrace-api$", "opens an editor, on a machine that systemd runs; tests/package has systemd judge the lines that the page puts there"),
]

# What a command begins with where it stands in an indented block, among lines that it prints.
BEGINS = re.compile(r"(?:[A-Z_]+=\S* )*(?:\./dev|millrace|curl|docker|npm|aws|apt|apt-get|python3|psql|systemctl|gh) ")


def fenced(text):
    """(line, language, what stands behind it, block) of a page."""
    for match in re.finditer(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, match.start()) + 2, match.group(1), match.group(2).strip(), match.group(3)


def logical(block, line):
    """(line, command) of a block: what goes on behind a backslash, or indented, or in an open quote, is one command."""
    command, begun = "", line
    for number, part in enumerate(block.split("\n"), line):
        if command and (command.endswith("\\") or part.startswith((" ", "\t")) or command.count("'") % 2):
            command = command.rstrip("\\").rstrip() + " " + part.strip()
        else:
            if command:
                yield begun, command
            command, begun = part.strip(), number
    if command:
        yield begun, command


def bare(command):
    """Without a prompt and without what is said about it."""
    return re.sub(r"\s+#\s.*$", "", re.sub(r"^[$#] ", "", command)).strip()


def of_page(page, text):
    for line, language, kind, block in fenced(text):
        if language in ("sh", "bash", "console"):
            for number, command in logical(block, line):
                if not command.startswith("#") and bare(command):
                    yield Command(page, number, bare(command), kind == "skip")
    rest = re.sub(r"^```.*?^```$", lambda match: re.sub(r"[^\n]", "", match.group(0)), text, flags=re.M | re.S)
    for match in re.finditer(r"(?:(?<=\n\n)|\A)(?:(?: {4}|\t)[^\n]*\n?)+", rest):
        for number, line in enumerate(match.group(0).split("\n"), rest.count("\n", 0, match.start()) + 1):
            command = re.sub(r"^ {4}|^\t", "", line)
            if re.match(r"[$#] ", command) or BEGINS.match(command + " "):
                yield Command(page, number, bare(command), True)


def pages():
    """All pages but those that tell history."""
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "*.md"], check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names
            if name != "CHANGELOG.md" and not name.startswith("docs/decisions/") and os.path.exists(os.path.join(ROOT, name))]


def shown():
    """The commands of these pages."""
    for name in pages():
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            yield from of_page(name, file.read())
