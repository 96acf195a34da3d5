"""docs/tutorial.md does what it says: its files are written, its commands typed, and what they print is what stands there."""

import unittest

import pages


class Tutorial(unittest.TestCase):
    def test_tutorial__works_as_written(self):
        pages.follow(self, pages.read("docs", "tutorial.md"))


if __name__ == "__main__":
    unittest.main()
