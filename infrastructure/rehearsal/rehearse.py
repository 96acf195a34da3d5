"""
Runs every command of docs/runbook.md, in its order, against a stand-in for AWS, twice: two environments are deployed, changed, rolled back,
restored and torn down. Fails when a command fails, when what it should bring about is not there, or when the second run differs.

Needs python3 with moto, the AWS CLI and jq; without one of them it says so and ends with status 0.
"""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent
ACCOUNT = "123456789012"

# What nothing here can answer. An entry that matches no command of the runbook fails the rehearsal.
SKIPPED = {
    r"^npm run rehearse$": "this is it",
    r"^cd |^cp |^npm install": "the package is here already",
    r"^npx cdk bootstrap": "its bucket and parameter are made by hand: the stand-in lets everybody in",
    r"^docker |docker login": "no image is pushed: one is registered instead",
    r"^curl ": "no task runs",
    r"^npm run deploy$|^npm run deploy -- --require-approval never$|…|^aws backup start-backup-job$|^aws ecs describe-services$":
        "named in passing, and not whole",
    r"TASK-ID": "no task runs",
    r"create-service-linked-role": "the role is there",
}

# The stand-in answers these words to what it has not learnt; the CLI has found the command and its parameters good.
UNKNOWN = re.compile(r"not (yet )?(been )?implemented|NotImplemented|UnknownOperation|Unknown operation|requested URL was not found on the server|\(50[01]\)|InternalFailure.*unknown", re.I)


def missing():
    for name in ("aws", "jq", "openssl"):
        if shutil.which(name) is None:
            return f"there is no {name}"
    probe = subprocess.run(["python3", "-c", "import moto.server, boto3"], capture_output=True)
    return None if probe.returncode == 0 else "python3 has no moto (with its server) and boto3"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def commands():
    """Section and command, as they stand in the runbook: lines of its blocks, and what begins with aws, npm run or npx in its text."""
    section, inside = "", False
    for line in (PACKAGE / "docs/runbook.md").read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = line.strip() == "```bash"
        elif inside:
            yield section, re.sub(r"\s+# .*$", "", line.strip())
        elif line.startswith("#"):
            section = line.strip("# ")
        else:
            for command in re.findall(r"`((?:aws|npm run|npx) [^`]*)`", line):
                yield section, command


def ordered():
    """Alarms are answered while there is something that rings: these sections come before the end."""
    known = list(commands())
    last = [each for each in known if each[0] == "Tear down"]
    return [each for each in known if each[0] != "Tear down"] + last


