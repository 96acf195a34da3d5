"""A browser, driven over the WebDriver protocol (W3C) by Debian's chromium-driver; only what the tests need of it."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from support import environment, patience, wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver, 12.2
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--window-size=1200,1000",
    "--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    # Names lead nowhere, so that nothing can leave the host, whatever tries.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever the environment says


def programs():
    """(driver, browser), None where one is missing."""
    return shutil.which("chromedriver"), shutil.which("chromium")


class WebDriverError(Exception):
    pass


class Element:
    def __init__(self, browser, reference):
        self.browser = browser
        self.reference = reference
        self.path = f"/element/{reference[ELEMENT]}"

    def click(self):
        self.browser.call("POST", self.path + "/click", {})

    def text(self):
        return self.browser.call("GET", self.path + "/text")

    def fill(self, text):
        """Pastes over what is there: a page that is drawn anew with each key takes long to type into on a busy machine."""
        self.browser.script("""
            const [element, text] = arguments;
            Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), 'value').set.call(element, text);
            element.dispatchEvent(new Event('input', {bubbles: true}));""", self.reference, text)


class Browser:
    """A headless Chromium with a profile of its own."""

    def __init__(self):
        driver, chromium = programs()
        self.home = tempfile.mkdtemp(prefix="millrace-browser-")
        self.driver = subprocess.Popen([driver, "--port=0", "--log-level=SEVERE"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, env={**environment(), "HOME": self.home})
        self.session = ""
        try:
            self.base = f"http://127.0.0.1:{self._port()}"
            options = {"binary": chromium, "args": [*ARGUMENTS, f"--user-data-dir={self.home}/profile"]}
            capabilities = {"browserName": "chrome", "goog:chromeOptions": options,
                            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            made = self.call("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
            self.session = "/" + made["sessionId"]
        except BaseException:
            self.close()
            raise

    def _port(self):
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                threading.Thread(target=self.driver.stdout.read, daemon=True).start()
                return int(found.group(1))
        raise AssertionError("chromedriver ended")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/session{self.session}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with DIRECTLY.open(request, timeout=patience(120)) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise WebDriverError(error.read().decode()) from None

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(patience(30))
            self.driver.stdout.close()
            shutil.rmtree(self.home, ignore_errors=True)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def find(self, css, seconds=60):
        """The element, as soon as it is there and can be seen."""
        def found():
            try:
                reference = self.call("POST", "/element", {"using": "css selector", "value": css})
                element = Element(self, reference)
                return element if self.call("GET", element.path + "/displayed") else None
            except WebDriverError:
                return None
        return wait_for(found, seconds, f"{css} is shown")

    def do(self, action, seconds=60):
        """Tries until it works: an element may be drawn anew between two looks at it."""
        def done():
            try:
                return (action(),)
            except WebDriverError:
                return None
        return wait_for(done, seconds, "the page lets it happen")[0]

    def click(self, css):
        self.do(lambda: self.find(css).click())

    def fill(self, css, text):
        self.do(lambda: self.find(css).fill(text))

    def text(self, css):
        return self.do(lambda: self.find(css).text())

    def script(self, text, *arguments):
        return self.call("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def emulate(self, width, height, scheme):
        """A window of that size, for a reader whose system is `light` or `dark`."""
        def tell(method, **params):
            self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation." + method, "params": params})
        tell("setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        tell("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def console(self):
        """What was written to the console since it was asked last."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """The URLs that were asked for since it was asked last."""
        events = [json.loads(entry["message"])["message"] for entry in self.call("POST", "/se/log", {"type": "performance"})]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
