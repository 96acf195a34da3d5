/** What goes beyond the guide; docs/infrastructure.md lists it under the same names. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { loadConfig } from '../config/load.ts';
import { IDLE_RELEASE_SECONDS, RESUME_SECONDS, WAKING_REQUEST_SECONDS } from '../constructs/container-settings.ts';
import { connectionLimit } from '../constructs/database-alarms.ts';
import { MANAGED_RULES } from './support/managed-rules.ts';
import { newApp, REQUIRED, synth } from './support/synth.ts';
import {
  alarm,
  alarmNames,
  all,
  attributes,
  container,
  environment,
  type Json,
  listOf,
  none,
  one,
  statements,
} from './support/template.ts';
import { everything, existingVpc, frugal, matrix, pausing, plain, production, replica, scheduled } from './support/variants.ts';

const SERVICES = ['compute', 'scheduled-task'] as const;

const warnings = (which: ReturnType<typeof plain>): string[] =>
  which.assembly.stacks.flatMap(({ messages }) => messages.map(({ entry }) => String(entry.data)));

describe('network', () => {
  const network = (which = plain()) => which.template('network');

  it('two zones, each with a public, a private and an isolated data subnet', () => {
    const subnets = all(network(), 'AWS::EC2::Subnet');
    assert.equal(subnets.length, 6);
    const zones = new Set(subnets.map(({ Properties }) => JSON.stringify(Properties.AvailabilityZone)));
    assert.equal(zones.size, 2);
    assert.ok(subnets.every(({ Properties }) => Properties.MapPublicIpOnLaunch === false));
  });
  it('data subnets have no route out', () => {
    const tables = all(network(), 'AWS::EC2::Route').map(({ Properties }) => JSON.stringify(Properties.RouteTableId));
    assert.ok(!tables.some((table) => table.includes('data')));
  });
  it('zones come from the region deployed to, without a lookup', () => {
    const zones = all(network(), 'AWS::EC2::Subnet').map(({ Properties }) =>
      JSON.stringify(Properties.AvailabilityZone),
    );
    assert.ok(zones.every((zone) => zone.includes('Fn::GetAZs')));
    for (const make of Object.values(matrix)) {
      assert.deepEqual(make().assembly.manifest.missing ?? [], []);
    }
  });
  it('a gateway endpoint for S3 in the private subnets', () => {
    const endpoint = one(network(), 'AWS::EC2::VPCEndpoint').Properties;
    assert.equal(endpoint.VpcEndpointType, 'Gateway');
    assert.match(JSON.stringify(endpoint.ServiceName), /\.s3"/);
    assert.ok(endpoint.RouteTableIds.length >= 4);
  });
  it('the addresses of the VPC by setting, and the sizes of its subnets follow', () => {
    const blocks = (which: ReturnType<typeof plain>) =>
      all(network(which), 'AWS::EC2::Subnet').map(({ Properties }) => Properties.CidrBlock.split('/')[1]);
    assert.equal(one(network(), 'AWS::EC2::VPC').Properties.CidrBlock, '10.0.0.0/16');
    assert.deepEqual(blocks(plain()).sort(), ['22', '22', '24', '24', '24', '24']);
    assert.equal(one(network(everything()), 'AWS::EC2::VPC').Properties.CidrBlock, '172.20.0.0/18');
    assert.deepEqual(blocks(everything()).sort(), ['24', '24', '26', '26', '26', '26']);
    const small = synth({ CDK_VPC_CIDR: '192.168.16.0/20' });
    assert.deepEqual(blocks(small).sort(), ['26', '26', '28', '28', '28', '28'], 'no smaller than AWS takes');
  });
  it('without NAT there is no gateway and no private subnet, and tasks have addresses of their own', () => {
    none(network(frugal()), 'AWS::EC2::NatGateway');
    assert.equal(all(network(frugal()), 'AWS::EC2::Subnet').length, 4);
    for (const type of SERVICES) {
      const { AssignPublicIp, Subnets } = one(frugal().template(type), 'AWS::ECS::Service').Properties.NetworkConfiguration
        .AwsvpcConfiguration;
      assert.equal(AssignPublicIp, 'ENABLED');
      assert.ok(Subnets.every((subnet: Json) => JSON.stringify(subnet).includes('public')));
    }
  });
  it('without NAT, too, nothing but the load balancer reaches a task, and the database has no route out', () => {
    const ingress = all(frugal().template('compute'), 'AWS::EC2::SecurityGroupIngress').filter(({ Properties }) =>
      JSON.stringify(Properties.GroupId).includes('ApiSecurityGroup'),
    );
    assert.equal(ingress.length, 1);
    assert.match(JSON.stringify(ingress[0]?.Properties.SourceSecurityGroupId), /LoadBalancer/);
    for (const type of SERVICES) {
      const group = all(frugal().template(type), 'AWS::EC2::SecurityGroup').find(({ id }) => /^(Api|Scheduler)/.test(id));
      assert.deepEqual(group?.Properties.SecurityGroupIngress ?? [], []);
    }
    none(frugal().template('scheduled-task'), 'AWS::ElasticLoadBalancingV2::TargetGroup');
    const { SubnetIds } = one(frugal().template('database'), 'AWS::RDS::DBSubnetGroup').Properties;
    assert.ok(SubnetIds.every((subnet: Json) => JSON.stringify(subnet).includes('data')));
  });
  it('without NAT no function could change the password, and none tries', () => {
    none(frugal().template('database'), 'AWS::SecretsManager::RotationSchedule');
    none(frugal().template('database'), 'AWS::Serverless::Application');
  });
  it('flow logs by setting, for a VPC of ours and for an existing one', () => {
    one(network(everything()), 'AWS::EC2::FlowLog');
    const existing = synth({ ...envOf(existingVpc()), CDK_VPC_FLOW_LOGS: 'true' });
    assert.equal(one(network(existing), 'AWS::EC2::FlowLog').Properties.ResourceId, 'vpc-0123456789abcdef0');
    none(network(), 'AWS::EC2::FlowLog');
  });
});

/** The variables that describe the existing VPC of the matrix. */
function envOf({ config }: ReturnType<typeof existingVpc>): Record<string, string> {
  return {
    CDK_VPC_ID: config.vpcId ?? '',
    CDK_VPC_SUBNETS_PUBLIC: config.vpcSubnetsPublic?.join(',') ?? '',
    CDK_VPC_SUBNETS_PRIVATE: config.vpcSubnetsPrivate?.join(',') ?? '',
    CDK_VPC_AZS: config.vpcZones?.join(',') ?? '',
  };
}

