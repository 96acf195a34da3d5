"""What `q` finds: words of summary and description, whatever they are part of."""

import unittest
import urllib.parse

from support import ModuleServer

# A text, what finds it, and what does not.
TEXTS = [
    ("rotate docs/crash.log", ["crash", "docs/crash.log", "crash.log", "docs", "log", "rotate crash", "DOCS/Crash.LOG", "/docs/crash.log"],
     ["cras", "ocs", "docs/other.log", "crashlog"]),
    ("/etc/nginx/conf.d/default.conf", ["nginx", "conf.d", "default.conf", "etc", "/etc/nginx/conf.d/default.conf", "nginx default"], ["ngin"]),
    ("C:\\Users\\ada\\notes.txt", ["ada", "notes.txt", "users", "C:\\Users"], ["not"]),
    ("ask ada.lovelace@mail.example.org today", ["ada.lovelace@mail.example.org", "lovelace", "example.org", "mail", "@mail.example.org", "today"],
     ["charles@mail.example.org", "lace"]),
    ("see https://docs.example.com:8443/guide/part-2?lang=en#top",
     ["docs.example.com", "example", "guide", "part-2", "8443", "https://docs.example.com:8443/guide/part-2?lang=en#top", "lang", "top"],
     ["https://docs.example.net", "part-3"]),
    ("a well-known state-of-the-art fix", ["well-known", "well", "known", "state-of-the-art", "art fix", "known-well"], ["stateoftheart", "wellknown"]),
    ("snake_case and camelCase and kebab-case", ["snake", "snake_case", "case", "camelCase", "camelcase", "kebab"], ["camel"]),
    ("pay 1234.56 by 2027-03-31, see #4711", ["1234.56", "1234", "2027-03-31", "4711", "#4711", "2027"], ["123", "47"]),
    ("release v2.10.3-rc.1", ["v2.10.3", "v2", "rc", "v2.10.3-rc.1", "10"], ["v3"]),
    ("temperature -5 degrees", ["-5", "5", "degrees"], ["55"]),
    ("<b>bold</b> & <script>alert(1)</script>", ["bold", "alert", "script", "alert(1)", "<b>"], ["bol"]),
    ("don't, e.g. it's C++", ["don't", "don", "e.g.", "C++", "it's"], ["dont"]),
    ("key=value; path=~/src", ["key=value", "value", "src", "~/src"], ["keyvalue"]),
    ("Zoë trifft Äpfel/Birnen.csv", ["zoë", "äpfel", "birnen", "Äpfel/Birnen.csv", "ZOË"], ["pfel", "birne"]),
    ("日本語/メモ.txt", ["日本語", "メモ", "メモ.txt"], ["日本"]),
    ("plain words, nothing else. Really", ["plain", "nothing", "else really", "words,"], ["noth"]),
]
NO_WORDS = ["---", "-", ".", "/", "@", " ", "   ", "...", "!?", "://", "+", "\"\"", "()", "&", "|", "<>", "*", ":*", "\\", "—", "…", "😀", "\u3000", "\u200b"]

module = ModuleServer()
setUpModule, tearDownModule = module.start, module.stop


def found(api, words, extra=""):
    answer = api.get(f"/v1/tasks?q={urllib.parse.quote(words, safe='')}{extra}")
    assert answer.status == 200, (words, answer)
    return answer.json()


class Words(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.api = module.server.api().register()
        cls.addClassCleanup(cls.api.close)
        cls.ids = [cls.api.create_task(summary=text)["id"] if i % 2 else cls.api.create_task(summary="x", description=text)["id"]
                   for i, (text, _, _) in enumerate(TEXTS)]

    def test_every_word_is_found_and_no_part_of_one(self):
        for (text, words, others), task in zip(TEXTS, self.ids):
            for word in words:
                with self.subTest(text=text, word=word):
                    self.assertIn(task, [one["id"] for one in found(self.api, word)])
            for word in others:
                with self.subTest(text=text, other=word):
                    self.assertNotIn(task, [one["id"] for one in found(self.api, word)])

    def test_all_the_words_have_to_be_there(self):
        self.assertEqual([task["id"] for task in found(self.api, "docs rotate")], self.ids[:1])
        self.assertEqual(found(self.api, "rotate nginx"), [])

    def test_what_holds_no_word_is_refused(self):
        for words in NO_WORDS:
            for extra in ("", "&page=1", "&limit=1", "&sort=priority"):
                answer = self.api.get(f"/v1/tasks?q={urllib.parse.quote(words, safe='')}{extra}")
                self.assertEqual(answer.status, 400, (words, extra))
                self.assertEqual([(error["field"], error["code"]) for error in answer.json()["errors"]], [("q", "words")], words)

    def test_what_the_database_finds_no_word_in_finds_nothing(self):
        """A letter to us and none to the database, or the other way round: never everything."""
        with module.server.database() as database:
            for words in NO_WORDS + ["", "\u02d7"]:
                literal = words.replace("'", "''")
                self.assertIsNone(database.value(f"SELECT task_query(gen_random_uuid(), '{literal}')"), words)

    def test_words_of_others_stay_theirs(self):
        other = module.server.api().register()
        self.addCleanup(other.close)
        for words in ("crash", "docs/crash.log", self.api.user["id"]):
            self.assertEqual(found(other, words), [])
        mine = other.create_task(summary=f"{self.api.user['id']} x")
        self.assertEqual([task["id"] for task in found(other, self.api.user["id"])], [mine["id"]])
        self.assertEqual(found(self.api, self.api.user["id"]), [])

    def test_a_change_changes_what_finds_it(self):
        task = self.api.create_task(summary="old/name.txt")
        self.api.request("PATCH", f"/v1/tasks/{task['id']}", {"summary": "new/title.txt"})
        self.assertEqual(found(self.api, "old/name.txt"), [])
        self.assertEqual([one["id"] for one in found(self.api, "title")], [task["id"]])

    def test_long_texts_of_every_kind_are_taken(self):
        for text in ("a/b.c@d-e ", "docs/crash.log ", "x-", "y.", "z/", "日本語", "日本語 ", "a@b.co,", "<b>", "&amp;", "http://x.org/y?z=1 ", "𐐀-",
                     "".join(chr(0x4e00 + i % 20000) + " " for i in range(32768)), "".join(f"{i:x}/" for i in range(13000))):
            text = (text * 65536)[:65536]
            with self.subTest(text=text[:12]):
                task = self.api.create_task(summary="long", description=text)
                self.assertEqual(len(self.api.get(f"/v1/tasks/{task['id']}").json()["description"]), len(text))
                self.assertEqual(self.api.request("DELETE", f"/v1/tasks/{task['id']}").status, 204)


class LocaleC(unittest.TestCase):
    """A database whose locale knows ASCII only: letters beyond it are letters without case."""

    def test_words(self):
        process = module.server.api_process(module.server.new_database(locale="C"))
        self.addCleanup(process.kill)
        api = process.ready().api().register()
        self.addCleanup(api.close)
        task = api.create_task(summary="Äpfel/Birnen.csv docs/crash.log")
        for word in ("crash", "birnen", "Äpfel", "Äpfel/Birnen.csv", "csv"):
            self.assertEqual([one["id"] for one in found(api, word)], [task["id"]], word)
        self.assertEqual(api.get("/v1/tasks?q=---").status, 400)


if __name__ == "__main__":
    unittest.main()
