import assert from 'node:assert/strict';
import { loadConfig } from '../../config/load.ts';
import { PRICES } from '../../tools/prices.ts';
import { section } from '../support/sentence.ts';
import { REQUIRED, synth } from '../support/synth.ts';
import { all, environment, one, secrets } from '../support/template.ts';
import { existingVpc, guideNames, pausing, plain, production, replica, scheduled } from '../support/variants.ts';
import { accepts, refuses } from './accepts.ts';

const cluster = (which = plain()) => one(which.template('database'), 'AWS::RDS::DBCluster').Properties;
const instances = (which = plain()) => all(which.template('database'), 'AWS::RDS::DBInstance');

export const database = section('Database Stack', {
  'Purpose: Provides managed PostgreSQL database with automatic scaling.': () => {
    assert.equal(cluster().Engine, 'aurora-postgresql');
    assert.ok(cluster().ServerlessV2ScalingConfiguration);
  },
  'Aurora Serverless v2: PostgreSQL 17.5 with configurable ACU capacity': () => {
    assert.equal(cluster().Engine, 'aurora-postgresql');
    assert.equal(cluster().EngineVersion, '17.5');
    assert.ok(instances().every(({ Properties }) => Properties.DBInstanceClass === 'db.serverless'));
    const set = synth({ CDK_DATABASE_MIN_CAPACITY: '1.5', CDK_DATABASE_MAX_CAPACITY: '8' });
    assert.deepEqual(cluster(set).ServerlessV2ScalingConfiguration, { MinCapacity: 1.5, MaxCapacity: 8 });
  },
  'Security Group: Restricts access to port 5432 from application only': [
    'From the two services, and from the function that rotates the password.',
    () => {
      const which = scheduled();
      const own = which.template('database');
      for (const { Properties } of all(own, 'AWS::EC2::SecurityGroup')) {
        assert.equal(Properties.SecurityGroupIngress, undefined, 'no rule by address');
      }
      const inside = all(own, 'AWS::EC2::SecurityGroupIngress');
      assert.equal(inside.length, 1);
      assert.match(JSON.stringify(inside[0]?.Properties.SourceSecurityGroupId), /RotationSecurityGroup/);
      for (const type of ['compute', 'scheduled-task'] as const) {
        const rules = all(which.template(type), 'AWS::EC2::SecurityGroupIngress').filter(({ Properties }) =>
          JSON.stringify(Properties.GroupId).includes('millrace-dev-database'),
        );
        assert.equal(rules.length, 1);
        const { FromPort, ToPort, IpProtocol, SourceSecurityGroupId, CidrIp } = rules[0]?.Properties ?? {};
        assert.deepEqual([FromPort, ToPort, IpProtocol, CidrIp], [5432, 5432, 'tcp', undefined]);
        assert.ok(SourceSecurityGroupId);
      }
    },
  ],
  'Subnet Group: Database deployed in private subnets': [
    'In the VPC made here: in subnets without any route out.',
    () => {
      const group = one(plain().template('database'), 'AWS::RDS::DBSubnetGroup').Properties;
      assert.equal(group.SubnetIds.length, 2);
      assert.ok(group.SubnetIds.every((id: unknown) => JSON.stringify(id).includes('dataSubnet')));
      const existing = one(existingVpc().template('database'), 'AWS::RDS::DBSubnetGroup').Properties;
      assert.deepEqual(existing.SubnetIds, ['subnet-00000000000000003', 'subnet-00000000000000004']);
    },
  ],
  'Secrets Manager: Automatic credential generation and rotation': [
    'Without NAT (`CDK_VPC_NAT=false`) nothing rotates.',
    () => {
      const template = plain().template('database');
      const secret = one(template, 'AWS::SecretsManager::Secret').Properties;
      assert.equal(secret.GenerateSecretString.GenerateStringKey, 'password');
      const rotation = one(template, 'AWS::SecretsManager::RotationSchedule').Properties;
      assert.equal(rotation.RotationRules.ScheduleExpression, 'rate(30 days)');
    },
  ],
  'CDK_DATABASE_NAME = nestjs_playground;': [
    'It follows the application name: `millrace` by default, the guide’s with the guide’s name.',
    () => {
      assert.equal(cluster().DatabaseName, 'millrace');
      assert.equal(cluster(guideNames()).DatabaseName, 'nestjs_playground');
    },
  ],
  'CDK_DATABASE_USERNAME = postgres;': () => assert.equal(cluster().MasterUsername, 'postgres'),
  'CDK_DATABASE_MIN_CAPACITY = 0.5; // Minimum ACUs (configurable)': () =>
    assert.equal(cluster().ServerlessV2ScalingConfiguration.MinCapacity, 0.5),
  'CDK_DATABASE_MAX_CAPACITY = 1; // Maximum ACUs (configurable)': () =>
    assert.equal(cluster().ServerlessV2ScalingConfiguration.MaxCapacity, 1),
  'CDK_DATABASE_READ_REPLICA = false; // Enable read replica (default: false)': () =>
    assert.equal(loadConfig(REQUIRED).databaseReadReplica, false),
});

