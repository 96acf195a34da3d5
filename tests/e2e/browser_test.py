"""The page at /apidoc in a real browser: a person registers, signs in, creates a task and lists it, by clicking."""

import json
import os
import unittest

import support
import webdriver
from support import wait_for

module = support.ModuleServer()


def setUpModule():
    if support.SANITIZE:
        raise unittest.SkipTest("the page is the same under every sanitizer")
    if None in webdriver.programs():
        raise unittest.SkipTest("there is no chromium with its chromium-driver")
    module.start()


def tearDownModule():
    module.stop()


class Page(unittest.TestCase):
    def setUp(self):
        self.browser = webdriver.Browser()
        self.addCleanup(self.browser.close)
        self.origin = f"http://127.0.0.1:{module.server.port}"

    def call(self, group, name, body=None):
        """Unfolds an operation, fills in its body, executes it; the status and the text of the answer."""
        block = f"#operations-{group}-{name}"
        self.browser.click(f"{block} .opblock-summary-control")
        if body is not None:
            self.browser.fill(f"{block} textarea.body-param__text", json.dumps(body))
        self.browser.click(f"{block} .execute")
        status = self.browser.text(f"{block} .live-responses-table tbody .response-col_status")
        return int(status.split()[0]), self.browser.text(f"{block} .live-responses-table tbody .response-col_description")

    def fold(self, group, name):
        self.browser.click(f"#operations-{group}-{name} .opblock-summary-control")

    def test_page__registers_signs_in_creates_and_lists_by_clicking(self):
        user = support.new_user()
        summary = "Write the report"

        self.browser.open(self.origin + "/apidoc")
        self.assertEqual(self.call("auth", "register", user)[0], 200)
        self.fold("auth", "register")
        self.assertEqual(self.call("auth", "sign_in", {name: user[name] for name in ("username", "password")})[0], 200)
        wait_for(lambda: "Signed in" in self.browser.text("#session"), 30, "the token is taken over")
        self.fold("auth", "sign_in")
        self.assertEqual(self.call("tasks", "task_create", {"summary": summary, "taskPriorityCode": "HIGH"})[0], 201)
        self.fold("tasks", "task_create")
        status, shown = self.call("tasks", "task_list")
        self.assertEqual(status, 200)
        self.assertIn(summary, shown)
        self.take_picture()

        self.assertEqual(self.browser.console(), [])
        asked = [url for url in self.browser.requests() if not url.startswith(("data:", "blob:", "chrome:"))]
        self.assertIn(self.origin + "/v1/tasks", [url.split("?")[0] for url in asked])
        self.assertEqual([url for url in asked if not url.startswith(self.origin + "/")], [])

    def take_picture(self):
        """For docs/apidoc.png: MILLRACE_SCREENSHOT names the file."""
        path = os.environ.get("MILLRACE_SCREENSHOT")
        if path:
            self.browser.script("document.querySelector('#operations-tasks-task_list .execute').scrollIntoView(); scrollBy(0, -60)")
            self.browser.screenshot(path)

    def test_page__signing_out_forgets_the_token(self):
        user = support.new_user()
        api = module.server.api()
        self.addCleanup(api.close)
        api.register(**user)

        self.browser.open(self.origin + "/apidoc")
        self.call("auth", "sign_in", {name: user[name] for name in ("username", "password")})
        wait_for(lambda: "Signed in" in self.browser.text("#session"), 30, "the token is taken over")
        self.fold("auth", "sign_in")
        self.assertEqual(self.call("auth", "sign_out", {})[0], 204)
        self.assertEqual(self.call("users", "profile_get")[0], 401)

    def test_page__suits_a_narrow_window_and_a_dark_one(self):
        overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        colour = "return getComputedStyle(document.querySelector('.swagger-ui')).backgroundColor"
        self.browser.emulate(390, 800, "dark")
        self.browser.open(self.origin + "/apidoc")
        self.browser.find("#operations-auth-register .opblock-summary-path")
        self.assertEqual(self.browser.script(overflow), 0)
        self.assertEqual(self.browser.script("""
            return getComputedStyle(document.querySelector('.opblock-summary-operation-id')).display"""), "none")
        self.assertEqual(self.browser.script(colour), "rgb(28, 32, 34)")
        self.browser.emulate(1200, 800, "light")
        wait_for(lambda: self.browser.script(colour) == "rgba(0, 0, 0, 0)", 30, "the light colours")
        self.assertEqual(self.browser.text("#operations-auth-register .opblock-summary-operation-id"), "register")
