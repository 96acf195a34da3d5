"""What is promised of the image's files, whoever gathered them: Docker by the Dockerfile, or compose/collect alone."""

import io
import json
import re
import tarfile

MIB = 1024 * 1024
MOST = 36 * MIB
BUNDLE = "usr/share/millrace/rds-ca-bundle.pem"
BILL = "usr/share/millrace/sbom.json"
# What an engine puts into every container.
ENGINES = (".dockerenv", "dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab")


class Files:
    """Tests of a root file system, which read() takes from an archive."""

    @classmethod
    def read(cls, data):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            cls.members = {name: member for member in archive for name in [member.name.removeprefix("./")]
                           if name not in (".", *ENGINES) and not name.startswith(("dev/", "proc/", "sys/"))}
            cls.texts = {name: archive.extractfile(member).read() for name, member in cls.members.items()
                         if member.isfile() and name in (BUNDLE, BILL, "etc/passwd")}
        cls.bill = json.loads(cls.texts[BILL])

    def size(self):
        return sum(member.size for member in self.members.values() if member.isfile())

    def test_programs__are_the_binary_and_the_loader(self):
        programs = [name for name, member in self.members.items()
                    if member.isfile() and member.mode & 0o111 and not re.search(r"\.so(\.|$)", name)]
        self.assertEqual(programs, ["usr/bin/millrace"])
        self.assertEqual([name for name in self.members if re.search(r"(^|/)(\w*sh|busybox|apt|apt-get|dpkg|perl|python3?)$", name)
                          and not self.members[name].isdir()], [])

    def test_files__belong_to_root_and_are_changed_by_nobody_else(self):
        for name, member in self.members.items():
            with self.subTest(name):
                self.assertEqual((member.uid, member.gid), (0, 0))
                self.assertFalse(member.mode & 0o6000)
                self.assertTrue(name == "tmp" or member.issym() or not member.mode & 0o022, oct(member.mode))

    def test_needed_at_run_time__is_there(self):
        for name in ("etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Berlin", "usr/share/zoneinfo/UTC", "etc/nsswitch.conf"):
            self.assertIn(name, self.members)
        self.assertTrue(any(name.endswith("/libwebsockets-evlib_ev.so") for name in self.members))
        self.assertIn(b":65532:65532:", self.texts["etc/passwd"])

    def test_bill_of_materials__every_package_has_its_record_and_its_licence(self):
        for component in self.bill["components"]:
            self.assertIn(f"var/lib/dpkg/status.d/{component['name']}", self.members)
            self.assertIn(f"usr/share/doc/{component['name']}/copyright", self.members)
            self.assertTrue(component["purl"].startswith(f"pkg:deb/debian/{component['name']}@"), component)