export const readReplica = section('Read Replica Support', {
  'Creates a serverless v2 reader instance in the Aurora cluster': () => {
    const both = instances(replica());
    assert.equal(both.length, 2);
    const reader = both.find(({ id }) => id.includes('reader'));
    assert.equal(reader?.Properties.DBInstanceClass, 'db.serverless');
  },
  'Stores the read endpoint hostname in a separate AWS Secrets Manager secret': () => {
    const stored = all(replica().template('database'), 'AWS::SecretsManager::Secret');
    assert.equal(stored.length, 2);
    const own = stored.find(({ Properties }) => Properties.SecretString !== undefined);
    assert.match(JSON.stringify(own?.Properties.SecretString), /"host\\":.*ReadEndpoint\.Address/);
  },
  'Passes the read replica hostname to the application as `DB_HOST_READ_ONLY`': () => {
    assert.match(secrets(replica().template('compute')).DB_HOST_READ_ONLY ?? '', /ReadOnlySecret.*:host::/);
  },
  'No reader instances are created (cost optimization)': () => assert.equal(instances().length, 1),
  'Application uses the primary database for all operations': () =>
    assert.equal(secrets(plain().template('compute')).DB_HOST_READ_ONLY, undefined),
  'Note: `DB_HOST_READ_ONLY` is only injected when `CDK_DATABASE_READ_REPLICA=true` in the infrastructure configuration.':
    () => {
      assert.ok('DB_HOST_READ_ONLY' in secrets(replica().template('compute')));
      assert.ok(!('DB_HOST_READ_ONLY' in secrets(plain().template('compute'))));
    },
  'When `CDK_DATABASE_READ_REPLICA=true`: Creates a reader instance and stores hostname in Secrets Manager': () => {
    assert.equal(instances(replica()).length, 2);
    assert.equal(all(replica().template('database'), 'AWS::SecretsManager::Secret').length, 2);
  },
  'When `CDK_DATABASE_READ_REPLICA=false` (default): No reader instances created (cost optimization)': () => {
    assert.equal(instances().length, 1);
    assert.equal(all(plain().template('database'), 'AWS::SecretsManager::Secret').length, 1);
  },
  'The read replica hostname is passed to the application as `DB_HOST_READ_ONLY`': () => {
    for (const type of ['compute', 'scheduled-task'] as const) {
      assert.ok('DB_HOST_READ_ONLY' in secrets(replica().template(type)));
    }
  },
});

export const databaseCost = section('Database: Cost Optimization Features', {
  'Configurable minimum capacity: 0.5-16 ACUs (default: 0.5)': [
    'In steps of 0.5; also 0, which lets the database pause. A minimum of 16 is refused: the maximum has to exceed it.',
    () => {
      accepts('CDK_DATABASE_MIN_CAPACITY', '0.5', '1.5', '15.5', { with: { CDK_DATABASE_MAX_CAPACITY: '16' } });
      refuses('CDK_DATABASE_MIN_CAPACITY', '0.25', '0.7', '16.5', '17', '-1', 'one');
    },
  ],
  'Configurable maximum capacity: 1-16 ACUs (default: 1)': () => {
    accepts('CDK_DATABASE_MAX_CAPACITY', '1', '1.5', '16');
    refuses('CDK_DATABASE_MAX_CAPACITY', '0', '0.5', '16.5', '1.2');
  },
  'Automatic pausing when inactive (scale-to-zero capability)': [
    'With `CDK_DATABASE_MIN_CAPACITY=0`; idle containers then close their connections (`DB_IDLE_RELEASE`).',
    () => {
      assert.deepEqual(cluster(pausing()).ServerlessV2ScalingConfiguration, {
        MinCapacity: 0,
        MaxCapacity: 1,
        SecondsUntilAutoPause: 300,
      });
      for (const type of ['compute', 'scheduled-task'] as const) {
        assert.equal(environment(pausing().template(type)).DB_IDLE_RELEASE, '60s');
      }
    },
  ],
  'Backup retention: 7 days (production) / 1 day (non-production)': () => {
    assert.equal(cluster(production()).BackupRetentionPeriod, 7);
    assert.equal(cluster(plain()).BackupRetentionPeriod, 1);
    assert.equal(cluster(synth({ CDK_ENVIRONMENT: 'qa' })).BackupRetentionPeriod, 1);
  },
  'Read replicas are optional and can be disabled for non-production environments': () => {
    accepts('CDK_DATABASE_READ_REPLICA', 'true', 'false');
    for (const environment of ['dev', 'qa', 'prd']) {
      assert.equal(instances(synth({ CDK_ENVIRONMENT: environment })).length, 1, environment);
    }
  },
});

