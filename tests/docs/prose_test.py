"""What the check of spelling (`./dev lint`) takes for words, and which it knows."""

import shutil
import tempfile
import unittest

import prose


class Words(unittest.TestCase):
    def words(self, text):
        return [word for _, word in prose.words(prose.without_code(text))]

    def test_words__of_code_are_none(self):
        text = "See `teh` code:\n\n    indented blok\n\n```sh\nfenced blok\n```\n[link](adress.md) https://exampel.org end\n"
        self.assertEqual(self.words(text), ["See", "code", "link", "end"])

    def test_words__keep_their_lines(self):
        self.assertEqual(list(prose.words(prose.without_code("one\n```\ncode\n```\ntwo\n"))), [(1, "one"), (5, "two")])

    def test_words__that_are_names_are_left_out(self):
        self.assertEqual(self.words("mr_db takes Millrace2 and camelCase, HTTP, file.c: done."), ["takes", "and", "done"])

    def test_comments__are_what_is_read_of_a_header(self):
        self.assertEqual([word for _, word in prose.words(prose.comments("int blok; /* A fine word. */\n"))], ["A", "fine", "word"])

    @unittest.skipIf(shutil.which("hunspell") is None, "there is no hunspell")
    def test_unknown__are_those_that_neither_dictionary_nor_list_knows(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as own:
            own.write("# ours\ngatewey\n")
            own.flush()
            self.assertEqual(prose.unknown(["colour", "Gatewey", "gatewey's", "mailbxo"], own.name), {"mailbxo"})


if __name__ == "__main__":
    unittest.main()
