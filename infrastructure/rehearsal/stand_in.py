"""
A stand-in for AWS: moto's server, and what a deployment depends on that moto lets pass. `python3 stand_in.py PORT`.

Added: resources that moto's CloudFormation does not know (made by moto's own API where it has one, a mere name elsewhere). It refuses a
name that is taken, deletes nothing that another stack imports, no protected stack and no protected database, refuses a lower version of
the database, keeps a task definition that CloudFormation retains, and runs no service on one that is inactive.

It does not show that AWS accepts every property, nor that anything runs.
"""
import itertools
import json
import sys

import boto3
import moto.cloudformation.models as cloudformation
import moto.cloudformation.parsing as parsing
import moto.cloudformation.responses as responses
import moto.ec2.models.route_tables as route_tables
import moto.ecs.models as ecs
import moto.ecs.responses as ecs_responses
import moto.route53.models as route53
import moto.rds.models as rds
import moto.rds.responses as rds_responses
import moto.secretsmanager.models as secrets
import moto.server
from moto.cloudformation.exceptions import ValidationError
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.core.utils import pascal_to_camelcase, remap_nested_keys
from moto.ec2.models import ec2_backends
from moto.ecs.exceptions import EcsClientException

PORT = sys.argv[1] if len(sys.argv) > 1 else "0"
numbers = itertools.count(1)


