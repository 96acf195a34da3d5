"""The guides do what they say: their commands are typed, one page after the other, into one terminal beside one folder of state.

api-keys.md comes first: it makes the administrator's $TOKEN and the API key $KEY that the others use.
"""

import unittest

import pages
import support

GUIDES = ["jobs.md", "workers.md", "webhooks.md"]


class Guides(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = support.Scratch()
        cls.addClassCleanup(cls.scratch.remove)
        cls.terminal = pages.Terminal(cls.scratch)
        cls.addClassCleanup(cls.terminal.close)

    def test_guides__work_as_written(self):
        pages.follow(self, pages.read("docs", "api-keys.md"), self.terminal)
        for name in GUIDES:
            with self.subTest(page=name):
                pages.follow(self, pages.read("docs", name), self.terminal)


if __name__ == "__main__":
    unittest.main()