class Rehearsal:
    def __init__(self, scratch):
        self.scratch = scratch
        self.transcript = []
        self.unknown = []
        self.failures = []
        self.unused = set(SKIPPED)
        self.port = free_port()
        self.environments = {}
        self.shell = {**os.environ, "AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal", "AWS_REGION": "us-east-1",
                      "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_PAGER": "",
                      "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "CDK_REQUIRE_APPROVAL": "never", "CDK_NOTICES": "false",
                      "CDK_OUTPUT": str(self.scratch / f"assembly-{self.port}"), "CI": "true"}
        for name in [name for name in self.shell if re.match(r"AWS_(PROFILE|SESSION|CONFIG|SHARED)", name)]:
            del self.shell[name]

    # ---- The stand-in ----

    def __enter__(self):
        self.log = open(self.scratch / f"stand-in-{self.port}.log", "w+")
        self.server = subprocess.Popen(["python3", "-B", "-W", "ignore", str(HERE / "stand_in.py"), str(self.port)], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.server.poll() is not None:
                    break
                time.sleep(0.2)
        raise SystemExit("the stand-in did not start: " + (self.scratch / f"stand-in-{self.port}.log").read_text()[-2000:])

    def __exit__(self, *_):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.log.close()

    # ---- Commands ----

    def run(self, command, environment="dev"):
        shell = {**self.shell, **self.environments.get(environment, {})}
        if command.startswith("npm run deploy"):
            shell["CDK_METHOD"] = "direct"  # moto's change sets forget exports
        if command == "npm run destroy":
            command += " -- --force"  # nobody is there to say yes
        if command.startswith("npm run diff"):
            shell["CDK_METHOD"] = "template"  # and it cannot delete one
        if re.match(r"npm run (deploy|diff|destroy)", command):
            shell["CDK_APP"] = self.assembly(environment, re.findall(r"--context \S+", command))
        # Some commands of AWS CLI 1 (rds) do not read the address from the environment.
        command = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n' + command
        return subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=PACKAGE, env=shell, text=True, capture_output=True, timeout=900)

    def assembly(self, environment, context):
        """What the package makes of these settings; made once, also for the second run, which has the same zone and certificate."""
        settings = sorted(self.environments[environment].items())
        path = self.scratch / ("assembly-" + hashlib.sha256(repr((settings, context)).encode()).hexdigest()[:12])
        if not path.exists():
            self.ask(f"npm run synth -- --quiet --output {path} {' '.join(context)}", environment)
        return str(path)

    def ask(self, command, environment="dev"):
        answer = self.run(command, environment)
        if answer.returncode != 0:
            raise RuntimeError(f"{command}\n{answer.stdout[-2000:]}{answer.stderr[-4000:]}")
        return answer.stdout.strip()

    def note(self, section, command, what):
        self.transcript.append(f"{section}: {command}: {what}")
        print(f"  {section}: {command[:100]}: {' '.join(what.split())[:200]}", flush=True)

    def reason_to_skip(self, command):
        for pattern, why in SKIPPED.items():
            if re.search(pattern, command):
                self.unused.discard(pattern)
                return why
        return None

    def step(self, section, command, environment):
        why = self.reason_to_skip(command)
        if why is not None:
            return self.note(section, command, f"skipped, {why}")
        try:
            answer = self.run(self.filled(command, environment), environment)
            self.remember(command)
        except RuntimeError as error:
            return self.fail(section, command, str(error))
        if answer.returncode == 0:
            return self.note(section, command, "done " + masked(answer.stdout if command.startswith("aws") else ""))
        if UNKNOWN.search(answer.stderr):
            self.unknown.append(command)
            return self.note(section, command, "not known to the stand-in")
        self.fail(section, command, answer.stdout[-3000:] + answer.stderr[-5000:])

    def remember(self, command):
        """Each command has a shell of its own: what one puts into a variable, the next finds."""
        assignment = re.fullmatch(r'([A-Z]+)="(.*)"', command)
        if assignment is not None:
            self.shell[assignment[1]] = self.ask(f'{command}; printf %s "${assignment[1]}"')

    def fail(self, section, command, why):
        """All problems at once: the rehearsal goes on."""
        self.failures.append(f"{section}: {command}\n{why}")
        with open(self.scratch / "failures", "a") as file:
            file.write(self.failures[-1] + "\n\n")
        self.note(section, command, "FAILED " + why)

    def filled(self, command, environment):
        """Names in capitals are for whoever types the command to look up: here they are looked up as the runbook says."""
        name = f"millrace-{environment}"
        cluster = f"aws rds describe-db-clusters --db-cluster-identifier {name} --output text --query "
        network = f"aws ecs describe-services --cluster {name} --services {name} --output text --query 'services[0].networkConfiguration.awsvpcConfiguration."
        look_up = {
            "SECRET-ARN": f"aws cloudformation describe-stacks --stack-name {name}-database --output text --query \"Stacks[0].Outputs[?OutputKey=='SecretArn'].OutputValue\"",
            "LOAD-BALANCER-ARN": f"aws elbv2 describe-load-balancers --names {name} --output text --query 'LoadBalancers[0].LoadBalancerArn'",
            "SUBNET-GROUP": cluster + "'DBClusters[0].DBSubnetGroup'",
            "PARAMETER-GROUP": cluster + "'DBClusters[0].DBClusterParameterGroup'",
            "SUBNET-ID": network + "subnets[0]'",
            "SECURITY-GROUP-ID": network + "securityGroups[0]'",
            "INSTANCE-ID": cluster + "'DBClusters[0].DBClusterMembers[0].DBInstanceIdentifier'",
            "OLD-INSTANCE": f"echo {self.known_instance}",
            "FUNCTION-NAME": "echo millracedevdatabaseClusterRotationSingleUser",
        }
        for word, command_to_ask in look_up.items():
            if re.search(rf"(?<![A-Z-]){word}(?![A-Z-])", command):
                found = self.ask(command_to_ask, environment)
                command = re.sub(rf"(?<![A-Z-]){word}(?![A-Z-])", found, command)
        return command.replace("millrace-dev:41", self.revision or "millrace-dev:1")

    known_instance = None
    revision = None

    # ---- The whole ----

    def prepare(self):
        """What the runbook has before the first deployment, and what somebody else owns: zone, certificate, bootstrap."""
        self.ask(f"aws s3 mb s3://cdk-hnb659fds-assets-{ACCOUNT}-us-east-1")
        self.ask("aws ssm put-parameter --name /cdk-bootstrap/hnb659fds/version --value 30 --type String")
        self.ask("aws backup create-backup-vault --backup-vault-name Default --region us-west-2")
        self.ask("curl --silent --fail --request POST \"$AWS_ENDPOINT_URL/moto-api/seed?a=1\"")  # its ids are the same in both runs
        self.ask("aws logs create-log-group --log-group-name /aws/lambda/millracedevdatabaseClusterRotationSingleUser")  # its first run makes it
        certificate = self.ask("aws acm request-certificate --domain-name '*.example.com' --query CertificateArn --output text")
        zone = self.ask("aws route53 create-hosted-zone --name example.com --caller-reference rehearsal --query HostedZone.Id --output text")
        common = {"CDK_HOSTED_ZONE_ID": zone.split("/")[-1], "CDK_HOSTED_ZONE_NAME": "example.com", "CDK_DOMAIN_NAME": "millrace-api",
                  "CDK_CERTIFICATE_ARN": certificate, "CDK_ACCOUNT": ACCOUNT, "CDK_REGION": "us-east-1", "CDK_ECR_SHARED": "true",
                  "CDK_SCHEDULE_TASK_CLEANUP_CRON": "0 2 * * *"}
        self.environments = {"dev": {**common, "CDK_ENVIRONMENT": "dev"},
                             "prd": {**common, "CDK_ENVIRONMENT": "prd", "CDK_DOMAIN_NAME": "api", "CDK_DATABASE_READ_REPLICA": "true"}}

    def before(self, section):
        if section == "Roll back":
            self.revision = "millrace-dev:1"
        if section == "Restore the database":
            self.ask("npm run deploy -- --context appVersion=1.2.3", "prd")
            self.note(section, "production is deployed", self.state("prd"))
            self.known_instance = self.ask("aws rds describe-db-clusters --db-cluster-identifier millrace-prd --output text --query "
                                           "'DBClusters[0].DBClusterMembers[0].DBInstanceIdentifier'", "prd")
        if section == "Turn something off":
            self.environments["dev"].pop("CDK_SCHEDULE_TASK_CLEANUP_CRON")
        if section == "Scale to zero, and back":
            self.environments["dev"]["CDK_SCHEDULE_TASK_CLEANUP_CRON"] = "0 2 * * *"
            self.ask("npm run deploy -- --context appVersion=1.2.3 --context keepCount=true")

    def after(self, section):
        service = "aws ecs describe-services --cluster millrace-dev --services millrace-dev --output text --query "
        if section == "Update":
            self.expect(service + "'services[0].taskDefinition'", "millrace-dev:2")
        if section == "Roll back":
            self.expect(service + "'services[0].taskDefinition'", "millrace-dev:1")
        if section == "Scale to zero, and back":
            self.expect(service + "'services[0].desiredCount'", "1")
        if section == "Restore the database":
            self.expect("aws rds describe-db-clusters --output text --query 'DBClusters[].DBClusterIdentifier'", "millrace-prd-old")
        self.note(section, "afterwards", self.state("dev") + self.state("prd"))

    def expect(self, command, text):
        found = self.ask(command)
        if text not in found:
            self.fail("expected", command, f"{found}, and not {text}")

    def state(self, environment):
        return self.ask("aws cloudformation describe-stacks --output text --query "
                        f"\"sort_by(Stacks[?starts_with(StackName, 'millrace-{environment}-')], &StackName)[].[StackName,StackStatus]\"")

    def whole(self):
        self.prepare()
        section, environment = None, "dev"
        for wanted, command in ordered():
            if wanted != section:
                if section is not None:
                    self.after(section)
                section = wanted
                self.before(section)
                environment = "dev"
            if "millrace-prd" in command:
                environment = "prd"
            if section == "Tear down" and environment == "prd" and command.startswith("aws rds delete-db-instance"):
                self.delete_instances(section, command)
                continue
            self.step(section, command, environment)
        self.after(section)
        for environment in ("dev", "prd"):
            if self.state(environment) != "":
                self.fail("in the end", "npm run destroy", f"these are left: {self.state(environment)}")
        if self.unused:
            self.fail("in the end", "SKIPPED", f"no such command: {self.unused}")

    def delete_instances(self, section, command):
        """Each instance of the cluster: one after it was restored, and those that were deployed since."""
        members = "aws rds describe-db-clusters --db-cluster-identifier millrace-prd --output text --query 'length(DBClusters[0].DBClusterMembers)'"
        for _ in range(int(self.ask(members, "prd"))):
            self.step(section, command, "prd")


