/**
 * Aurora Serverless v2 PostgreSQL: the cluster, its secrets and their rotation,
 * its alarms, and in production its backups.
 *
 * Who may reach it is not said here: each service adds its own rule in its own
 * stack (see constructs/database-access.ts), so this stack depends on neither.
 */
import { CfnOutput, Duration, Names, RemovalPolicy, SecretValue } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as kms from 'aws-cdk-lib/aws-kms';
import { CfnApplication } from 'aws-cdk-lib/aws-sam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct, IConstruct } from 'constructs';
import type { Config } from '../config/config.ts';
import type { AlarmTopic } from '../constructs/alarm-topic.ts';
import { BackupPlan } from '../constructs/backup-plan.ts';
import { DATABASE_PORT } from '../constructs/database-access.ts';
import { DatabaseAlarms } from '../constructs/database-alarms.ts';
import { createLogGroup } from '../constructs/log-group.ts';
import { dataSubnets } from '../constructs/vpc.ts';
import { BaseStack } from './base.stack.ts';

function engineOf({ databaseEngineVersion: full }: Config): rds.IClusterEngine {
  const [major = ''] = full.split('.');
  return rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.of(full, major) });
}

export interface DatabaseStackProps {
  readonly config: Config;
  readonly vpc: ec2.IVpc;
  readonly alarmTopic: AlarmTopic;
}

export class DatabaseStack extends BaseStack {
  readonly cluster: rds.DatabaseCluster;
  readonly securityGroup: ec2.SecurityGroup;
  /** Host, port, user, password and database name, as RDS keeps them. */
  readonly secret: secretsmanager.ISecret;
  /** The reader's host name; only with a read replica. */
  readonly readOnlySecret: secretsmanager.ISecret | undefined;

