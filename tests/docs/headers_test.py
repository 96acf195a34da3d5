"""Each function that a header declares has a comment directly above it; one that frees its argument says so."""

import os
import re
import unittest

import headers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Headers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.functions = []
        for path in headers.headers(ROOT):
            with open(path, encoding="utf-8") as file:
                found = headers.functions(file.read())
            cls.functions += [(f"{os.path.relpath(path, ROOT)}:{one.line}: {one.name}", one) for one in found]

    def test_headers__are_found(self):
        self.assertGreater(len(self.functions), 900)

    def test_functions__have_a_comment_directly_above_them(self):
        self.assertEqual([where for where, one in self.functions if one.comment is None], [])

    def test_functions__that_take_a_pointer_away_say_that_they_free_it(self):
        taking = [(where, one) for where, one in self.functions if "**self" in one.declaration]
        self.assertGreater(len(taking), 25)
        self.assertEqual([where for where, one in taking if "free" not in one.comment.lower()], [])

    def test_comments__say_true_and_false_of_a_bool_only(self):
        wrong = [where for where, one in self.functions
                 if re.search(r"\b(True|False):", one.comment) and not re.search(r"\bbool\b", one.declaration.split(one.name)[0])]
        self.assertEqual(wrong, [])

    def test_comments__whether__are_of_a_bool_or_a_status(self):
        wrong = [where for where, one in self.functions
                 if one.comment.startswith("/* Whether") and not re.search(r"\b(bool|mr_status)\b", one.declaration.split(one.name)[0])]
        self.assertEqual(wrong, [])


class Reader(unittest.TestCase):
    """What the reader of headers takes for a function, and for its comment."""

    def read(self, text):
        return [(one.name, one.comment) for one in headers.functions(text)]

    def test_reader__wants_the_comment_on_the_line_above(self):
        self.assertEqual(self.read("/* One. */\nint mr_one(void);\nint mr_two(void);\n\nint mr_three(void);\n"),
                         [("mr_one", "/* One. */"), ("mr_two", None), ("mr_three", None)])

    def test_reader__gathers_a_comment_of_several_lines(self):
        self.assertEqual(self.read("/*\n * First,\n * second.\n */\nchar *mr_text(int a,\n              int b);\n"),
                         [("mr_text", "/* First, second. */")])

    def test_reader__takes_a_heading_for_no_comment(self):
        self.assertEqual(self.read("/* ---- Rows ---- */\nint mr_rows(void);\n\n/* rows.c */\nint mr_row(void);\n"), [("mr_rows", None), ("mr_row", None)])

    def test_reader__finds_inline_definitions_and_no_types(self):
        text = "static inline bool mr_is(int a)\n{\n    return call(a);\n}\ntypedef int mr_main(void);\nbool (*mr_pointer)(void);\n"
        self.assertEqual(self.read(text), [("mr_is", None)])

    def test_reader__skips_what_a_comment_shows(self):
        self.assertEqual(self.read("/* For example\nint mr_shown(void);\n*/\n"), [])


if __name__ == "__main__":
    unittest.main()