describe('database', () => {
  const cluster = (which = plain()) => one(which.template('database'), 'AWS::RDS::DBCluster');

  it('deletion protection and RETAIN in prd only', () => {
    assert.deepEqual(
      [cluster(production()).Properties.DeletionProtection, cluster(production()).DeletionPolicy],
      [true, 'Retain'],
    );
    assert.deepEqual([cluster().Properties.DeletionProtection ?? false, cluster().DeletionPolicy], [false, 'Delete']);
  });
  it('termination protection of every stack in prd only', () => {
    assert.ok(production().assembly.stacks.every(({ terminationProtection }) => terminationProtection === true));
    assert.ok(plain().assembly.stacks.every(({ terminationProtection }) => !terminationProtection));
  });
  it('log export, Performance Insights and enhanced monitoring on every instance', () => {
    assert.deepEqual(cluster().Properties.EnableCloudwatchLogsExports, ['postgresql']);
    assert.equal(cluster().Properties.DatabaseInsightsMode, 'standard');
    for (const { Properties } of all(replica().template('database'), 'AWS::RDS::DBInstance')) {
      assert.equal(Properties.EnablePerformanceInsights, true);
      assert.equal(Properties.MonitoringInterval, 60);
      assert.ok(Properties.MonitoringRoleArn);
    }
  });
  it('a reader can take over at once: it is scaled with the writer', () => {
    const reader = all(replica().template('database'), 'AWS::RDS::DBInstance').find(({ id }) => id.includes('reader'));
    assert.equal(reader?.Properties.PromotionTier, 1);
  });
  it('certificates of the authority whose bundle the image holds; snapshots carry the tags', () => {
    for (const { Properties } of all(replica().template('database'), 'AWS::RDS::DBInstance')) {
      assert.equal(Properties.CACertificateIdentifier, 'rds-ca-rsa2048-g1');
    }
    assert.equal(cluster().Properties.CopyTagsToSnapshot, true);
  });
  it('its log group is made before it, so that its lines end', () => {
    const group = all(plain().template('database'), 'AWS::Logs::LogGroup').find(
      ({ Properties }) => Properties.LogGroupName === '/aws/rds/cluster/millrace-dev/postgresql',
    );
    assert.ok(cluster().DependsOn?.includes(group?.id ?? 'missing'));
  });
  it('so is that of the rotation function', () => {
    const template = plain().template('database');
    const application = one(template, 'AWS::Serverless::Application');
    const name = `/aws/lambda/${application.Properties.Parameters.functionName}`;
    const group = all(template, 'AWS::Logs::LogGroup').find(({ Properties }) => Properties.LogGroupName === name);
    assert.equal(group?.Properties.RetentionInDays, 7);
    assert.ok(application.DependsOn?.includes(group.id));
  });
  it('the password is changed by a single-user rotation every 30 days', () => {
    const template = plain().template('database');
    const { Location, Parameters } = one(template, 'AWS::Serverless::Application').Properties;
    const mapping = template.toJSON().Mappings[Location.ApplicationId['Fn::FindInMap'][0]];
    assert.match(mapping.aws.applicationId, /SecretsManagerRDSPostgreSQLRotationSingleUser$/);
    assert.ok(JSON.stringify(Parameters.vpcSubnetIds).includes('private'), 'with a way out to Secrets Manager');
  });
  it('the first rotation, which comes with its schedule, waits for the instances', () => {
    const template = replica().template('database');
    const { DependsOn } = one(template, 'AWS::SecretsManager::RotationSchedule');
    const instances = all(template, 'AWS::RDS::DBInstance').map(({ id }) => id);
    assert.equal(instances.length, 2);
    assert.ok(instances.every((id) => DependsOn?.includes(id)));
  });
  it('the version is the one of the setting, and AWS raises it on no instance by itself', () => {
    assert.equal(cluster().Properties.EngineVersion, '17.5');
    const raised = synth({ CDK_DATABASE_ENGINE_VERSION: '17.6' }).template('database');
    assert.equal(one(raised, 'AWS::RDS::DBCluster').Properties.EngineVersion, '17.6');
    assert.equal(one(raised, 'AWS::RDS::DBClusterParameterGroup').Properties.Family, 'aurora-postgresql17');
    for (const { Properties } of all(replica().template('database'), 'AWS::RDS::DBInstance')) {
      assert.equal(Properties.AutoMinorVersionUpgrade, false);
    }
  });
  it('a key of ours by setting, for the database, its figures, secrets and backups, which the services may use', () => {
    const which = everything('prd');
    const { kmsKey } = which.config;
    const database = which.template('database');
    const { KmsKeyId, PerformanceInsightsKmsKeyId } = cluster(which).Properties;
    assert.deepEqual([KmsKeyId, PerformanceInsightsKmsKeyId], [kmsKey, kmsKey]);
    const secrets = all(database, 'AWS::SecretsManager::Secret');
    assert.equal(secrets.length, 2);
    assert.ok(secrets.every(({ Properties }) => Properties.KmsKeyId === kmsKey));
    assert.equal(one(database, 'AWS::Serverless::Application').Properties.Parameters.kmsKeyArn, kmsKey);
    assert.equal(one(database, 'AWS::Backup::BackupVault').Properties.EncryptionKeyArn, kmsKey);
    for (const type of SERVICES) {
      const [decrypt] = statements(which.template(type)).filter(({ Action }) => Action === 'kms:Decrypt');
      assert.equal(decrypt.Resource, kmsKey);
      assert.match(JSON.stringify(decrypt.Condition), /"kms:ViaService":.*secretsmanager\./);
    }
    assert.equal(cluster().Properties.KmsKeyId, undefined);
  });
  it('backups are locked by setting: for 35 days, or for ever from the fourth day on', () => {
    const locked = (which: ReturnType<typeof plain>) =>
      one(which.template('database'), 'AWS::Backup::BackupVault').Properties.LockConfiguration;
    assert.equal(locked(production()), undefined);
    assert.deepEqual(locked(everything('prd')), { MinRetentionDays: 35 });
    const forEver = synth({ CDK_ENVIRONMENT: 'prd', CDK_BACKUP_LOCK: 'compliance' });
    assert.deepEqual(locked(forEver), { MinRetentionDays: 35, ChangeableForDays: 3 });
  });
  it('in prd 26 hours without a backup are an alarm, and so is that nobody counts', () => {
    const missing = alarm(production().template('database'), 'millrace-prd-backup-missing');
    assert.deepEqual(
      [missing.Namespace, missing.MetricName, missing.Statistic, missing.ComparisonOperator, missing.Threshold],
      ['AWS/Backup', 'NumberOfBackupJobsCompleted', 'Sum', 'LessThanThreshold', 1],
    );
    assert.deepEqual(missing.Dimensions, [{ Name: 'BackupVaultName', Value: 'millrace-prd' }]);
    assert.deepEqual([missing.Period * missing.EvaluationPeriods, missing.TreatMissingData], [26 * 3600, 'breaching']);
    assert.ok(missing.Period >= 3600, 'CloudWatch looks back for more than a day only by the hour');
  });
  it('the rotation function goes out on 443 and to the database only', () => {
    const group = all(plain().template('database'), 'AWS::EC2::SecurityGroup').find(({ id }) =>
      id.startsWith('Rotation'),
    );
    assert.deepEqual(
      group?.Properties.SecurityGroupEgress.map(({ ToPort }: Json) => ToPort),
      [443],
    );
    assert.equal(all(plain().template('database'), 'AWS::EC2::SecurityGroupEgress').length, 1);
  });
  it('backed up daily for 35 days, with a copy in another region, in prd', () => {
    const plan = one(production().template('database'), 'AWS::Backup::BackupPlan').Properties.BackupPlan;
    const [rule] = plan.BackupPlanRule;
    assert.equal(rule.Lifecycle.DeleteAfterDays, 35);
    assert.equal(rule.ScheduleExpression, 'cron(0 4 * * ? *)');
    assert.match(JSON.stringify(rule.CopyActions), /arn:aws:backup:us-west-2:.*:backup-vault:Default/);
    const { Resources } = one(production().template('database'), 'AWS::Backup::BackupSelection').Properties
      .BackupSelection;
    assert.ok(JSON.stringify(Resources).includes(cluster(production()).id));
    const elsewhere = synth({ CDK_ENVIRONMENT: 'prd', CDK_BACKUP_COPY_REGION: 'eu-west-1' });
    assert.match(JSON.stringify(one(elsewhere.template('database'), 'AWS::Backup::BackupPlan')), /backup:eu-west-1:/);
  });
  it('idle connections are let go before the shortest pause', () => {
    assert.ok(IDLE_RELEASE_SECONDS < 300);
    for (const type of SERVICES) {
      assert.equal(environment(pausing().template(type)).DB_IDLE_RELEASE, `${IDLE_RELEASE_SECONDS}s`);
      assert.equal(environment(scheduled().template(type)).DB_IDLE_RELEASE, undefined);
    }
    const hour = synth({ CDK_DATABASE_MIN_CAPACITY: '0', CDK_DATABASE_AUTO_PAUSE_SECONDS: '3600' });
    assert.equal(cluster(hour).Properties.ServerlessV2ScalingConfiguration.SecondsUntilAutoPause, 3600);
  });
  it('alarms on connections, CPU and capacity', () => {
    assert.deepEqual(alarmNames(plain().template('database')).sort(), [
      'millrace-dev-database-capacity',
      'millrace-dev-database-connections',
      'millrace-dev-database-cpu',
    ]);
    const capacity = alarm(plain().template('database'), 'millrace-dev-database-capacity');
    assert.deepEqual([capacity.MetricName, capacity.Threshold], ['ACUUtilization', 90]);
  });
  it('the limit of connections follows the capacity', () => {
    assert.equal(connectionLimit(0.5, 1), 189);
    assert.equal(connectionLimit(0.5, 16), 2000);
    assert.equal(connectionLimit(1, 16), 3024);
  });
});