def client(service):
    return boto3.client(service, endpoint_url=f"http://127.0.0.1:{PORT}", region_name="us-east-1",
                        aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal")


# ---- Resources ----

# moto reads the service from the name of the module that a model stands in.
__name__, started = "stand_in.ours", __name__

class Anything(CloudFormationModel):
    """A resource that has a name and attributes, and nothing else. Its name is taken until it is deleted."""

    taken = set()
    NAMES = ("AlarmName", "BackupVaultName", "BackupPlanName", "DBClusterIdentifier", "Name")

    def __init__(self, kind, name, properties):
        self.kind, self.properties = kind, properties
        self.type = self.cf_resource_type = kind
        self.physical_resource_id = self.make(name)
        if (kind, self.physical_resource_id) in self.taken:
            raise ValidationError(message=f"{kind} {self.physical_resource_id} already exists")
        self.taken.add((kind, self.physical_resource_id))

    def make(self, name):
        return next((self.properties[key] for key in self.NAMES if isinstance(self.properties.get(key), str)), name)

    def change(self, properties):
        self.properties = properties

    def unmake(self):
        pass

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return ""

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    def get_cfn_attribute(self, attribute_name):
        return f"{self.physical_resource_id}.{attribute_name}"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        return cls(cloudformation_json["Type"], resource_name, plain(cloudformation_json["Properties"]))

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        original_resource.change(plain(cloudformation_json["Properties"]))
        return original_resource

    def delete(self, account_id, region_name):
        self.unmake()
        self.taken.discard((self.kind, self.physical_resource_id))


def plain(value):
    """A reference is the resource itself here."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    known = (getattr(value, name, None) for name in ("physical_resource_id", "name"))
    return value if isinstance(value, (str, int, float, bool)) else next((one for one in known if one is not None), value)


def only(properties, *names):
    return {name: properties[name] for name in names if name in properties}


class Cluster(Anything):
    def make(self, name):
        client("rds").create_db_cluster(**only(
            self.properties, "DBClusterIdentifier", "Engine", "EngineVersion", "MasterUsername", "DeletionProtection",
            "DBSubnetGroupName", "VpcSecurityGroupIds", "DBClusterParameterGroupName", "ServerlessV2ScalingConfiguration"), MasterUserPassword="of-the-secret")
        return self.properties["DBClusterIdentifier"]

    def change(self, properties):
        before, after = self.properties["EngineVersion"], properties["EngineVersion"]
        if [int(part) for part in after.split(".")] < [int(part) for part in before.split(".")]:
            raise ValidationError(message=f"Cannot upgrade aurora-postgresql from {before} to {after}")
        super().change(properties)

    def get_cfn_attribute(self, attribute_name):
        return "5432" if attribute_name == "Endpoint.Port" else super().get_cfn_attribute(attribute_name)

    def unmake(self):
        if self.properties.get("DeletionProtection"):
            raise ValidationError(message="Cannot delete protected Cluster, please disable deletion protection and try again.")
        client("rds").delete_db_cluster(DBClusterIdentifier=self.physical_resource_id, SkipFinalSnapshot=True)


class Instance(Anything):
    def make(self, name):
        identifier = f"{self.properties['DBClusterIdentifier']}-{next(numbers)}"
        client("rds").create_db_instance(DBInstanceIdentifier=identifier, **only(
            self.properties, "DBClusterIdentifier", "DBInstanceClass", "Engine"))
        return identifier

    def unmake(self):
        client("rds").delete_db_instance(DBInstanceIdentifier=self.physical_resource_id, SkipFinalSnapshot=True)


class Secret(Anything):
    def make(self, name):
        generate = self.properties.get("GenerateSecretString", {})
        content = json.loads(self.properties.get("SecretString") or generate.get("SecretStringTemplate", "{}"))
        if "GenerateStringKey" in generate:
            content[generate["GenerateStringKey"]] = "of-the-secret"
        return client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(content))["ARN"]

    def unmake(self):
        client("secretsmanager").delete_secret(SecretId=self.physical_resource_id, ForceDeleteWithoutRecovery=True)


class Attachment(Anything):
    def make(self, name):
        return self.properties["SecretId"]


class Alarm(Anything):
    def make(self, name):
        self.put()
        return self.properties["AlarmName"]

    def change(self, properties):
        super().change(properties)
        self.put()

    def put(self):
        numbers_of = {name: float(self.properties[name]) for name in ("Threshold",) if name in self.properties}
        client("cloudwatch").put_metric_alarm(**only(
            self.properties, "AlarmName", "AlarmDescription", "Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Dimensions",
            "Period", "EvaluationPeriods", "ComparisonOperator", "TreatMissingData", "AlarmActions", "OKActions"), **numbers_of)

    def unmake(self):
        client("cloudwatch").delete_alarms(AlarmNames=[self.physical_resource_id])


class Vault(Anything):
    def make(self, name):
        client("backup").create_backup_vault(BackupVaultName=self.properties["BackupVaultName"])
        return self.properties["BackupVaultName"]


class ScalableTarget(Anything):
    def make(self, name):
        self.put()
        return self.properties["ResourceId"]

    def change(self, properties):
        super().change(properties)
        self.put()

    def put(self):
        client("application-autoscaling").register_scalable_target(**only(
            self.properties, "ServiceNamespace", "ResourceId", "ScalableDimension"), MinCapacity=int(self.properties["MinCapacity"]),
            MaxCapacity=int(self.properties["MaxCapacity"]))


OURS = {
    "AWS::RDS::DBCluster": Cluster,
    "AWS::RDS::DBInstance": Instance,
    "AWS::SecretsManager::Secret": Secret,
    "AWS::SecretsManager::SecretTargetAttachment": Attachment,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::Backup::BackupVault": Vault,
    "AWS::ApplicationAutoScaling::ScalableTarget": ScalableTarget,
}
_known = parsing.resource_class_from_type
_taught = set()


def class_of(kind):
    """Ours, moto's, or anything; moto's know some of their attributes, and the rest is their name."""
    known = OURS.get(kind) or _known(kind) or Anything
    if known not in _taught and not issubclass(known, Anything):
        _taught.add(known)
        teach(known)
    return known


def teach(model):
    attribute = getattr(model, "get_cfn_attribute", None)

    def answer(self, attribute_name):
        try:
            return attribute(self, attribute_name)
        except Exception:  # whatever moto raises for one that it does not know
            return f"{self.physical_resource_id}.{attribute_name}"

    model.get_cfn_attribute = answer
    model.has_cfn_attr = classmethod(lambda cls, attr: True)


parsing.resource_class_from_type = class_of


# ---- Stacks ----


def delete_resources(self):
    """What was made last goes first, as with CloudFormation; moto goes by the order of a set. What another one holds is tried again."""
    names = [name for name in reversed(list(self._parsed_resources)) if self._resource_json_map.get(name, {}).get("DeletionPolicy") != "Retain"]
    names = [name for name in names if name in self._resource_json_map]
    while names:
        left, why = [], None
        for name in names:
            resource = self._parsed_resources[name]
            try:
                if resource is not None and not isinstance(resource, str):
                    self._delete_resource(resource, self._resource_json_map[name])
                del self._parsed_resources[name]
            except Exception as error:  # whatever one of moto's services says
                left.append(name)
                why = error
        if len(left) == len(names):
            raise why
        names = left


parsing.ResourceMap.delete = delete_resources
_delete_all = cloudformation.Stack.delete


def forget_outputs(self):
    """Whoever asks for a stack that is gone asks for its outputs too, and moto makes the resources again that they name."""
    _delete_all(self)
    self.output_map._output_json_map = {}
    self.output_map._parsed_outputs = {}


cloudformation.Stack.delete = forget_outputs
_change = parsing.parse_and_update_resource


def change_resource(logical_id, resource_json, resources_map, account_id, region_name):
    """Of a resource that moto cannot change it keeps nothing."""
    before = resources_map[logical_id]
    return _change(logical_id, resource_json, resources_map, account_id, region_name) or before


parsing.parse_and_update_resource = change_resource

_from_s3 = responses.get_stack_from_s3_url
# The CLI names a template by the address of this server, which moto would take for the name of a bucket.
responses.get_stack_from_s3_url = lambda url, **kwargs: _from_s3(url.replace("//127.0.0.1:", "//localhost:"), **kwargs)

_resolve = cloudformation.CloudFormationBackend._resolve_update_parameters


def resolve(self, instance, incoming_params):
    """The value before of a parameter that nobody has given is its default."""
    known = [each for each in incoming_params if not each.get("UsePreviousValue") or each["ParameterKey"] in instance.parameters]
    return _resolve(self, instance=instance, incoming_params=known)


cloudformation.CloudFormationBackend._resolve_update_parameters = resolve
_delete = cloudformation.CloudFormationBackend.delete_stack


def refuse_if_used(self, stack, exports):
    """An export goes when nobody imports it, and not before."""
    others = [json.dumps(one.template_dict) for one in self.stacks.values() if one is not stack]
    used = next((name for name in exports if any(f'"{name}"' in text for text in others)), None)
    if used is not None:
        raise ValidationError(message=f"Export {used} cannot be deleted as it is in use")


def delete_stack(self, name_or_stack_id):
    """Who is imported stays, and who is protected."""
    stack = next((one for one in self.stacks.values() if name_or_stack_id in (one.name, one.stack_id)), None)
    if stack is not None:
        if stack.enable_termination_protection:
            raise ValidationError(message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        refuse_if_used(self, stack, [one.name for one in stack.exports])
    return _delete(self, name_or_stack_id)


_update = cloudformation.CloudFormationBackend.update_stack


def update_stack(self, name, template, role_arn, parameters, tags):
    stack = self.get_stack(name)
    outputs = json.loads(template).get("Outputs", {}).values()
    stays = {output["Export"]["Name"] for output in outputs if "Export" in output}
    refuse_if_used(self, stack, [one.name for one in stack.exports if one.name not in stays])
    return _update(self, name, template, role_arn, parameters, tags)


cloudformation.CloudFormationBackend.update_stack = update_stack
cloudformation.CloudFormationBackend.delete_stack = delete_stack


# ---- Names that moto makes otherwise than AWS ----

_zone = route53.create_route53_zone_id
route53.create_route53_zone_id = lambda *args, **kwargs: "Z" + _zone(*args, **kwargs)[1:]


# ---- Revisions ----

_deregister = ecs.EC2ContainerServiceBackend.deregister_task_definition
_update_task = ecs.TaskDefinition.update_from_cloudformation_json.__func__


def update_task(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    """moto takes the revision before out of service, whatever the template says, and leaves the template's spelling of the containers."""
    backend = ecs.ecs_backends[account_id][region_name]
    keeps = cloudformation_json.get("UpdateReplacePolicy") == "Retain"
    properties = dict(cloudformation_json["Properties"])
    for part in {"ContainerDefinitions", "Volumes"} & set(properties):
        properties[part] = remap_nested_keys(properties[part], pascal_to_camelcase)
    cloudformation_json = {**cloudformation_json, "Properties": properties}
    backend.deregister_task_definition = (lambda arn: None) if keeps else _deregister.__get__(backend)
    try:
        return _update_task(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name)
    finally:
        del backend.deregister_task_definition


ecs.TaskDefinition.update_from_cloudformation_json = classmethod(update_task)
_update_service = ecs.EC2ContainerServiceBackend.update_service


def update_service(self, service_properties):
    wanted = service_properties.get("task_definition")
    if wanted is not None and self.describe_task_definition(wanted).status != "ACTIVE":
        raise EcsClientException(f"TaskDefinition is inactive: {wanted}")
    return _update_service(self, service_properties)


ecs.EC2ContainerServiceBackend.update_service = update_service




def with_tags(model):
    """moto leaves None where a template or a call names none, and asks for a list later."""
    initial = model.__init__

    def made(self, *args, **kwargs):
        initial(self, *args, **kwargs)
        self.tags = self.tags or []

    model.__init__ = made


for one in (ecs.Cluster, ecs.Service, ecs.TaskDefinition, ecs.Task):
    with_tags(one)
# For Fargate the task says how much it needs, and nobody looks for a place; moto adds up what its containers say, and they need not.
ecs.EC2ContainerServiceBackend._calculate_task_resource_requirements = staticmethod(
    lambda task_definition: {"CPU": 0, "MEMORY": 0, "PORTS": [], "PORTS_UDP": []})
_make_service = ecs.Service.create_from_cloudformation_json.__func__
_change_service = ecs.Service.update_from_cloudformation_json.__func__


def with_network(make):
    """moto forgets where a service of a template runs."""

    def made(cls, *args, **kwargs):
        service = make(cls, *args, **kwargs)
        document = kwargs.get("cloudformation_json") or next(one for one in args if isinstance(one, dict))
        network = plain(document["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"])
        service.network_configuration = {"awsvpcConfiguration": {name[0].lower() + name[1:]: value for name, value in network.items()}}
        return service

    return classmethod(made)


ecs.Service.create_from_cloudformation_json = with_network(_make_service)
ecs.Service.update_from_cloudformation_json = with_network(_change_service)


def list_task_definitions(self):
    """moto does not sort them."""
    arns = self.ecs_backend.list_task_definitions(self._get_param("familyPrefix"), self._get_param("status", "ACTIVE"))
    arns.sort(key=lambda arn: (arn.rpartition(":")[0], int(arn.rpartition(":")[2])), reverse=self._get_param("sort") == "DESC")
    return ActionResult({"taskDefinitionArns": arns})


ecs_responses.EC2ContainerServiceResponse.list_task_definitions = list_task_definitions


# ---- Route tables ----


def delete_route_table(cls, resource_name, cloudformation_json, account_id, region_name):
    """moto leaves them, and what keeps a network from going with them."""
    backend = ec2_backends[account_id][region_name]
    backend.get_route_table(resource_name)._associations.clear()
    backend.delete_route_table(resource_name)


route_tables.RouteTable.delete_from_cloudformation_json = classmethod(delete_route_table)


# ---- Calls that moto does not know, or that it answers otherwise than AWS ----


def update_termination_protection(self):
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_param("EnableTerminationProtection") in (True, "true")
    return ActionResult({"StackId": stack.stack_id})


responses.CloudFormationResponse.update_termination_protection = update_termination_protection


def describe_db_engine_versions(self):
    """One that every cluster here may have."""
    return ActionResult({"DBEngineVersions": [{"Engine": "aurora-postgresql", "EngineVersion": version} for version in ("17.4", "17.5")]})


rds_responses.RDSResponse.describe_db_engine_versions = describe_db_engine_versions
_modify_cluster = rds.RDSBackend.modify_db_cluster


def modify_db_cluster(self, kwargs):
    """A cluster that gets another name keeps its instances."""
    name = kwargs["db_cluster_identifier"]
    wanted = kwargs.get("new_db_cluster_identifier") or name
    members = [one for one in self.databases.values() if getattr(one, "db_cluster_identifier", None) == name]
    if wanted != name and wanted in self.clusters:
        raise rds.RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster {wanted} already exists")
    answer = _modify_cluster(self, kwargs)
    for one in members:
        one.db_cluster_identifier = wanted
    return answer


rds.RDSBackend.modify_db_cluster = modify_db_cluster


def rotate_secret(self, secret_id, client_request_token=None, rotation_lambda_arn=None, rotation_rules=None, rotate_immediately=True):
    """What the function of ours leaves: another password under the same keys. No function runs here."""
    content = json.loads(self.get_secret_value(secret_id, None, None)["SecretString"])
    content["password"] = f"of-rotation-{next(numbers)}"
    return self.put_secret_value(secret_id, json.dumps(content), None, None, ["AWSCURRENT"])


secrets.SecretsManagerBackend.rotate_secret = rotate_secret

if started == "__main__":
    moto.server.main(["-H", "127.0.0.1", "-p", PORT])