  constructor(scope: Construct, { config, vpc, alarmTopic }: DatabaseStackProps) {
    super(scope, 'database', config, 'Aurora Serverless v2 PostgreSQL');
    this.securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: 'Database: 5432 from the services and the rotation function',
      allowAllOutbound: false,
    });
    const logGroup = this.createLogGroup();
    const key = config.kmsKey === undefined ? undefined : kms.Key.fromKeyArn(this, 'Key', config.kmsKey);
    this.cluster = this.createCluster(vpc, key);
    this.cluster.node.addDependency(logGroup);
    this.secret = this.requireSecret();
    if (config.vpcNat) {
      this.rotateSecret(vpc);
      this.tellOfFailedRotation(alarmTopic);
    }
    this.readOnlySecret = config.databaseReadReplica ? this.createReadOnlySecret(key) : undefined;
    new DatabaseAlarms(this, 'Watch', { cluster: this.cluster, config, alarmTopic });
    if (config.isProduction) {
      new BackupPlan(this, 'Backup', { cluster: this.cluster, config, alarmTopic, key });
    }
    new CfnOutput(this, 'SecretArn', { value: this.secret.secretArn, description: 'Host, user and password' });
    new CfnOutput(this, 'Endpoint', { value: this.cluster.clusterEndpoint.hostname });
  }

  /** Made before the cluster, which would otherwise make one that keeps its lines for ever. */
  private createLogGroup(): logs.LogGroup {
    return createLogGroup(this, 'LogGroup', `/aws/rds/cluster/${this.config.baseName}/postgresql`, this.config);
  }

  private createCluster(vpc: ec2.IVpc, key: kms.IKey | undefined): rds.DatabaseCluster {
    const { config } = this;
    const engine = engineOf(config);
    const pausing = config.autoPauseSeconds;
    return new rds.DatabaseCluster(this, 'Cluster', {
      clusterIdentifier: config.baseName,
      engine,
      port: DATABASE_PORT,
      defaultDatabaseName: config.databaseName,
      credentials: rds.Credentials.fromGeneratedSecret(config.databaseUsername, { encryptionKey: key }),
      vpc,
      vpcSubnets: dataSubnets(config),
      securityGroups: [this.securityGroup],
      writer: rds.ClusterInstance.serverlessV2('writer', instanceOptions()),
      readers: config.databaseReadReplica
        ? [rds.ClusterInstance.serverlessV2('reader', { ...instanceOptions(), scaleWithWriter: true })]
        : [],
      serverlessV2MinCapacity: config.databaseMinCapacity,
      serverlessV2MaxCapacity: config.databaseMaxCapacity,
      serverlessV2AutoPauseDuration: pausing === undefined ? undefined : Duration.seconds(pausing),
      parameterGroup: new rds.ParameterGroup(this, 'Parameters', {
        engine,
        description: 'Connections must be encrypted',
        parameters: { 'rds.force_ssl': '1' },
      }),
      storageEncrypted: true,
      storageEncryptionKey: key,
      backup: { retention: Duration.days(config.isProduction ? 7 : 1) },
      copyTagsToSnapshot: true,
      cloudwatchLogsExports: ['postgresql'],
      enablePerformanceInsights: true,
      performanceInsightEncryptionKey: key,
      databaseInsightsMode: rds.DatabaseInsightsMode.STANDARD,
      monitoringInterval: Duration.seconds(60),
      deletionProtection: config.isProduction,
      removalPolicy: config.isProduction ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
  }

  private requireSecret(): secretsmanager.ISecret {
    if (this.cluster.secret === undefined) {
      throw new Error('a cluster with generated credentials has a secret');
    }
    return this.cluster.secret;
  }

  /**
   * The function sits in the private subnets: it needs the way out to Secrets
   * Manager that the isolated data subnets do not have. Without NAT there is no
   * such subnet, and the password is changed by hand.
   *
   * A schedule rotates at once when it is made. It waits for the instances,
   * because a cluster without one refuses every connection, and the first
   * rotation would fail and ring.
   */
  private rotateSecret(vpc: ec2.IVpc): void {
    const securityGroup = new ec2.SecurityGroup(this, 'RotationSecurityGroup', {
      vpc,
      description: 'Password rotation: out to the database and Secrets Manager',
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Secrets Manager');
    const rotation = this.cluster.addRotationSingleUser({
      automaticallyAfter: Duration.days(30),
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      securityGroup,
      excludeCharacters: ` %+~\`#$&*()|[]{}:;<>?!'/@"\\`,
    });
    // Its function is called after the construct. Without a group of ours Lambda makes one at the
    // first rotation, which keeps its lines for ever and stays when the stack goes.
    const group = createLogGroup(this, 'RotationLogGroup', `/aws/lambda/${Names.uniqueId(rotation)}`, this.config);
    rotation.node.addDependency(group);
    for (const schedule of within(this.cluster, secretsmanager.CfnRotationSchedule)) {
      schedule.node.addDependency(...within(this.cluster, rds.CfnDBInstance));
    }
    if (this.config.kmsKey !== undefined) {
      for (const application of within(rotation, CfnApplication)) {
        application.addPropertyOverride('Parameters.kmsKeyArn', this.config.kmsKey);
      }
    }
  }

  /** Nothing stops working when a rotation fails: without a word nobody would know. */
  private tellOfFailedRotation(alarmTopic: AlarmTopic): void {
    alarmTopic.event(
      this,
      'database-rotation-failed',
      'The password of the database could not be changed',
      {
        source: ['aws.secretsmanager'],
        detailType: ['AWS Service Event via CloudTrail'],
        detail: { eventName: ['RotationFailed'], additionalEventData: { SecretId: [this.secret.secretArn] } },
      },
      `The database password of ${this.config.baseName} could not be rotated. See the runbook, "Rotation failed".`,
    );
  }

  /** A secret because the guide says so, and so that containers get all `DB_*` one way. */
  private createReadOnlySecret(key: kms.IKey | undefined): secretsmanager.ISecret {
    return new secretsmanager.Secret(this, 'ReadOnlySecret', {
      description: 'Host name of the read replica',
      encryptionKey: key,
      secretObjectValue: { host: SecretValue.unsafePlainText(this.cluster.clusterReadEndpoint.hostname) },
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}

function instanceOptions(): rds.ServerlessV2ClusterInstanceProps {
  return {
    caCertificate: rds.CaCertificate.RDS_CA_RSA2048_G1,
    enablePerformanceInsights: true,
    publiclyAccessible: false,
    // The version in the template is the version that runs. Were AWS to raise it by itself, the next change of the cluster would ask
    // for the older one, which RDS refuses.
    autoMinorVersionUpgrade: false,
  };
}

function within<T>(construct: IConstruct, type: new (...args: never[]) => T): T[] {
  return construct.node.findAll().filter((one) => one instanceof type) as T[];
}
