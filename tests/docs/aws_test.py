"""The commands of AWS that the pages show: each is typed, and the AWS CLI with the models of its services judges it (aws_cli.py)."""

import os
import re
import shutil
import sys
import tempfile
import unittest
from unittest import mock

import aws_cli
import commands

sys.path.insert(0, os.path.join(commands.ROOT, "infrastructure", "rehearsal"))

import runbook  # noqa: E402

OF_AWS = re.compile(r"(?:aws|for \w+ in .*\baws|PASSWORD=\S+) ?")

terminal = None


def setUpModule():
    global terminal
    if not aws_cli.installed():
        raise unittest.SkipTest("there is no AWS CLI (awscli)")
    folder = tempfile.mkdtemp(prefix="millrace-aws-")
    unittest.addModuleCleanup(shutil.rmtree, folder)
    settings = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": "",
                "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "PATH": os.environ["PATH"]}
    patch = mock.patch.dict(os.environ, settings)
    patch.start()
    unittest.addModuleCleanup(patch.stop)
    terminal = aws_cli.Terminal(folder)
    unittest.addModuleCleanup(terminal.close)


def shown():
    """(where, command): those of blocks, and those that the runbook has in a sentence, without mentions of a part."""
    known = [(f"{one.page}:{one.line}", one.text) for one in commands.shown() if OF_AWS.match(one.text)]
    texts = {text for _, text in known}
    inline = [(f"the runbook, {section}", text) for section, text in runbook.commands() if OF_AWS.match(text) and text not in texts]
    return known + [(where, text) for where, text in inline if not re.search(runbook.MENTION, text)]


class Commands(unittest.TestCase):
    def test_commands__are_what_the_aws_cli_and_its_services_take(self):
        typed = shown()
        self.assertGreater(len(typed), 60)
        set_before = ""
        for where, text in typed:
            with self.subTest(command=f"{where}: {text}"):
                status, printed, complaint = terminal.type(f"{set_before}\n{text}")
                self.assertEqual((status, complaint), (0, ""))
                self.assertNotRegex(printed, r"\b(null|None)\b", "--query names nothing of the answer")
            if re.fullmatch(r'[A-Z]+="\S+( [^"]*)?"', text):  # the next command wants the variable
                set_before = text

    def test_each__calls_something(self):
        terminal.cli.calls.clear()
        terminal.type("aws ecs list-tasks --cluster one; aws cloudformation wait stack-delete-complete --stack-name one")
        self.assertEqual(terminal.cli.calls, [("ecs", "ListTasks"), ("cloudformation", "DescribeStacks")])


class Judge(unittest.TestCase):
    """What the terminal refuses."""

    def refused(self, text, why):
        status, _, complaint = terminal.type(text)
        self.assertNotEqual(status, 0, text)
        self.assertIn(why, complaint)

    def test_unknown_option__is_refused(self):
        self.refused("aws ecs list-tasks --cluster one --sorted", "Unknown options: --sorted")

    def test_option_that_is_missing__is_refused(self):
        self.refused("aws ecs describe-tasks --cluster one", "required: --tasks")

    def test_value_of_a_wrong_kind__is_refused(self):
        self.refused("aws ecs update-service --service one --desired-count many", "invalid literal for int()")

    def test_parameter_that_the_service_does_not_know__is_refused(self):
        self.refused("""aws ecs run-task --task-definition one --overrides '{"containers": []}'""", "containers")

    def test_name_that_is_in_no_answer__is_null(self):
        self.assertEqual(terminal.type("aws ecs list-tasks --cluster one --query taskArn"), (0, "null\n", ""))


if __name__ == "__main__":
    unittest.main()
