"""A folder of 200 resources: how much work it is to load, and how much memory an API has with it."""

import os
import unittest

import support

COUNT = 200
LOAD_S = 0.4  # processor time of a whole `millrace routes` of an unoptimized build, which took 0.08 to 0.11
RESIDENT = 32 << 20  # it had 29 MiB, of which 14 are files of libraries
PEAK = 48 << 20  # it had 36 MiB, while the document was made


def folder():
    files = {"millrace.yaml": "title: Many\n"}
    tables = []
    for i in range(COUNT):
        parent = f"\n  parent:   {{type: text, column: parent_code, length: 1..32, clearable: true, references: thing{i - 1:03}.code}}" if i else ""
        files[f"resources/thing{i:03}.yaml"] = f"""\
path: /v1/thing{i:03}s
about: Things number {i}
access: {{read: public, write: admin}}
fields:
  code:     {{type: text, required: true, length: 1..32, unique: true}}
  name:     {{type: text, required: true, length: 1..200}}
  price:    {{type: decimal, scale: 2, required: true, range: 0..99999.99}}
  released: {{type: date, clearable: true}}
  details:  {{type: json, clearable: true}}{parent}
list:
  sort:   [name, -price, -createdAt]
  filter: {{priceUpTo: 'price <=', code: '='}}
  search: [name]
"""
        tables.append(f"""CREATE TABLE thing{i:03} (
    id uuid PRIMARY KEY, version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    code text NOT NULL UNIQUE, name text NOT NULL, price numeric(7, 2) NOT NULL, released date, details jsonb, parent_code text);""")
    files["migrations/0001_many.sql"] = "\n".join(tables)
    return files


class ManyResources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if support.SANITIZE:
            raise unittest.SkipTest("measures the plain build")
        cls.scratch = support.Scratch()
        cls.addClassCleanup(cls.scratch.remove)
        cls.scratch.write(folder())

    def work(self):
        """Processor seconds of a `millrace routes` of the folder, which loads it as a start does."""
        child = os.posix_spawn(support.binary(), [support.binary(), "routes", self.scratch.path], support.environment(),
                               file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
        _, status, usage = os.wait4(child, 0)
        self.assertEqual(status, 0)
        return usage.ru_utime + usage.ru_stime

    def test_load__takes_little(self):
        """The least of some: what runs beside takes caches, and no processor time is the same twice."""
        took = min(self.work() for _ in range(5))
        print(f"\n{COUNT} resources: {took:.3f} s of a processor to load")
        self.assertLess(took, LOAD_S)

    def test_memory__of_an_api_that_has_served_each(self):
        everything = support.Everything()
        self.addCleanup(everything.close)
        everything.ready()
        api = everything.api_process(everything.new_database(), MILLRACE_APP=self.scratch.path)
        self.addCleanup(api.kill)
        api.ready(60)
        begun = api.resident_bytes()
        with api.connect() as connection:
            for i in range(COUNT):
                self.assertEqual(connection.get(f"/v1/thing{i:03}s?limit=2").status, 200)
        served = api.resident_bytes()
        print(f"\n{COUNT} resources: {begun / 2**20:.1f} MiB resident at the start, {served / 2**20:.1f} when each was listed once, "
              f"{api.peak_bytes() / 2**20:.1f} at most")
        self.assertLess(begun, RESIDENT)
        self.assertLess(served, RESIDENT)
        self.assertLess(api.peak_bytes(), PEAK)


if __name__ == "__main__":
    unittest.main()
