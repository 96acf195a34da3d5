"""The commands of docs/runbook.md, and which of them the rehearsal does not try whole."""
import pathlib
import re

RUNBOOK = pathlib.Path(__file__).resolve().parent.parent / "docs/runbook.md"

# What a sentence of the page names without all of its arguments.
MENTION = r"^npm run deploy$|^npm run deploy -- --require-approval never$|…|^aws backup start-backup-job$|^aws ecs describe-services$"

NOT_KNOWN = "the stand-in has no such call: only the CLI judged the parameters"

# Pattern -> reason. Commands marked NOT_KNOWN run and must get no answer; the others do not run. An entry that matches no command fails
# the rehearsal, and so does one marked NOT_KNOWN that is answered.
EXCUSED = {
    r"^npm run rehearse$": "this is it",
    r"^cd |^cp |^npm install": "the package is here already",
    r"^npx cdk bootstrap": "the stand-in lets everybody in; the script makes bucket and parameter",
    r"^docker |docker login": "no image is pushed",
    r"^curl ": "no task runs",
    r"TASK-ID": "no task runs",
    r"create-service-linked-role": "the role is there",
    MENTION: "a mention, not a whole command",
    r"^aws backup (describe|update)-region-settings|^aws backup list-|describe-managed-rule-group": NOT_KNOWN,
}


def commands():
    """Section and command, in the order of the page: lines of its blocks, and what begins with aws, npm run or npx in its text."""
    section, inside = "", False
    for line in RUNBOOK.read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = line.strip() == "```bash"
        elif inside:
            yield section, re.sub(r"\s+# .*$", "", line.strip())
        elif line.startswith("#"):
            section = line.strip("# ")
        else:
            for command in re.findall(r"`((?:aws|npm run|npx) [^`]*)`", line):
                yield section, command


def in_order_of_rehearsal():
    """Alarms are answered while something is there that rings: tearing down comes last."""
    known = list(commands())
    return [each for each in known if each[0] != "Tear down"] + [each for each in known if each[0] == "Tear down"]


def excuse(command):
    """The pattern that excuses a command, or None."""
    return next((pattern for pattern in EXCUSED if re.search(pattern, command)), None)
