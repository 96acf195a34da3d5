"""Holds the built site against itself: every link leads to a page that is there and to an anchor in it, and nothing comes from elsewhere."""

import html.parser
import os
import urllib.parse

# What a browser fetches by itself when it shows a page, by element and attribute. An <a> is followed by people only.
FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}
NOT_FETCHED = {"canonical", "prev", "next"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.anchors = set()
        self.links = []    # of people
        self.fetched = []  # by the browser
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        for name in ("id", "name"):
            if values.get(name) and (name == "id" or tag == "a"):
                self.anchors.add(values[name])
        for name in ("href", "src", "data"):
            if not values.get(name):
                continue
            if tag == "a" and name == "href":
                self.links.append(values[name])
            elif (tag, name) in FETCHED and values.get("rel") not in NOT_FETCHED:
                self.fetched.append(values[name])


def read(root):
    """The pages of the site, by their path."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".html"):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    found[os.path.relpath(path, root)] = Page(file.read())
    return found


def problems(root):
    """What is wrong with the site, a line each."""
    pages = read(root)
    found = []
    for path, page in sorted(pages.items()):
        for link in page.fetched:
            if urllib.parse.urlsplit(link).scheme not in ("", "data") or link.startswith("//"):
                found.append(f"{path}: {link} is fetched from elsewhere")
        for link in page.links + page.fetched:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or link.startswith("//") or path == "404.html":  # that one is shown at any path, so its links are from the root
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), urllib.parse.unquote(parts.path))) if parts.path else path
            if os.path.isdir(os.path.join(root, target)):
                target = os.path.normpath(os.path.join(target, "index.html"))
            if not os.path.exists(os.path.join(root, target)):
                found.append(f"{path}: {link} is not there")
            elif parts.fragment and target in pages and urllib.parse.unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{path}: {link} has no such anchor")
    return found