describe('images', () => {
  const image = (which: ReturnType<typeof plain>) => JSON.stringify(container(which.template('compute')).Image);

  it('the tag is the context appVersion, and the health page says so', () => {
    const which = synth({}, '2.0.1');
    assert.match(image(which), /:2\.0\.1"/);
    assert.equal(environment(which.template('compute')).APP_VERSION, '2.0.1');
  });
  it('without one it is latest, with a warning', () => {
    const which = synth({}, '');
    assert.match(image(which), /:latest"/);
    assert.equal(environment(which.template('compute')).APP_VERSION, undefined);
    const messages = which.assembly.stacks.flatMap((stack) => stack.messages.map(({ entry }) => String(entry.data)));
    assert.ok(messages.some((text) => /`latest` is deployed/.test(text)));
  });
  it('a tag that no registry takes is refused', () => {
    assert.throws(() => synth({}, 'not a tag'), /appVersion=not a tag: expected an image tag such as 1\.2\.3/);
  });
  it('that of an application by setting: from its repository, which its tasks may pull from and no other', () => {
    for (const type of SERVICES) {
      const template = everything().template(type);
      const { Image, Environment } = container(template);
      assert.match(JSON.stringify(Image), /210987654321\.dkr\.ecr\.us-east-1\..*team\/shop:1\.2\.3/);
      const pull = statements(template).filter(({ Action }) => listOf(Action).includes('ecr:BatchGetImage'));
      assert.deepEqual(
        pull.map(({ Resource }) => Resource),
        ['arn:aws:ecr:us-east-1:210987654321:repository/team/shop'],
      );
      assert.ok(Environment.some(({ Name, Value }: Json) => Name === 'RESTOCK_CRON' && Value === '0 3 * * *'));
      assert.ok(!Environment.some(({ Name }: Json) => Name === 'MILLRACE_APP'), 'the image says where its folder is');
    }
  });
  it('one repository in two environments of an account needs CDK_ECR_SHARED', () => {
    assert.equal(synth({ CDK_ECR_SHARED: 'true', CDK_ENVIRONMENT: 'qa' }).config.repositoryName, 'millrace-qa');
  });
});

describe('services', () => {
  const service = (type: (typeof SERVICES)[number], which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::Service').Properties;
  const task = (type: (typeof SERVICES)[number], which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::TaskDefinition').Properties;

  it('circuit breaker with rollback', () => {
    for (const type of SERVICES) {
      const { DeploymentCircuitBreaker } = service(type).DeploymentConfiguration;
      assert.deepEqual(DeploymentCircuitBreaker, { Enable: true, Rollback: true });
    }
  });
  it('a deployment whose alarms ring goes back, and the alarms are there before', () => {
    const alarms = { compute: ['api-5xx', 'api-errors'], 'scheduled-task': ['scheduler-errors'] };
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const { DependsOn, Properties } = one(template, 'AWS::ECS::Service');
      const names = alarms[type].map((name) => `millrace-dev-${name}`);
      assert.deepEqual(Properties.DeploymentConfiguration.Alarms, { AlarmNames: names, Enable: true, Rollback: true });
      for (const name of names) {
        const made = all(template, 'AWS::CloudWatch::Alarm').find((each) => each.Properties.AlarmName === name);
        assert.ok(DependsOn?.includes(made?.id ?? 'missing'), name);
      }
    }
  });
  it('an update leaves the revision before active: ECS takes no other when it is rolled back by hand', () => {
    for (const type of SERVICES) {
      const { UpdateReplacePolicy, DeletionPolicy } = one(scheduled().template(type), 'AWS::ECS::TaskDefinition');
      assert.deepEqual([UpdateReplacePolicy, DeletionPolicy], ['Retain', 'Delete']);
    }
  });
  it('the cluster knows Fargate before a service uses it, and until none does', () => {
    const template = plain().template('compute');
    const association = one(template, 'AWS::ECS::ClusterCapacityProviderAssociations').id;
    assert.ok(one(template, 'AWS::ECS::Service').DependsOn?.includes(association));
  });
  it('keepCount leaves the number of tasks to ECS, so that a deployment takes none from a service that scaled', () => {
    const kept = synth({ CDK_SERVICE_DESIRED_COUNT: '2' }, '1.2.3', { keepCount: 'true' });
    assert.ok(!('DesiredCount' in one(kept.template('compute'), 'AWS::ECS::Service').Properties));
    const set = synth({ CDK_SERVICE_DESIRED_COUNT: '2' }, '1.2.3', { keepCount: 'false' });
    assert.equal(one(set.template('compute'), 'AWS::ECS::Service').Properties.DesiredCount, 2);
    assert.throws(() => synth({}, '1.2.3', { keepCount: 'maybe' }), /keepCount=maybe: expected true or false/);
  });
  it('scaling adds tasks after one minute and takes them away after five', () => {
    const { TargetTrackingScalingPolicyConfiguration: policy } = one(
      plain().template('compute'),
      'AWS::ApplicationAutoScaling::ScalingPolicy',
    ).Properties;
    assert.deepEqual([policy.ScaleOutCooldown, policy.ScaleInCooldown], [60, 300]);
  });
  it('the logs of prd outlive its stacks, others go with them', () => {
    for (const [which, policy] of [
      [production(), 'Retain'],
      [everything(), 'Delete'],
    ] as const) {
      const groups = which.assembly.stacks.flatMap(({ template }) =>
        Object.values<Json>(template.Resources).filter(({ Type }) => Type === 'AWS::Logs::LogGroup'),
      );
      assert.ok(groups.length >= 4);
      assert.ok(groups.every(({ DeletionPolicy }) => DeletionPolicy === policy));
    }
  });
  it('a port below 1024 is opened to the user without rights', () => {
    const low = container(synth({ CDK_APP_PORT: '80' }).template('compute'));
    assert.deepEqual(low.SystemControls, [{ Namespace: 'net.ipv4.ip_unprivileged_port_start', Value: '80' }]);
    for (const type of SERVICES) {
      assert.equal(container(scheduled().template(type)).SystemControls, undefined);
    }
  });
  it('the load balancer is one trusted hop, and the API goes on listening while it is told to send no more', () => {
    const { TRUST_PROXY_HOPS, SHUTDOWN_DELAY } = environment(plain().template('compute'));
    assert.deepEqual([TRUST_PROXY_HOPS, SHUTDOWN_DELAY], ['1', '5s']);
  });
  it('while the JWT secret is being changed the API takes tokens of the one before', () => {
    const template = everything().template('compute');
    const own = container(template).Secrets.find(({ Name }: Json) => Name === 'JWT_SECRET_PREVIOUS');
    assert.match(JSON.stringify(own?.ValueFrom), /:ssm:.*:parameter\/millrace\/dev\/jwt-secret-previous/);
    const readable = statements(template)
      .filter(({ Action }) => listOf<string>(Action).includes('ssm:GetParameters'))
      .flatMap(({ Resource }) => listOf<Json>(Resource).map((arn) => JSON.stringify(arn)));
    assert.equal(readable.length, 2);
    assert.ok(readable.every((arn) => /parameter\/millrace\/dev\/jwt-secret/.test(arn)));
    const names = (which: ReturnType<typeof plain>) =>
      container(which.template('compute')).Secrets.map(({ Name }: Json) => Name);
    assert.ok(!names(plain()).includes('JWT_SECRET_PREVIOUS'));
  });
  it('the JWT secret carries the environment by setting; who shares an account without it is warned', () => {
    const template = everything().template('compute');
    const given = JSON.stringify(container(template).Secrets);
    assert.match(given, /parameter\/millrace\/dev\/jwt-secret"/);
    assert.match(given, /parameter\/millrace\/dev\/jwt-secret-previous"/);
    const warned = (env: Record<string, string>) =>
      warnings(synth(env)).filter((text) => /CDK_APP_JWT_PER_ENVIRONMENT/.test(text)).length;
    assert.equal(warned({ CDK_ECR_SHARED: 'true', CDK_ENVIRONMENT: 'qa' }), 1);
    assert.equal(warnings(everything()).filter((text) => /CDK_APP_JWT_PER_ENVIRONMENT/.test(text)).length, 0);
    assert.equal(warned({}), 0);
  });
  it('a scheduler is there as soon as something needs one', () => {
    const has = (env: Record<string, string>) => loadConfig({ ...REQUIRED, ...env }).hasScheduledTasks;
    assert.equal(has({}), false);
    assert.equal(has({ CDK_SCHEDULER: 'auto' }), false);
    assert.equal(has({ CDK_SCHEDULER: 'true' }), true);
    assert.equal(has({ CDK_SCHEDULE_TASK_REPORT_CRON: '@weekly' }), true);
    assert.equal(has({ CDK_SCHEDULER_EGRESS_PORTS: '8443' }), true);
    assert.equal(has({ CDK_APP_IMAGE: '123456789012.dkr.ecr.us-east-1.amazonaws.com/shop' }), true);
    const forced = synth({ CDK_SCHEDULER: 'true' });
    assert.ok(forced.stackNames.includes('millrace-dev-scheduled-task'));
    const crons = Object.keys(environment(forced.template('scheduled-task'))).filter((name) => /_CRON$/.test(name));
    assert.deepEqual(crons, []);
  });
  it('without a scheduler synthesis says what waits for ever', () => {
    const about = (which: ReturnType<typeof plain>) => warnings(which).filter((text) => /CDK_SCHEDULER=true/.test(text));
    assert.match(about(plain())[0] ?? '', /imports, jobs that are started by hand, and what a deleted user leaves/);
    assert.deepEqual(about(scheduled()), []);
  });
  it('the scheduler may call the ports of a setting, and nothing but 443 and the database without it', () => {
    const ports = (which: ReturnType<typeof plain>, type: (typeof SERVICES)[number] = 'scheduled-task') => {
      const template = which.template(type);
      const group = all(template, 'AWS::EC2::SecurityGroup').find(({ id }) => /^(Api|Scheduler)/.test(id));
      const apart = all(template, 'AWS::EC2::SecurityGroupEgress').filter(({ Properties }) =>
        /(Api|Scheduler)SecurityGroup/.test(JSON.stringify(Properties.GroupId)),
      );
      return [...(group?.Properties.SecurityGroupEgress ?? []), ...apart.map(({ Properties }) => Properties)].map(
        ({ FromPort, ToPort, IpProtocol }: Json) => `${IpProtocol} ${FromPort}-${ToPort}`,
      );
    };
    assert.deepEqual(ports(scheduled()).sort(), ['tcp 443-443', 'tcp 5432-5432']);
    assert.deepEqual(ports(everything()).sort(), ['tcp 443-443', 'tcp 5432-5432', 'tcp 8443-8443']);
    assert.deepEqual(ports(everything(), 'compute').sort(), ['tcp 443-443', 'tcp 5432-5432'], 'the API pushes nothing');
  });
  it('figures carry the environment', () => {
    for (const type of SERVICES) {
      assert.equal(environment(scheduled().template(type)).METRICS_ENVIRONMENT, 'millrace-dev');
    }
    const { DashboardBody } = one(scheduled().template('compute'), 'AWS::CloudWatch::Dashboard').Properties;
    const shown = [...JSON.stringify(DashboardBody).matchAll(/\\"Millrace\\",\\"\w+\\",([^\]]*?)\\"Role/g)];
    assert.ok(shown.length >= 12);
    assert.ok(shown.every(([, dimension]) => dimension === '\\"Environment\\",\\"millrace-dev\\",'));
  });
  it('60 s to stop, within the 120 s that Fargate allows; 30 s to leave the load balancer; 60 s to start', () => {
    for (const type of SERVICES) {
      const { StopTimeout } = container(scheduled().template(type));
      assert.equal(StopTimeout, 60);
    }
    const group = one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;
    assert.equal(attributes(group.TargetGroupAttributes)['deregistration_delay.timeout_seconds'], '30');
    assert.equal(service('compute').HealthCheckGracePeriodSeconds, 60);
  });
  it('the container asks itself: /usr/bin/millrace health', () => {
    for (const type of SERVICES) {
      const check = container(scheduled().template(type)).HealthCheck;
      assert.deepEqual(check, {
        Command: ['CMD', '/usr/bin/millrace', 'health'],
        Interval: 15,
        Timeout: 5,
        Retries: 3,
        StartPeriod: 60,
      });
      assert.ok(check.Timeout < check.Interval);
    }
  });
  it('read-only root, user 65532, every capability dropped', () => {
    for (const type of SERVICES) {
      const { ReadonlyRootFilesystem, User, LinuxParameters, Privileged } = container(scheduled().template(type));
      assert.deepEqual([ReadonlyRootFilesystem, User, Privileged ?? false], [true, '65532', false]);
      assert.deepEqual(LinuxParameters.Capabilities, { Drop: ['ALL'] });
    }
  });
  it('ECS Exec outside prd only, with a place for its agent to write', () => {
    for (const type of SERVICES) {
      assert.equal(service(type).EnableExecuteCommand, true);
      const points = container(scheduled().template(type)).MountPoints;
      assert.deepEqual(
        points.map(({ ContainerPath }: Json) => ContainerPath),
        ['/managed-agents', '/var/lib/amazon/ssm', '/var/log/amazon/ssm'],
      );
      assert.ok(points.every(({ ReadOnly }: Json) => ReadOnly === false));
      assert.equal(service(type, production()).EnableExecuteCommand ?? false, false);
      assert.equal(container(production().template(type)).MountPoints, undefined);
      assert.equal(task(type, production()).Volumes, undefined);
    }
  });
  it('secrets are read by the execution role only', () => {
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const roleOf = (arn: Json): string => arn['Fn::GetAtt'][0];
      const execution = roleOf(task(type).ExecutionRoleArn);
      const readers = all(template, 'AWS::IAM::Policy')
        .filter(({ Properties }) => /secretsmanager:GetSecretValue|ssm:GetParameter/.test(JSON.stringify(Properties)))
        .flatMap(({ Properties }) => Properties.Roles.map(({ Ref }: Json) => Ref));
      assert.deepEqual(readers, [execution]);
      assert.notEqual(execution, roleOf(task(type).TaskRoleArn));
    }
  });
  it('in prd the application itself may do nothing in AWS', () => {
    for (const type of SERVICES) {
      const template = production().template(type);
      const role = task(type, production()).TaskRoleArn['Fn::GetAtt'][0];
      const policies = all(template, 'AWS::IAM::Policy').filter(({ Properties }) =>
        Properties.Roles.some(({ Ref }: Json) => Ref === role),
      );
      assert.deepEqual(policies, []);
    }
  });
  it('a statement on * only where the action knows nothing narrower', () => {
    const narrowest = new Set([
      'ecr:GetAuthorizationToken',
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
      'logs:DescribeLogGroups',
      'xray:PutTraceSegments',
      'xray:PutTelemetryRecords',
    ]);
    for (const make of Object.values(matrix)) {
      for (const { stackName } of make().assembly.stacks) {
        const type = stackName.slice(make().config.baseName.length + 1) as 'compute';
        const wide = statements(make().template(type)).filter(({ Resource }) => listOf(Resource).includes('*'));
        const actions = wide.flatMap(({ Action }) => listOf<string>(Action));
        assert.deepEqual(
          actions.filter((action) => !narrowest.has(action)),
          [],
        );
      }
    }
  });
  it('a rotated password restarts the service', () => {
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const rule = all(template, 'AWS::Events::Rule').find(({ Properties }) =>
        Properties.EventPattern.source.includes('aws.secretsmanager'),
      )?.Properties;
      assert.deepEqual(rule?.EventPattern.detail.eventName, ['RotationSucceeded']);
      assert.match(JSON.stringify(rule?.EventPattern.detail.additionalEventData.SecretId), /SecretAttachment/);
      const machine = one(template, 'AWS::StepFunctions::StateMachine');
      assert.deepEqual(rule?.Targets[0].Arn, { Ref: machine.id });
      const steps = JSON.stringify(machine.Properties.DefinitionString);
      assert.match(steps, /aws-sdk:ecs:updateService/);
      assert.match(steps, /ForceNewDeployment\\+":true/);
      const { ServiceName } = one(template, 'AWS::ECS::Service').Properties;
      assert.match(steps, new RegExp(`Service\\\\+":\\\\+"${ServiceName}\\\\+"`));
      assert.match(steps, /"MaxAttempts\\+":5/, 'ECS may be busy: it is asked again');
      const [statement] = statements(template).filter(({ Action }) => Action === 'ecs:UpdateService');
      assert.deepEqual(statement.Resource, { Ref: one(template, 'AWS::ECS::Service').id });
    }
  });
  it('Fargate Spot by setting; in prd the first task stays on demand', () => {
    for (const type of SERVICES) {
      assert.deepEqual(service(type, everything()).CapacityProviderStrategy, [
        { CapacityProvider: 'FARGATE_SPOT', Weight: 1 },
      ]);
      assert.deepEqual(service(type, everything('prd')).CapacityProviderStrategy, [
        { Base: 1, CapacityProvider: 'FARGATE', Weight: 0 },
        { CapacityProvider: 'FARGATE_SPOT', Weight: 1 },
      ]);
      assert.equal(service(type, everything()).LaunchType, undefined);
    }
    const association = one(plain().template('compute'), 'AWS::ECS::ClusterCapacityProviderAssociations').Properties;
    assert.deepEqual(association.CapacityProviders, ['FARGATE', 'FARGATE_SPOT']);
  });
  it('Graviton by setting', () => {
    for (const type of SERVICES) {
      assert.equal(task(type).RuntimePlatform.CpuArchitecture, 'X86_64');
      assert.equal(task(type, everything()).RuntimePlatform.CpuArchitecture, 'ARM64');
    }
  });
  const sidecar = (type: (typeof SERVICES)[number]) =>
    task(type, everything()).ContainerDefinitions.find(({ Name }: Json) => Name === 'otel-collector');
  it('a collector by setting, with the rights to send to X-Ray and nothing else', () => {
    for (const type of SERVICES) {
      const collector = sidecar(type);
      assert.match(collector.Image, /^public\.ecr\.aws\/aws-observability\/aws-otel-collector:v\d+\.\d+\.\d+$/);
      assert.deepEqual([collector.Essential, collector.ReadonlyRootFilesystem], [false, true]);
      assert.deepEqual(collector.HealthCheck.Command, ['CMD', '/healthcheck']);
      assert.ok(collector.MemoryReservation <= collector.Memory && collector.Memory < 512);
      assert.deepEqual(collector.PortMappings ?? [], [], 'only the task itself may send spans');
      const actions = (which = scheduled()) =>
        statements(which.template(type))
          .flatMap(({ Action }) => Action)
          .filter((action: string) => action.startsWith('xray:'))
          .sort();
      assert.deepEqual(actions(everything()), ['xray:PutTelemetryRecords', 'xray:PutTraceSegments']);
      assert.deepEqual(actions(), []);
    }
  });
  it('the collector takes what the application sends, where it sends it', () => {
    for (const type of SERVICES) {
      const collector = sidecar(type);
      const config = JSON.parse(collector.Environment.find(({ Name }: Json) => Name === 'AOT_CONFIG_CONTENT').Value);
      const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME } = environment(everything().template(type));
      assert.equal(OTEL_EXPORTER_OTLP_ENDPOINT, `http://${config.receivers.otlp.protocols.http.endpoint}`);
      assert.equal(OTEL_SERVICE_NAME, type === 'compute' ? 'millrace-dev' : 'millrace-scheduler-dev');
      const { extensions, pipelines } = config.service;
      assert.deepEqual(Object.keys(pipelines), ['traces']);
      for (const [part, names] of Object.entries<string[]>({ ...pipelines.traces, extensions })) {
        assert.deepEqual(Object.keys(config[part]), names, part);
      }
      assert.deepEqual(pipelines.traces.exporters, ['awsxray']);
      assert.ok(config.processors.memory_limiter.limit_mib < collector.Memory);
      assert.equal(environment(scheduled().template(type)).OTEL_EXPORTER_OTLP_ENDPOINT, undefined);
    }
  });
  it('a request waits for a database that resumes, and the load balancer for the request', () => {
    assert.ok(WAKING_REQUEST_SECONDS >= RESUME_SECONDS + 5);
    assert.equal(environment(pausing().template('compute')).GATEWAY_REQUEST_TIMEOUT, `${WAKING_REQUEST_SECONDS}s`);
    assert.equal(environment(scheduled().template('compute')).GATEWAY_REQUEST_TIMEOUT, undefined);
    assert.equal(environment(pausing().template('scheduled-task')).GATEWAY_REQUEST_TIMEOUT, undefined);
    const balancer = one(pausing().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    const idle = Number(attributes(balancer.LoadBalancerAttributes)['idle_timeout.timeout_seconds']);
    assert.ok(idle > WAKING_REQUEST_SECONDS, `the load balancer gives up after ${idle} s`);
  });
  it('the time zone of the crons by setting', () => {
    assert.equal(environment(everything().template('scheduled-task')).SCHEDULE_TIMEZONE, 'Europe/Berlin');
    assert.equal(environment(scheduled().template('scheduled-task')).SCHEDULE_TIMEZONE, undefined);
  });
  it('task families contain `scheduler` for the scheduler only', () => {
    assert.equal(task('compute').Family, 'millrace-dev');
    assert.equal(task('scheduled-task').Family, 'millrace-scheduler-dev');
  });
  it('a name is never longer than what AWS takes', () => {
    const longest = synth({ CDK_APP_NAME: 'a'.repeat(20), CDK_ENVIRONMENT: 'prd' });
    const balancer = one(longest.template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    assert.ok(balancer.Name.length <= 32);
    assert.ok(
      one(longest.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.Name.length <= 32,
    );
    const { functionName } = one(longest.template('database'), 'AWS::Serverless::Application').Properties.Parameters;
    assert.ok(functionName.length <= 64);
  });
});

describe('load balancer', () => {
  const balancer = (which = plain()) =>
    attributes(
      one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties.LoadBalancerAttributes,
    );

  it('TLS 1.3 policy, by a name that AWS has', () => {
    const https = all(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::Listener').find(
      ({ Properties }) => Properties.Port === 443,
    );
    assert.equal(https?.Properties.SslPolicy, 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06');
  });
  it('a task is healthy only when it answers 200', () => {
    const { Matcher, HealthCheckProtocol } = one(
      plain().template('compute'),
      'AWS::ElasticLoadBalancingV2::TargetGroup',
    ).Properties;
    assert.deepEqual([Matcher, HealthCheckProtocol ?? 'HTTP'], [{ HttpCode: '200' }, 'HTTP']);
  });
  it('another port makes another target group, by a name of its own', () => {
    const name = (which: ReturnType<typeof plain>) =>
      one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.Name;
    assert.equal(name(plain()), 'millrace-dev-3000');
    assert.equal(name(synth({ CDK_APP_PORT: '8080' })), 'millrace-dev-8080');
  });
  it('with a read replica a client comes back to the task it wrote to', () => {
    const sticky = (which: ReturnType<typeof plain>) =>
      attributes(
        one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.TargetGroupAttributes,
      );
    assert.equal(sticky(replica())['stickiness.enabled'], 'true');
    assert.equal(sticky(replica())['stickiness.type'], 'lb_cookie');
    assert.equal(sticky(replica())['stickiness.lb_cookie.duration_seconds'], '300');
    assert.equal(sticky(plain())['stickiness.enabled'], 'false');
  });
  it('invalid headers are dropped', () =>
    assert.equal(balancer()['routing.http.drop_invalid_header_fields.enabled'], 'true'));
  it('deletion protection in prd only', () => {
    assert.equal(balancer(production())['deletion_protection.enabled'], 'true');
    assert.equal(balancer()['deletion_protection.enabled'], 'false');
  });
  it('access logs go to a private encrypted bucket with a lifetime, in prd', () => {
    const template = production().template('compute');
    const bucket = one(template, 'AWS::S3::Bucket');
    assert.equal(balancer(production())['access_logs.s3.enabled'], 'true');
    assert.deepEqual(balancer(production())['access_logs.s3.bucket'], { Ref: bucket.id });
    assert.ok(Object.values(bucket.Properties.PublicAccessBlockConfiguration).every((blocked) => blocked === true));
    const [encryption] = bucket.Properties.BucketEncryption.ServerSideEncryptionConfiguration;
    assert.equal(encryption.ServerSideEncryptionByDefault.SSEAlgorithm, 'AES256');
    const policy = JSON.stringify(one(template, 'AWS::S3::BucketPolicy').Properties);
    assert.match(policy, /logdelivery\.elasticloadbalancing\.amazonaws\.com/);
    assert.match(policy, /aws:SecureTransport/);
    assert.match(policy, /\/alb\/AWSLogs\//);
  });
  it('no bucket outside prd, since one that is not empty stops the deletion of the stacks', () => {
    for (const make of [plain, everything, scheduled]) {
      for (const { template } of make().assembly.stacks) {
        const types = Object.values<Json>(template.Resources).map(({ Type }) => Type);
        assert.ok(!types.includes('AWS::S3::Bucket'));
      }
    }
    assert.equal(balancer()['access_logs.s3.enabled'] ?? 'false', 'false');
  });
  it('they are kept in prd, bucket and all', () => {
    const bucket = one(production().template('compute'), 'AWS::S3::Bucket');
    assert.equal(bucket.DeletionPolicy, 'Retain');
    assert.equal(bucket.Properties.LifecycleConfiguration.Rules[0].ExpirationInDays, 90);
  });
  it('WAF with common, known bad inputs and SQL injection rules in prd only', () => {
    none(plain().template('compute'), 'AWS::WAFv2::WebACL');
    const acl = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    const managed = acl.Rules.filter(({ Statement }: Json) => Statement.ManagedRuleGroupStatement !== undefined);
    const groups = managed.map(({ Statement }: Json) => Statement.ManagedRuleGroupStatement.Name);
    assert.deepEqual(groups, [
      'AWSManagedRulesCommonRuleSet',
      'AWSManagedRulesKnownBadInputsRuleSet',
      'AWSManagedRulesSQLiRuleSet',
    ]);
    assert.equal(acl.Scope, 'REGIONAL');
    assert.deepEqual(acl.DefaultAction, { Allow: {} });
    assert.ok(managed.every(({ OverrideAction }: Json) => JSON.stringify(OverrideAction) === '{"None":{}}'));
    const association = one(production().template('compute'), 'AWS::WAFv2::WebACLAssociation').Properties;
    assert.match(JSON.stringify(association.ResourceArn), /LoadBalancer/);
  });
  it('WAF lets texts through that quote HTML, SQL or a path, large bodies, and clients without a name', () => {
    const { Rules } = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    const counted = Rules.flatMap(
      ({ Statement }: Json) => Statement.ManagedRuleGroupStatement?.RuleActionOverrides ?? [],
    );
    assert.ok(counted.every(({ ActionToUse }: Json) => JSON.stringify(ActionToUse) === '{"Count":{}}'));
    const names = counted.map(({ Name }: Json) => Name).sort();
    const patterns = ['CrossSiteScripting', 'EC2MetaDataSSRF', 'GenericLFI', 'GenericRFI', 'SQLi', 'SQLiExtendedPatterns'];
    const inputs = ['JavaDeserializationRCE', 'Log4JRCE'];
    const expected = [
      ...patterns.flatMap((name) => [`${name}_BODY`, `${name}_QUERYARGUMENTS`]),
      ...inputs.flatMap((name) => [`${name}_BODY`, `${name}_QUERYSTRING`]),
      'NoUserAgent_HEADER',
      'RestrictedExtensions_QUERYARGUMENTS',
      'SizeRestrictions_BODY',
    ];
    assert.deepEqual(names, expected.sort());
  });
  it('WAF counts rules by names that their group has: it takes a misspelt one without a word', () => {
    const { Rules } = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    for (const { Statement } of Rules) {
      const { Name, RuleActionOverrides } = Statement.ManagedRuleGroupStatement ?? { RuleActionOverrides: [] };
      for (const { Name: rule } of RuleActionOverrides) {
        assert.ok(MANAGED_RULES[Name]?.includes(rule), `${Name}: ${rule}`);
      }
    }
  });
  it('WAF blocks an address that sends more than 10,000 requests in five minutes', () => {
    const [rate] = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties.Rules;
    assert.deepEqual(rate.Statement, { RateBasedStatement: { AggregateKeyType: 'IP', Limit: 10_000 } });
    assert.deepEqual(rate.Action, { Block: {} });
  });
  it('WAF logs what it blocks, without credentials, and rings when that is much', () => {
    const template = production().template('compute');
    const logging = one(template, 'AWS::WAFv2::LoggingConfiguration').Properties;
    const [group] = all(template, 'AWS::Logs::LogGroup').filter(({ Properties }) =>
      Properties.LogGroupName.startsWith('aws-waf-logs-'),
    );
    assert.ok(group !== undefined && JSON.stringify(logging.LogDestinationConfigs).includes(group.id));
    assert.deepEqual(
      logging.RedactedFields.map(({ SingleHeader }: Json) => SingleHeader.Name),
      ['authorization', 'cookie'],
    );
    assert.equal(logging.LoggingFilter.DefaultBehavior, 'DROP');
    assert.deepEqual(logging.LoggingFilter.Filters[0].Conditions, [{ ActionCondition: { Action: 'BLOCK' } }]);
    const { Dimensions, MetricName } = alarm(template, 'millrace-prd-firewall-blocked');
    assert.equal(MetricName, 'BlockedRequests');
    assert.deepEqual(Dimensions.map(({ Name }: Json) => Name).sort(), ['Region', 'Rule', 'WebACL']);
  });
});

describe('alarms', () => {
  const eventRule = (template: Template, name: string, baseName = 'millrace-dev'): Json =>
    all(template, 'AWS::Events::Rule').find(({ Properties }) => Properties.Name === `${baseName}-${name}`)?.Properties;
  const everyAlarm = (which = scheduled()) =>
    which.assembly.stacks.flatMap(({ template }) =>
      Object.values<Json>(template.Resources)
        .filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
        .map(({ Properties }) => Properties),
    );

  /** Name: what is measured, how, over how long, and what rings. */
  const EXPECTED = [
    'api-5xx: AWS/ApplicationELB HTTPCode_Target_5XX_Count Sum of 1 × 300 s > 10',
    'api-cpu: AWS/ECS CPUUtilization Average of 3 × 300 s > 80',
    'api-database-lost: millrace/dev api-database-failures Sum of 1 × 300 s > 0',
    'api-errors: millrace/dev api-error-lines Sum of 1 × 300 s > 10',
    'api-latency: AWS/ApplicationELB TargetResponseTime p95 of 3 × 300 s > 1',
    'api-memory: AWS/ECS MemoryUtilization Average of 3 × 300 s > 80',
    'api-restart-failed: AWS/States ExecutionsFailed Sum of 1 × 300 s > 0',
    'api-unhealthy: AWS/ApplicationELB UnHealthyHostCount Maximum of 2 × 300 s > 0',
    'database-capacity: AWS/RDS ACUUtilization Average of 3 × 300 s > 90',
    'database-connections: AWS/RDS DatabaseConnections Maximum of 1 × 300 s > 151',
    'database-cpu: AWS/RDS CPUUtilization Average of 3 × 300 s > 80',
    'job-runs-dead: millrace/dev job-runs-dead Sum of 1 × 300 s > 0',
    'job-runs-failed: millrace/dev job-runs-failed Sum of 1 × 300 s > 0',
    'load-balancer-5xx: AWS/ApplicationELB HTTPCode_ELB_5XX_Count Sum of 1 × 300 s > 10',
    'scheduler-cpu: AWS/ECS CPUUtilization Average of 3 × 300 s > 80',
    'scheduler-database-lost: millrace/dev scheduler-database-failures Sum of 1 × 300 s > 0',
    'scheduler-errors: millrace/dev scheduler-error-lines Sum of 1 × 300 s > 10',
    'scheduler-memory: AWS/ECS MemoryUtilization Average of 3 × 300 s > 80',
    'scheduler-not-running: ECS/ContainerInsights RunningTaskCount Minimum of 5 × 60 s < 1',
    'scheduler-restart-failed: AWS/States ExecutionsFailed Sum of 1 × 300 s > 0',
  ];

  it('are these', () => {
    const found = everyAlarm().map((one) => {
      const how = `${one.Statistic ?? one.ExtendedStatistic} of ${one.EvaluationPeriods} × ${one.Period} s`;
      const sign = { GreaterThanThreshold: '>', LessThanThreshold: '<' }[one.ComparisonOperator as string];
      const name = one.AlarmName.replace('millrace-dev-', '');
      return `${name}: ${one.Namespace} ${one.MetricName} ${how} ${sign} ${one.Threshold}`;
    });
    assert.deepEqual(found.sort(), EXPECTED);
  });
  it('in prd no healthy task is an alarm, and so is that nobody measures', () => {
    const down = alarm(production().template('compute'), 'millrace-prd-api-down');
    assert.deepEqual(
      [down.MetricName, down.ComparisonOperator, down.Threshold, down.TreatMissingData],
      ['HealthyHostCount', 'LessThanThreshold', 1, 'breaching'],
    );
    assert.ok(!alarmNames(plain().template('compute')).includes('millrace-dev-api-down'), 'others may sleep');
  });
  it('each looks at the service, cluster or load balancer that its name says', () => {
    const services: Record<string, string> = { api: 'millrace-dev', scheduler: 'millrace-scheduler-dev' };
    for (const type of SERVICES) {
      const role = type === 'compute' ? 'api' : 'scheduler';
      const template = scheduled().template(type);
      const service = one(template, 'AWS::ECS::Service');
      assert.equal(service.Properties.ServiceName, services[role]);
      for (const kind of ['cpu', 'memory']) {
        const { Dimensions } = alarm(template, `millrace-dev-${role}-${kind}`);
        const of = Dimensions.find(({ Name }: Json) => Name === 'ServiceName').Value;
        assert.deepEqual(of, { 'Fn::GetAtt': [service.id, 'Name'] });
      }
    }
    const running = alarm(scheduled().template('scheduled-task'), 'millrace-dev-scheduler-not-running');
    assert.equal(running.Dimensions.find(({ Name }: Json) => Name === 'ServiceName').Value, 'millrace-scheduler-dev');
    const { id } = one(plain().template('database'), 'AWS::RDS::DBCluster');
    for (const name of ['capacity', 'connections', 'cpu']) {
      const { Dimensions } = alarm(plain().template('database'), `millrace-dev-database-${name}`);
      assert.deepEqual(Dimensions, [{ Name: 'DBClusterIdentifier', Value: { Ref: id } }]);
    }
  });
  it('every count of log lines counts one for a line, rests at nothing, and rings an alarm', () => {
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const counted = all(template, 'AWS::Logs::MetricFilter').map(({ Properties }) => {
        assert.deepEqual(Properties.LogGroupName, { Ref: one(template, 'AWS::Logs::LogGroup').id });
        const [{ MetricValue, DefaultValue, MetricName }] = Properties.MetricTransformations;
        assert.deepEqual([MetricValue, DefaultValue], ['1', 0]);
        return MetricName;
      });
      const watched = all(template, 'AWS::CloudWatch::Alarm')
        .filter(({ Properties }) => Properties.Namespace === 'millrace/dev')
        .map(({ Properties }) => Properties.MetricName);
      assert.deepEqual(counted.sort(), watched.sort());
    }
  });
  it('a log level at which alarms would be silent is warned of', () => {
    const warned = (level: string) =>
      synth({ CDK_APP_LOGGING_LEVEL: level })
        .assembly.getStackByName('millrace-dev-compute')
        .messages.filter(({ entry }) => /CDK_APP_LOGGING_LEVEL/.test(String(entry.data))).length;
    assert.deepEqual([warned('error'), warned('warn')], [1, 0]);
  });
  it('events of the database are those of this cluster and its instances', () => {
    const template = replica().template('database');
    const rule = eventRule(template, 'database-events');
    const members = [
      one(template, 'AWS::RDS::DBCluster').id,
      ...all(template, 'AWS::RDS::DBInstance').map(({ id }) => id),
    ];
    assert.deepEqual(
      rule.EventPattern.detail.SourceIdentifier,
      members.map((id) => ({ Ref: id })),
    );
    assert.deepEqual(rule.EventPattern['detail-type'], ['RDS DB Cluster Event', 'RDS DB Instance Event']);
    assert.match(JSON.stringify(rule.Targets), /AlarmsTopic/);
  });
  it('a rotation that failed is told, and in prd a backup that was not made', () => {
    const rotation = eventRule(plain().template('database'), 'database-rotation-failed');
    assert.deepEqual(rotation.EventPattern.detail.eventName, ['RotationFailed']);
    assert.match(JSON.stringify(rotation.EventPattern.detail.additionalEventData.SecretId), /SecretAttachment/);
    const template = production().template('database');
    const backup = eventRule(template, 'backup-failed', 'millrace-prd');
    assert.deepEqual(backup.EventPattern['detail-type'], ['Backup Job State Change', 'Copy Job State Change']);
    assert.ok(backup.EventPattern.detail.state.includes('FAILED'));
    const { id } = one(template, 'AWS::RDS::DBCluster');
    assert.ok(JSON.stringify(backup.EventPattern.detail.resourceArn).includes(`{"Ref":"${id}"}`));
    for (const { Targets } of [rotation, backup]) {
      assert.match(JSON.stringify(Targets), /AlarmsTopic/);
    }
  });
  it('each goes to the one topic, on and off, and says what is wrong', () => {
    const topic = one(scheduled().template('network'), 'AWS::SNS::Topic');
    assert.equal(topic.Properties.TopicName, 'millrace-dev-alarms');
    for (const { AlarmActions, OKActions, AlarmDescription, AlarmName } of everyAlarm()) {
      assert.match(JSON.stringify(AlarmActions), new RegExp(`${topic.id}`), AlarmName);
      assert.deepEqual(OKActions, AlarmActions);
      assert.match(AlarmDescription, /\.$/);
    }
  });
  it('the topic lets alarms and events of this account in, over TLS only', () => {
    const { Statement } = one(plain().template('network'), 'AWS::SNS::TopicPolicy').Properties.PolicyDocument;
    const services = Statement.filter(({ Effect }: Json) => Effect === 'Allow').map(
      ({ Principal }: Json) => Principal.Service,
    );
    assert.ok(services.includes('cloudwatch.amazonaws.com') && services.includes('events.amazonaws.com'));
    const alarms = Statement.find(({ Principal }: Json) => Principal.Service === 'cloudwatch.amazonaws.com');
    assert.ok(alarms.Condition.StringEquals['aws:SourceAccount'], 'not those of another account');
    assert.ok(
      Statement.some(
        ({ Effect, Condition }: Json) => Effect === 'Deny' && Condition.Bool['aws:SecureTransport'] === 'false',
      ),
    );
  });
  it('someone is told by e-mail when an address is set', () => {
    none(plain().template('network'), 'AWS::SNS::Subscription');
    const { Protocol, Endpoint } = one(everything().template('network'), 'AWS::SNS::Subscription').Properties;
    assert.deepEqual([Protocol, Endpoint], ['email', 'oncall@example.com']);
  });
  it('target 5xx, load balancer 5xx and p95 latency', () => {
    const template = plain().template('compute');
    assert.equal(alarm(template, 'millrace-dev-api-5xx').MetricName, 'HTTPCode_Target_5XX_Count');
    assert.equal(alarm(template, 'millrace-dev-load-balancer-5xx').MetricName, 'HTTPCode_ELB_5XX_Count');
    const latency = alarm(template, 'millrace-dev-api-latency');
    assert.deepEqual(
      [latency.MetricName, latency.ExtendedStatistic, latency.Threshold],
      ['TargetResponseTime', 'p95', 1],
    );
  });
  it('the filter for job runs reads the documented line of a run', () => {
    const patterns = all(scheduled().template('scheduled-task'), 'AWS::Logs::MetricFilter').map(
      ({ Properties }) => Properties.FilterPattern,
    );
    assert.ok(patterns.includes('{ ($.runId = "*") && ($.outcome = "dead") }'));
    assert.ok(patterns.includes('{ ($.runId = "*") && ($.outcome = "failed") }'));
  });
  it('unexpected exits: tasks that ended by themselves or were not well, not those that were stopped', () => {
    for (const type of SERVICES) {
      const rule = all(scheduled().template(type), 'AWS::Events::Rule').find(({ Properties }) =>
        Properties.EventPattern.source.includes('aws.ecs'),
      );
      const { detail } = rule?.Properties.EventPattern ?? {};
      assert.deepEqual(detail.$or, [
        { stopCode: ['EssentialContainerExited', 'TaskFailedToStart'] },
        { stoppedReason: [{ prefix: 'Task failed ' }] },
      ]);
      const name = type === 'compute' ? 'millrace-dev' : 'millrace-scheduler-dev';
      assert.deepEqual([detail.group, detail.lastStatus], [[`service:${name}`], ['STOPPED']]);
      assert.equal(detail.clusterArn.length, 1);
      assert.match(JSON.stringify(rule?.Properties.Targets), /AlarmsTopic/);
    }
  });
  it('a service at zero tasks is silent, a missing scheduler is not', () => {
    for (const { AlarmName, TreatMissingData } of everyAlarm()) {
      const expected = AlarmName.endsWith('scheduler-not-running') ? 'breaching' : 'notBreaching';
      assert.equal(TreatMissingData, expected, AlarmName);
    }
  });
  it('one dashboard, with the scheduler when there is one', () => {
    const body = (which: ReturnType<typeof plain>) =>
      JSON.stringify(one(which.template('compute'), 'AWS::CloudWatch::Dashboard').Properties);
    assert.match(body(scheduled()), /millrace-scheduler-dev/);
    assert.doesNotMatch(body(plain()), /millrace-scheduler-dev/);
    const titles = (which: ReturnType<typeof plain>) =>
      [...body(which).matchAll(/\\"title\\":\\"([^"\\]+)/g)].map(([, title]) => title);
    const always = [
      'Requests',
      'Answers 5xx',
      'Seconds to answer',
      'CPU %',
      'Memory %',
      'Tasks',
      'Database CPU %',
      'Database connections',
      'Database ACU',
      'Error lines',
      'Average batch of the API',
      'Connections of clients, and database connections lost',
    ];
    assert.deepEqual(titles(plain()), always);
    assert.deepEqual(titles(scheduled()), [
      ...always,
      'Job runs by outcome',
      'Wait of the oldest due run, longest run (ms)',
      'Ticks late and missed',
    ]);
  });
});

describe('without an account', () => {
  it('synthesizes when neither account nor region is known', () => {
    const nowhere = synth({
      CDK_ACCOUNT: '',
      CDK_REGION: '',
      CDK_ENVIRONMENT: 'prd',
      CDK_SCHEDULE_TASK_CLEANUP_CRON: '@daily',
    });
    assert.equal(nowhere.stackNames.length, 5);
    assert.ok(nowhere.assembly.stacks.every(({ environment: place }) => place.region === 'unknown-region'));
  });
  it('needs no asset to be published', () => {
    assert.ok(newApp());
    for (const make of Object.values(matrix)) {
      for (const { assets } of make().assembly.stacks) {
        assert.deepEqual(assets, []);
      }
    }
  });
});
