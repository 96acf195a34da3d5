"""
Runs every command of docs/runbook.md, in its order, against a stand-in for AWS. Two environments are deployed, updated, rolled back,
restored and torn down. Fails when a command fails, when what it should bring about is not there, when a command is neither tried nor
excused (runbook.py), or when a second run differs from the first.

`npm run rehearse` makes two runs side by side, each against a stand-in of its own, and compares them. `-- --once` makes one, for whoever
edits the runbook; `-- --keep DIR` leaves logs and transcripts in DIR.

Needs python3 with moto, the AWS CLI, jq and openssl; without one of them it says so and ends with status 0.
"""
import argparse
import concurrent.futures
import difflib
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import runbook

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent
ACCOUNT = "123456789012"
REGION = "us-east-1"
STACKS = ("compute", "database", "ecr", "network", "scheduled-task")
KEPT_REVISIONS = 10
PRODUCTION = ("Restore the database", "Tear down")  # from the first command that names it on, these sections are about production

# How moto and its server answer to what they have not learnt.
UNKNOWN = re.compile(r"not (yet )?(been )?implemented|NotImplemented|UnknownOperation|Unknown operation|requested URL was not found on the server|\(50[01]\)|InternalFailure.*unknown", re.I)

printing = threading.Lock()


def missing():
    for name in ("aws", "jq", "openssl"):
        if shutil.which(name) is None:
            return f"there is no {name}"
    absent = [name for name in ("moto", "boto3", "flask", "flask_cors") if importlib.util.find_spec(name) is None]
    return f"python3 has no {', '.join(absent)} (moto with its server)" if absent else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Assemblies:
    """What the package makes of settings. Made once: both runs have the same zone and certificate."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.lock = threading.Lock()

    def of(self, rehearsal, environment, context):
        settings = sorted(rehearsal.environments[environment].items())
        path = self.scratch / ("assembly-" + hashlib.sha256(repr((settings, context)).encode()).hexdigest()[:12])
        with self.lock:
            if not (path / "manifest.json").exists():
                rehearsal.ask(f"npm run synth -- --quiet --output {path} {' '.join(context)}", environment)
        return str(path)


class Rehearsal:
    def __init__(self, scratch, assemblies, count):
        self.scratch = scratch
        self.assemblies = assemblies
        self.count = count
        self.began = time.monotonic()
        self.transcript = []
        self.failures = []
        self.unused = set(runbook.EXCUSED)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environments = {}
        self.assembly = {}
        self.shell = {**os.environ, "AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal", "AWS_REGION": REGION,
                      "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.url, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true",
                      "AWS_MAX_ATTEMPTS": "1", "CDK_REQUIRE_APPROVAL": "never", "CDK_NOTICES": "false",
                      "CDK_OUTPUT": str(scratch / f"assembly-{count}"), "CI": "true"}
        for name in [name for name in self.shell if re.match(r"AWS_(PROFILE|SESSION|CONFIG|SHARED)", name)]:
            del self.shell[name]

    # ---- The stand-in ----

    def __enter__(self):
        path = self.scratch / f"stand-in-{self.count}.log"
        self.log = open(path, "w")
        self.server = subprocess.Popen(["python3", "-B", "-W", "ignore", str(HERE / "stand_in.py"), str(self.port)], stdout=self.log,
                                       stderr=self.log, env={**os.environ, "PYTHONHASHSEED": "0"})  # moto goes by the order of sets
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and self.server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.2)
        self.__exit__()
        raise SystemExit("the stand-in did not start: " + path.read_text()[-2000:])

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()
        self.log.close()

    def client(self, service, region=REGION):
        """For the script's own questions: a process of the CLI costs a second."""
        import boto3
        return boto3.session.Session().client(service, endpoint_url=self.url, region_name=region, aws_access_key_id="rehearsal",
                                              aws_secret_access_key="rehearsal")

    # ---- Commands ----

    def run(self, command, environment="dev"):
        shell = {**self.shell, **self.environments.get(environment, {})}
        if command.startswith("npm run deploy"):
            shell["CDK_METHOD"] = "direct"  # moto's change sets forget exports
        if command == "npm run destroy":
            command += " -- --force"  # nobody is there to say yes
        if command.startswith("npm run diff"):
            shell["CDK_METHOD"] = "template"  # and it cannot delete one
        if re.match(r"npm run (deploy|diff)", command):
            self.assembly[environment] = self.assemblies.of(self, environment, re.findall(r"--context \S+", command))
        if re.match(r"npm run (deploy|diff|destroy)", command):
            shell["CDK_APP"] = self.assembly[environment]  # destroy wants the names of the stacks only
        # Some commands of AWS CLI 1 (rds) do not read the address from the environment.
        command = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n' + command
        return subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=PACKAGE, env=shell, text=True, capture_output=True, timeout=1800)

    def ask(self, command, environment="dev"):
        answer = self.run(command, environment)
        if answer.returncode != 0:
            raise RuntimeError(f"{command}\n{answer.stdout[-2000:]}{answer.stderr[-4000:]}")
        return answer.stdout.strip()

    def note(self, section, command, what):
        self.transcript.append(f"{section}: {command}: {what}")
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        with printing:
            print(f"{self.count}  {minutes:02}:{seconds:02}  {section}: {command[:100]}: {' '.join(what.split())[:200]}", flush=True)

    def fail(self, section, command, why):
        """All problems at once: the rehearsal goes on."""
        self.failures.append(f"{section}: {command}\n{why}")
        self.note(section, command, "FAILED " + why)

    def step(self, section, command, environment):
        pattern = runbook.excuse(command)
        self.unused.discard(pattern)
        why = runbook.EXCUSED.get(pattern)
        if why is not None and why is not runbook.NOT_KNOWN:
            return self.note(section, command, f"not run, {why}")
        try:
            answer = self.run(self.filled(command, environment), environment)
            self.remember(command)
        except Exception as error:  # whatever the CLI, boto3 or a time-out says
            return self.fail(section, command, str(error))
        if why is runbook.NOT_KNOWN:
            if answer.returncode != 0 and UNKNOWN.search(answer.stderr):
                return self.note(section, command, why)
            return self.fail(section, command, f"excused, but answered: {answer.stdout[-1000:]}{answer.stderr[-1000:]}")
        if answer.returncode != 0:
            return self.fail(section, command, answer.stdout[-3000:] + answer.stderr[-5000:])
        self.note(section, command, "done " + masked(answer.stdout if command.startswith("aws") else ""))

    def remember(self, command):
        """Each command has a shell of its own: what one puts into a variable, the next finds."""
        assignment = re.fullmatch(r'([A-Z]+)="(.*)"', command)
        if assignment is not None:
            self.shell[assignment[1]] = self.ask(f'{command}; printf %s "${assignment[1]}"')

    def filled(self, command, environment):
        """Words in capitals are for whoever types the command to look up: here they are looked up as the runbook says."""
        name = f"millrace-{environment}"
        look_up = {
            "SECRET-ARN": lambda: self.secret_arn(environment),
            "LOAD-BALANCER-ARN": lambda: self.client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"],
            "SUBNET-GROUP": lambda: self.cluster(name)["DBSubnetGroup"],
            "PARAMETER-GROUP": lambda: self.cluster(name)["DBClusterParameterGroup"],
            "SUBNET-ID": lambda: self.network(name)["subnets"][0],
            "SECURITY-GROUP-ID": lambda: self.security_group(name, "rds" if command.startswith("aws rds") else "ecs"),
            "MONITORING-ROLE-ARN": lambda: f"arn:aws:iam::{ACCOUNT}:role/monitoring",
            "INSTANCE-ID": lambda: self.instances(name)[0],
            "OLD-INSTANCE": lambda: self.old_instance,
            "FUNCTION-NAME": lambda: "millracedevdatabaseClusterRotationSingleUser",
        }
        for word, ask in look_up.items():
            pattern = rf"(?<![A-Z-]){word}(?![A-Z-])"
            if re.search(pattern, command):
                command = re.sub(pattern, ask(), command)
        for name, revision in self.first.items():
            command = command.replace(f"{name}:41", revision)
        return command

    # ---- What is there ----

    def service(self, name="millrace-dev"):
        return self.client("ecs").describe_services(cluster=name, services=[name])["services"][0]

    def network(self, name):
        return self.service(name)["networkConfiguration"]["awsvpcConfiguration"]

    def security_group(self, name, of):
        return self.cluster(name)["VpcSecurityGroups"][0]["VpcSecurityGroupId"] if of == "rds" else self.network(name)["securityGroups"][0]

    def revision(self, service="millrace-dev"):
        [found] = self.client("ecs").describe_services(cluster="millrace-dev", services=[service])["services"]
        return found["taskDefinition"].split("/")[-1]

    def revisions(self):
        arns = self.client("ecs").list_task_definitions(familyPrefix="millrace-dev", sort="DESC")["taskDefinitionArns"]
        return [arn.split("/")[-1] for arn in arns]

    def cluster(self, name):
        return self.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]

    def instances(self, name):
        return [member["DBInstanceIdentifier"] for member in self.cluster(name)["DBClusterMembers"]]

    def secret_arn(self, environment):
        [stack] = self.client("cloudformation").describe_stacks(StackName=f"millrace-{environment}-database")["Stacks"]
        return next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "SecretArn")

    def password(self):
        return json.loads(self.client("secretsmanager").get_secret_value(SecretId=self.secret_arn("dev"))["SecretString"])["password"]

    def state(self, environment):
        prefix = f"millrace-{environment}-"
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        return {stack["StackName"][len(prefix):]: stack["StackStatus"] for stack in sorted(stacks, key=lambda one: one["StackName"])
                if stack["StackName"].startswith(prefix) and stack["StackStatus"] != "DELETE_COMPLETE"}

    # ---- The story ----

    first = {}  # the revision of each service's family that was deployed first
    old_instance = None

    def prepare(self):
        """What the runbook has before the first deployment, what somebody else owns (zone, certificate, bootstrap), and what AWS makes."""
        self.client("s3").create_bucket(Bucket=f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}")
        self.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        self.client("backup", "us-west-2").create_backup_vault(BackupVaultName="Default")
        # Its ids are the same in both runs.
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/seed?a=1", method="POST")).close()
        self.client("logs").create_log_group(logGroupName="/aws/lambda/millracedevdatabaseClusterRotationSingleUser")  # its first run makes it
        # An environment of that name was there before: its revisions are left.
        container = {"name": "millrace", "image": "millrace:0.1", "memory": 512}
        for _ in range(KEPT_REVISIONS):
            self.client("ecs").register_task_definition(family="millrace-dev", containerDefinitions=[container])
        certificate = self.client("acm").request_certificate(DomainName="*.example.com")["CertificateArn"]
        zone = self.client("route53").create_hosted_zone(Name="example.com", CallerReference="rehearsal")["HostedZone"]["Id"]
        common = {"CDK_HOSTED_ZONE_ID": zone.split("/")[-1], "CDK_HOSTED_ZONE_NAME": "example.com", "CDK_DOMAIN_NAME": "millrace-api",
                  "CDK_CERTIFICATE_ARN": certificate, "CDK_ACCOUNT": ACCOUNT, "CDK_REGION": REGION, "CDK_ECR_SHARED": "true",
                  "CDK_SCHEDULE_TASK_CLEANUP_CRON": "0 2 * * *", "CDK_DATABASE_READ_REPLICA": "true"}
        self.environments = {"dev": {**common, "CDK_ENVIRONMENT": "dev"},
                             "prd": {**common, "CDK_ENVIRONMENT": "prd", "CDK_DOMAIN_NAME": "api"}}

    def enter(self, section):
        if section == "Restore the database":
            self.ask("npm run deploy -- --context appVersion=1.2.3", "prd")
            self.note(section, "production is deployed", str(self.state("prd")))
            self.old_instance = self.instances("millrace-prd")[0]
        if section == "Rotate secrets":
            self.old_password = self.password()
        if section == "Turn something off":
            self.environments["dev"].pop("CDK_SCHEDULE_TASK_CLEANUP_CRON")
        if section == "Scale to zero, and back":
            self.environments["dev"]["CDK_SCHEDULE_TASK_CLEANUP_CRON"] = "0 2 * * *"
            self.ask("npm run deploy -- --context appVersion=1.2.3 --context keepCount=true")

    def just_before(self, section, command):
        if section == "Turn something off" and command.startswith("aws cloudformation delete-stack"):
            self.refused("npm run deploy -- --context appVersion=1.2.3 --context keepCount=true", "in use")
        if section == "Turn something off" and command.startswith("npm run deploy:services"):
            self.environments["dev"].pop("CDK_DATABASE_READ_REPLICA")
            self.refused("npm run deploy -- --context appVersion=1.2.3 --context keepCount=true", "in use")

    def leave(self, section):
        if section == "Deploy":
            self.expect("the stacks", sorted(self.state("dev")), sorted(STACKS))
            self.first = {name: self.revision(name) for name in ("millrace-dev", "millrace-scheduler-dev")}
        if section == "Update":
            for name, revision in self.first.items():
                self.expect(f"another revision of {name}", self.revision(name) != revision, True)
        if section == "Roll back":
            for name, revision in self.first.items():
                self.expect(f"the revision before of {name}", self.revision(name), revision)
            self.expect("how many revisions are kept", len(self.revisions()), KEPT_REVISIONS)
            self.expect("the one that runs is kept", self.first["millrace-dev"] in self.revisions(), True)
        if section == "Restore the database":
            clusters = {one["DBClusterIdentifier"] for one in self.client("rds").describe_db_clusters()["DBClusters"]}
            self.expect("clusters", sorted(clusters), ["millrace-dev", "millrace-prd", "millrace-prd-old"])
            self.expect("its instance has the name that CloudFormation knows", self.instances("millrace-prd"), [self.old_instance])
        if section == "Rotate secrets":
            self.expect("another password", self.password() != self.old_password, True)
        if section == "Turn something off":
            self.expect("the stacks", sorted(self.state("dev")), sorted(set(STACKS) - {"scheduled-task"}))
            self.expect("instances of the database", len(self.instances("millrace-dev")), 1)
        if section == "Scale to zero, and back":
            self.expect("tasks that are wanted", self.service()["desiredCount"], 1)
        if section == "Tear down":
            self.expect("what is left", {**self.state("dev"), **self.state("prd")}, {})
            networks = [vpc for vpc in self.client("ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]
            self.expect("networks that are left", networks, [])
        self.note(section, "afterwards", f"{self.state('dev')} {self.state('prd')}")

    def refused(self, command, because):
        """What the runbook warns of: the order that CloudFormation does not allow."""
        answer = self.run(command)
        self.expect(f"{command} is refused", answer.returncode != 0 and because in answer.stdout + answer.stderr, True)

    def expect(self, what, found, wanted):
        if found != wanted:
            self.fail("expected", what, f"{wanted}, and not {found}")

    def guarded(self, what, section):
        """One failure hides no other."""
        try:
            what(section)
        except Exception as error:
            self.fail(section, what.__name__, repr(error))

    def times(self, command):
        """Once, or for each instance: the one that was restored, and those that were deployed since."""
        return len(self.instances("millrace-prd")) if "INSTANCE-ID" in command else 1

    def whole(self):
        self.prepare()
        section, environment = None, "dev"
        for wanted, command in runbook.in_order_of_rehearsal():
            if wanted != section:
                self.guarded(self.leave, section)
                section, environment = wanted, "dev"
                self.guarded(self.enter, section)
            of_production = "millrace-prd" in command
            if of_production and section in PRODUCTION:
                environment = "prd"
            self.just_before(section, command)
            for _ in range(self.times(command)):
                self.step(section, command, "prd" if of_production else environment)
        self.guarded(self.leave, section)
        self.expect("commands for these excuses", self.unused, set())


def masked(text):
    """Without times, and without ids: their numbers follow the seed and how many calls came before, and cdk asks as often as it has time."""
    text = re.sub(r"(\.cluster-(?:ro-)?)[a-z0-9]{12}\.", r"\1ID.", text)
    text = re.sub(r'("HostedZoneId": )"\w+"', r'\1"ID"', text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-][\d:]+)?", "TIME", text)
    text = re.sub(r"\b\d{10}(\.\d+)?\b", "TIME", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}", "ID", text)
    return re.sub(r"[A-Za-z0-9+/=]{24,}|-[A-Za-z0-9]{6,13}\b(?=[\"\s])", "ID", text)


def rehearse(scratch, assemblies, count):
    with Rehearsal(scratch, assemblies, count) as rehearsal:
        try:
            rehearsal.whole()
        except Exception as error:
            rehearsal.fail("the rehearsal", "could not go on", repr(error))
    (scratch / f"transcript-{count}").write_text("\n".join(rehearsal.transcript) + "\n")
    return rehearsal


def judge(runs):
    """What to print, and whether all is well."""
    failures = [f"run {run.count}: {failure}" for run in runs for failure in run.failures]
    if failures:
        return "\n\n".join(failures), False
    difference = list(difflib.unified_diff(runs[0].transcript, runs[-1].transcript, "run 1", "run 2", lineterm="", n=0))
    if difference:
        return "the runs differ:\n" + "\n".join(difference)[:8000], False
    return f"{len(runs[0].transcript)} steps" + (", twice the same" if len(runs) == 2 else ", once"), True


def main():
    parser = argparse.ArgumentParser(description="Run every command of docs/runbook.md against a stand-in for AWS.")
    parser.add_argument("--once", action="store_true", help="one run, without a comparison")
    parser.add_argument("--keep", metavar="DIR", type=pathlib.Path, help="leave logs and transcripts there")
    arguments = parser.parse_args()
    why = missing()
    if why is not None:
        print(f"skipped: {why}")
        return 0
    scratch = arguments.keep or pathlib.Path(tempfile.mkdtemp(prefix="millrace-rehearsal-"))
    scratch.mkdir(parents=True, exist_ok=True)
    assemblies = Assemblies(scratch)
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            counts = (1,) if arguments.once else (1, 2)
            text, good = judge(list(pool.map(lambda count: rehearse(scratch, assemblies, count), counts)))
    finally:
        if arguments.keep is None:
            shutil.rmtree(scratch, ignore_errors=True)
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
