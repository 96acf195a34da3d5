"""The site that `./dev docs` builds: links lead somewhere, nothing is fetched from elsewhere, and it can be searched and read in the dark.

MILLRACE_SCREENSHOTS names a folder for pictures of it."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import links

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import support  # noqa: E402
import webdriver  # noqa: E402


site = None


def setUpModule():
    global site
    if shutil.which("mkdocs") is None:
        raise unittest.SkipTest("there is no mkdocs with mkdocs-material")
    folder = tempfile.mkdtemp(prefix="millrace-site-")
    unittest.addModuleCleanup(shutil.rmtree, folder)
    source = os.path.join(folder, "docs-source")
    subprocess.run([sys.executable, "-B", os.path.join(ROOT, "docs", "site", "stage.py"), support.binary(), source], check=True)
    built = subprocess.run(["mkdocs", "build", "--strict", "--quiet", "-f", source + ".yml"], capture_output=True, text=True)
    if built.returncode != 0:
        raise AssertionError(built.stdout + built.stderr)
    site = os.path.join(folder, "docs")


class Checker(unittest.TestCase):
    """What the checker of links finds, on pages made for it."""

    def problems(self, **pages):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in pages.items():
                with open(os.path.join(folder, name + ".html"), "w", encoding="utf-8") as file:
                    file.write(text)
            return links.problems(folder)

    def test_checker__finds_a_page_that_is_not_there(self):
        self.assertEqual(self.problems(a='<a href="b.html">b</a>'), ["a.html: b.html is not there"])

    def test_checker__finds_an_anchor_that_is_not_there(self):
        self.assertEqual(self.problems(a='<a href="b.html#one">1</a><a href="b.html#two">2</a>', b='<h2 id="one">One</h2>'),
                         ["a.html: b.html#two has no such anchor"])

    def test_checker__finds_what_comes_from_elsewhere(self):
        text = '<script src="https://cdn.example.org/a.js"></script><a href="https://example.org">fine</a>'
        self.assertEqual(self.problems(a=text), ["a.html: https://cdn.example.org/a.js is fetched from elsewhere"])


class Site(unittest.TestCase):
    def test_site__links_lead_somewhere_and_nothing_comes_from_elsewhere(self):
        self.assertGreater(len(links.read(site)), 80)
        self.assertEqual(links.problems(site), [])

    def test_site__holds_every_page_of_the_tree(self):
        for folder in ("docs", "docs/decisions", "infrastructure/docs"):
            for name in os.listdir(os.path.join(ROOT, folder)):
                if name.endswith(".md"):
                    page = "index.html" if name == "README.md" else name[:-len(".md")] + ".html"
                    self.assertTrue(os.path.exists(os.path.join(site, folder, page)), f"{folder}/{name}")

    def test_site__has_the_tables_of_the_binary(self):
        with open(os.path.join(site, "reference", "settings.html"), encoding="utf-8") as file:
            self.assertIn("<code>GATEWAY_REQUEST_TIMEOUT</code>", file.read())
        with open(os.path.join(site, "reference", "operations.html"), encoding="utf-8") as file:
            shown = file.read()
        routes = re.findall(r" (/v1/\S+)", subprocess.run([support.binary(), "routes"], check=True, capture_output=True, text=True).stdout)
        self.assertGreater(len(routes), 20)
        for path in routes:
            self.assertIn("<code>" + re.sub(r":(\w+)", r"{\1}", path) + "</code>", shown)
        self.assertRegex(shown, r"(?s)<td>GET</td>\s*<td><code>/v1/api-keys</code></td>\s*<td>[^<]*</td>\s*<td>administrators</td>")

    def test_settings__have_a_row_each(self):
        printed = subprocess.run([support.binary(), "config", "--markdown"], check=True, capture_output=True, text=True).stdout
        with open(os.path.join(site, "reference", "settings.html"), encoding="utf-8") as file:
            shown = file.read()
        names = re.findall(r"^\| `(\w+)`", printed, re.M)
        self.assertGreater(len(names), 60)
        self.assertEqual(re.findall(r"<tr>\s*<td><code>(\w+)</code>", shown), names)


class InBrowser(unittest.TestCase):
    """The same as a person sees it."""

    @classmethod
    def setUpClass(cls):
        if None in webdriver.programs():
            raise unittest.SkipTest("there is no chromium with its chromium-driver")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        cls.origin = f"http://127.0.0.1:{server.server_port}"

    def setUp(self):
        self.browser = webdriver.Browser()
        self.addCleanup(self.browser.close)

    def take_picture(self, name):
        folder = os.environ.get("MILLRACE_SCREENSHOTS")
        if folder:
            os.makedirs(folder, exist_ok=True)
            self.browser.screenshot(os.path.join(folder, name + ".png"))

    def background(self):
        return self.browser.script("return getComputedStyle(document.body).backgroundColor")

    def test_site__is_searched_read_in_the_dark_and_asks_nobody(self):
        self.browser.open(self.origin + "/index.html")
        light = self.background()
        self.take_picture("light")

        self.browser.click("label[title=Dark]")
        support.wait_for(lambda: self.background() != light, 30, "the page is dark")
        self.take_picture("dark")

        self.browser.click(".md-search__input")
        self.browser.script("const field = document.querySelector('.md-search__input'); field.focus(); field.value = 'idempotency';"
                            "field.dispatchEvent(new KeyboardEvent('keyup', {key: 'y', bubbles: true}));")
        self.browser.find(".md-search-result__item a")
        self.take_picture("search")
        self.browser.click(".md-search-result__item a")
        support.wait_for(lambda: not self.browser.script("return location.pathname").endswith("/index.html"), 30, "the page that was found")
        self.assertIn("dempotency", self.browser.script("return document.body.innerText"))

        asked = [url for url in self.browser.requests() if not url.startswith(("data:", "blob:", "chrome:"))]
        self.assertIn(self.origin + "/search/search_index.json", asked)
        self.assertEqual([url for url in asked if not url.startswith(self.origin + "/")], [])
        self.assertEqual(self.browser.console(), [])

    def test_settings__are_read_on_a_telephone(self):
        metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        self.browser.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
        self.browser.open(self.origin + "/reference/settings.html")
        support.wait_for(lambda: self.browser.script("return document.querySelector('.md-typeset__scrollwrap') !== null"), 30, "the table is wrapped")
        self.assertEqual(self.browser.script("const around = document.querySelector('.md-typeset__scrollwrap');"
                                             "return around.scrollWidth - around.clientWidth;"), 0, "what it does stands beside a setting")
        self.take_picture("telephone")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


if __name__ == "__main__":
    unittest.main()