export const connectionDetails = section('Connection Details', {
  'DB_HOST: cluster.clusterEndpoint.hostname': [
    'Through the secret: RDS writes the endpoint into it when it attaches it to the cluster.',
    () => {
      const template = plain().template('database');
      const attachment = one(template, 'AWS::SecretsManager::SecretTargetAttachment').Properties;
      assert.equal(attachment.TargetType, 'AWS::RDS::DBCluster');
      assert.match(secrets(plain().template('compute')).DB_HOST ?? '', /SecretAttachment.*:host::/);
    },
  ],
  'DB_PORT: 5432': () => {
    assert.equal(cluster().Port, 5432);
    assert.match(secrets(plain().template('compute')).DB_PORT ?? '', /:port::/);
  },
  'DB_USERNAME: postgres (from secrets)': [
    'Given as `DB_USER`, the name in the guide’s list of injected variables; the binary knows `DB_USERNAME` as its alias.',
    () => assert.match(secrets(plain().template('compute')).DB_USER ?? '', /:username::/),
  ],
  'DB_PASSWORD: auto-generated (from secrets)': [
    'Given as `DB_PASS`, of which `DB_PASSWORD` is the alias.',
    () => assert.match(secrets(plain().template('compute')).DB_PASS ?? '', /:password::/),
  ],
  'DB_DATABASE: nestjs_playground': () => {
    assert.match(secrets(plain().template('compute')).DB_DATABASE ?? '', /:dbname::/);
    assert.equal(cluster(guideNames()).DatabaseName, 'nestjs_playground');
  },
});

export const dataSecurity = section('Data Security', {
  'Encryption at Rest: Aurora Serverless v2 encryption enabled': () => assert.equal(cluster().StorageEncrypted, true),
  'Encryption in Transit: SSL connections to database': () => {
    const parameters = one(plain().template('database'), 'AWS::RDS::DBClusterParameterGroup').Properties;
    assert.equal(parameters.Parameters['rds.force_ssl'], '1');
    for (const type of ['compute', 'scheduled-task'] as const) {
      const { DB_SSL, DB_SSL_ROOT_CERT } = environment(scheduled().template(type));
      assert.equal(DB_SSL, 'verify-full');
      assert.match(DB_SSL_ROOT_CERT ?? '', /^\/usr\/share\/millrace\/.*\.pem$/);
    }
  },
  'Access Control: Database security groups restrict access to application tier only': () => {
    assert.ok(instances().every(({ Properties }) => Properties.PubliclyAccessible === false));
    const groups = all(plain().template('database'), 'AWS::EC2::SecurityGroup');
    assert.ok(groups.every(({ Properties }) => Properties.SecurityGroupIngress === undefined));
  },
  'Backup Encryption: Automated backups encrypted': [
    'With the key of the encrypted cluster; the vault of production is encrypted as every vault is.',
    () => {
      assert.equal(cluster(production()).StorageEncrypted, true);
      assert.equal(cluster(plain()).StorageEncrypted, true);
      const vault = one(production().template('database'), 'AWS::Backup::BackupVault').id;
      const [rule] = one(production().template('database'), 'AWS::Backup::BackupPlan').Properties.BackupPlan
        .BackupPlanRule;
      assert.deepEqual(rule.TargetBackupVault, { 'Fn::GetAtt': [vault, 'BackupVaultName'] });
    },
  ],
});

export const databaseCosts = section('Database Costs', {
  'Aurora Serverless v2: Pay-per-use with scale-to-zero capability': () =>
    assert.equal(cluster(pausing()).ServerlessV2ScalingConfiguration.MinCapacity, 0),
  'Configurable Capacity: Adjust `CDK_DATABASE_MIN_CAPACITY` and `CDK_DATABASE_MAX_CAPACITY` based on workload': () => {
    const set = synth({ CDK_DATABASE_MIN_CAPACITY: '2', CDK_DATABASE_MAX_CAPACITY: '4.5' });
    assert.deepEqual(cluster(set).ServerlessV2ScalingConfiguration, { MinCapacity: 2, MaxCapacity: 4.5 });
  },
  'Default Configuration: 0.5-1 ACU for development (~$0.06-$0.12/hour when active)': () => {
    assert.deepEqual(cluster().ServerlessV2ScalingConfiguration, { MinCapacity: 0.5, MaxCapacity: 1 });
    const anHour = [0.5, 1].map((capacity) => (capacity * PRICES.auroraAcuHour).toFixed(2));
    assert.deepEqual(anHour, ['0.06', '0.12'], 'at the price that docs/cost.md counts with');
  },
  'Short Backup Retention: 1 day (non-prod) / 7 days (production)': () => {
    assert.equal(cluster(plain()).BackupRetentionPeriod, 1);
    assert.equal(cluster(production()).BackupRetentionPeriod, 7);
  },
  'No Read Replicas: Single writer instance for cost optimization': () => {
    assert.equal(instances().length, 1);
    assert.match(instances()[0]?.id ?? '', /writer/);
  },
});
