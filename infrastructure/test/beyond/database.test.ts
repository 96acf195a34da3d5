/** Beyond the guide: the database, its password and its backups. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IDLE_RELEASE_SECONDS } from '../../constructs/container-settings.ts';
import { connectionLimit } from '../../constructs/database-alarms.ts';
import { synth, type Synthesized } from '../support/synth.ts';
import { alarm, alarmNames, all, environment, type Json, one, SERVICES, statements } from '../support/template.ts';
import { everything, pausing, plain, production, replica, scheduled } from '../support/variants.ts';

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
  it('a reader can take over at once, because it scales with the writer', () => {
    const reader = all(replica().template('database'), 'AWS::RDS::DBInstance').find(({ id }) => id.includes('reader'));
    assert.equal(reader?.Properties.PromotionTier, 1);
  });
  it('the certificate authority is the one in the image; snapshots carry the tags', () => {
    for (const { Properties } of all(replica().template('database'), 'AWS::RDS::DBInstance')) {
      assert.equal(Properties.CACertificateIdentifier, 'rds-ca-rsa2048-g1');
    }
    assert.equal(cluster().Properties.CopyTagsToSnapshot, true);
  });
  it('its log group exists before it, with a retention', () => {
    const group = all(plain().template('database'), 'AWS::Logs::LogGroup').find(
      ({ Properties }) => Properties.LogGroupName === '/aws/rds/cluster/millrace-dev/postgresql',
    );
    assert.ok(cluster().DependsOn?.includes(group?.id ?? 'missing'));
  });
  it('the log group of the rotation function exists before it, too', () => {
    const template = plain().template('database');
    const application = one(template, 'AWS::Serverless::Application');
    const name = `/aws/lambda/${application.Properties.Parameters.functionName}`;
    const group = all(template, 'AWS::Logs::LogGroup').find(({ Properties }) => Properties.LogGroupName === name);
    assert.equal(group?.Properties.RetentionInDays, 7);
    assert.ok(application.DependsOn?.includes(group.id));
  });
  it('a single-user rotation changes the password every 30 days', () => {
    const template = plain().template('database');
    const { Location, Parameters } = one(template, 'AWS::Serverless::Application').Properties;
    const mapping = template.toJSON().Mappings[Location.ApplicationId['Fn::FindInMap'][0]];
    assert.match(mapping.aws.applicationId, /SecretsManagerRDSPostgreSQLRotationSingleUser$/);
    assert.ok(JSON.stringify(Parameters.vpcSubnetIds).includes('private'), 'with a way out to Secrets Manager');
  });
  it('the first rotation, which the schedule starts at once, waits for the instances', () => {
    const template = replica().template('database');
    const { DependsOn } = one(template, 'AWS::SecretsManager::RotationSchedule');
    const instances = all(template, 'AWS::RDS::DBInstance').map(({ id }) => id);
    assert.equal(instances.length, 2);
    assert.ok(instances.every((id) => DependsOn?.includes(id)));
  });
  it('the version is that of the setting, and AWS does not raise it', () => {
    assert.equal(cluster().Properties.EngineVersion, '17.5');
    const raised = synth({ CDK_DATABASE_ENGINE_VERSION: '17.6' }).template('database');
    assert.equal(one(raised, 'AWS::RDS::DBCluster').Properties.EngineVersion, '17.6');
    assert.equal(one(raised, 'AWS::RDS::DBClusterParameterGroup').Properties.Family, 'aurora-postgresql17');
    for (const { Properties } of all(replica().template('database'), 'AWS::RDS::DBInstance')) {
      assert.equal(Properties.AutoMinorVersionUpgrade, false);
    }
  });
  it('with CDK_KMS_KEY_ARN one key encrypts database, Performance Insights, secrets and backups, and the services may use it', () => {
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
  it('CDK_BACKUP_LOCK locks backups for 35 days; compliance locks the lock from the fourth day on', () => {
    const locked = (which: Synthesized) =>
      one(which.template('database'), 'AWS::Backup::BackupVault').Properties.LockConfiguration;
    assert.equal(locked(production()), undefined);
    assert.deepEqual(locked(everything('prd')), { MinRetentionDays: 35 });
    const forEver = synth({ CDK_ENVIRONMENT: 'prd', CDK_BACKUP_LOCK: 'compliance' });
    assert.deepEqual(locked(forEver), { MinRetentionDays: 35, ChangeableForDays: 3 });
  });
  it('in prd an alarm rings after 26 hours without a backup, and when no data comes', () => {
    const missing = alarm(production().template('database'), 'millrace-prd-backup-missing');
    assert.deepEqual(
      [missing.Namespace, missing.MetricName, missing.Statistic, missing.ComparisonOperator, missing.Threshold],
      ['AWS/Backup', 'NumberOfBackupJobsCompleted', 'Sum', 'LessThanThreshold', 1],
    );
    assert.deepEqual(missing.Dimensions, [{ Name: 'BackupVaultName', Value: 'millrace-prd' }]);
    assert.deepEqual([missing.Period * missing.EvaluationPeriods, missing.TreatMissingData], [26 * 3600, 'breaching']);
    assert.ok(missing.Period >= 3600, 'CloudWatch looks back for more than a day only by the hour');
  });
  it('the rotation function reaches 443 and the database only', () => {
    const group = all(plain().template('database'), 'AWS::EC2::SecurityGroup').find(({ id }) =>
      id.startsWith('Rotation'),
    );
    assert.deepEqual(
      group?.Properties.SecurityGroupEgress.map(({ ToPort }: Json) => ToPort),
      [443],
    );
    assert.equal(all(plain().template('database'), 'AWS::EC2::SecurityGroupEgress').length, 1);
  });
  it('in prd a daily backup is kept for 35 days, with a copy in another region', () => {
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
  it('the services close idle connections before the shortest pause', () => {
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
