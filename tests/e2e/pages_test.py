"""README, quick start and adding-a-resource.md do what they say: what they show is typed, and what is printed is what stands there."""

import re
import unittest

import pages


def readme():
    """The resource of the README as a page of its own: its indexes and its administrator are what the README says beside it."""
    text = pages.read("README.md")
    shown = "\n".join(re.findall(r"^```yaml file=.*?^```$|^```sh\npost .*?^```\n\n```text\n.*?^```$", text, re.M | re.S))
    declaration, conversation = shown.split("```sh", 1)
    return f"""
```sh
millrace new app shop
cd shop
millrace new resource product sku:text:unique name:text price:decimal stock:integer
```
{declaration}
```sh
indexes=$(millrace check 2>&1 | sed -n 's/.*expected \\(CREATE INDEX .*\\)/\\1;/p')
echo "$indexes" >migrations/0002_look.sql
millrace check
```

```text
Shop: resources 1, operations 0, jobs 0, migrations 2: no problem
```

```sh dev
millrace dev
```

```sh
post() {{ curl -s "localhost:3000$1" -H 'content-type: application/json' -H "authorization: Bearer $TOKEN" -d "$2"; echo; }}
post /v1/auth/register '{{"username": "ada", "password": "correct horse", "email": "a@example.com", "firstName": "A", "lastName": "L"}}'
DB_HOST=$PWD/.millrace/postgres/run DB_USER=postgres millrace user grant-admin ada
TOKEN=$(post /v1/auth/signin '{{"username": "ada", "password": "correct horse"}}' | sed 's/.*"accessToken":"\\([^"]*\\)".*/\\1/')
```

```sh{conversation}
"""


class Pages(unittest.TestCase):
    def test_readme__its_twelve_lines_serve_what_it_says(self):
        lines = re.search(r"^```yaml file=.*?\n(.*?)^```$", pages.read("README.md"), re.M | re.S).group(1).count("\n")
        self.assertEqual(lines, 12, "the heading says so")
        pages.follow(self, readme())

    def test_quick_start__works_as_written(self):
        pages.follow(self, pages.read("docs", "quick-start.md"))

    def test_adding_a_resource__begins_as_written(self):
        pages.follow(self, pages.read("docs", "adding-a-resource.md"))


if __name__ == "__main__":
    unittest.main()
