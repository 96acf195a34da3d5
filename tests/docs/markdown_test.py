"""Pages link to what is there; and the checker of that finds what is not."""

import os
import tempfile
import unittest

import markdown


class Pages(unittest.TestCase):
    def test_pages__link_to_files_and_headings_that_are_there(self):
        self.assertGreater(len(list(markdown.pages(markdown.ROOT))), 70)
        self.assertEqual(markdown.problems(markdown.ROOT), [])

    def test_pages__name_files_and_tests_that_are_there(self):
        self.assertEqual(markdown.misnamed(markdown.ROOT), [])


class Checker(unittest.TestCase):
    def problems(self, **pages):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in pages.items():
                with open(os.path.join(folder, name + ".md"), "w", encoding="utf-8") as file:
                    file.write(text)
            return markdown.problems(folder)

    def test_checker__finds_a_file_that_is_not_there(self):
        self.assertEqual(self.problems(a="[b](b.md) [c](b/c.md#d)"), ["a.md: b.md is not there", "a.md: b/c.md#d is not there"])

    def test_checker__finds_a_heading_that_is_not_there(self):
        self.assertEqual(self.problems(a="[1](b.md#one) [2](b.md#two) [3](#me)", b="# One\n"),
                         ["a.md: b.md#two has no such heading", "a.md: #me has no such heading"])

    def test_checker__names_headings_as_a_code_host_does(self):
        text = "# The `millrace` API: what it says, [linked](b.md)\n## Twice\n## Twice\n```\n# none\n```\n"
        self.assertEqual(markdown.anchors(text), {"the-millrace-api-what-it-says-linked", "twice", "twice-1"})

    def test_checker__finds_names_of_what_is_not_there(self):
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "tests"))
            with open(os.path.join(folder, "tests", "one_test.py"), "w", encoding="utf-8") as file:
                file.write("def test_one__works(self):\n")
            with open(os.path.join(folder, "a.md"), "w", encoding="utf-8") as file:
                file.write("`tests/one_test.py` `tests/two_test.py` `tests/NAME_test.py` `test_one__works` `test_one__fails`\n")
            self.assertEqual(markdown.misnamed(folder), ["a.md: there is no tests/two_test.py", "a.md: there is no test_one__fails"])

    def test_checker__follows_no_link_in_code(self):
        self.assertEqual(self.problems(a="`[b](b.md)`\n\n```text\n[c](c.md)\n```\n"), [])


if __name__ == "__main__":
    unittest.main()