def masked(text):
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-][\d:]+)?", "TIME", text)
    text = re.sub(r"\b\d{10}(\.\d+)?\b", "TIME", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}", "ID", text)
    return re.sub(r"[A-Za-z0-9+/=]{24,}|-[A-Za-z0-9]{6,13}\b(?=[\"\s])", "ID", text)


def rehearse(scratch, count):
    print(f"run {count}:", flush=True)
    with Rehearsal(scratch) as rehearsal:
        rehearsal.whole()
    (scratch / f"transcript-{count}").write_text("\n".join(rehearsal.transcript))
    return rehearsal


def main():
    why = missing()
    if why is not None:
        print(f"skipped: {why}")
        return 0
    scratch = pathlib.Path(os.environ.get("REHEARSAL_DIR") or tempfile.mkdtemp(prefix="millrace-rehearsal-"))
    scratch.mkdir(parents=True, exist_ok=True)
    runs = [rehearse(scratch, count) for count in (1, 2)[: int(os.environ.get("REHEARSAL_RUNS", "2"))]]
    if any(run.failures for run in runs):
        print("\n\n".join(runs[0].failures or runs[1].failures))
        return 1
    if runs[0].transcript != runs[-1].transcript:
        difference = subprocess.run(["diff", str(scratch / "transcript-1"), str(scratch / "transcript-2")], text=True, capture_output=True)
        print(f"the second run differs:\n{difference.stdout[:4000]}")
        return 1
    for command in runs[0].unknown:
        print(f"not known to the stand-in: {command}")
    print(f"{len(runs[0].transcript)} steps" + (", twice the same" if len(runs) == 2 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
