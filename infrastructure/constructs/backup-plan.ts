/**
 * Daily backups that live outside the cluster and in a second region, so that
 * neither a deleted cluster nor a lost region takes them along.
 */
import { ArnFormat, Duration, Stack, TimeZone } from 'aws-cdk-lib';
import * as backup from 'aws-cdk-lib/aws-backup';
import { Schedule } from 'aws-cdk-lib/aws-events';
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import type { AlarmTopic } from './alarm-topic.ts';

const KEPT = Duration.days(35);

export interface BackupPlanProps {
  readonly cluster: DatabaseCluster;
  readonly config: Config;
  readonly alarmTopic: AlarmTopic;
  /** Undefined: AWS's own. */
  readonly key: IKey | undefined;
}

export class BackupPlan extends Construct {
  constructor(scope: Construct, id: string, { cluster, config, alarmTopic, key }: BackupPlanProps) {
    super(scope, id);
    const vault = new backup.BackupVault(this, 'Vault', {
      backupVaultName: config.baseName,
      encryptionKey: key,
      lockConfiguration: lock(config),
    });
    const plan = new backup.BackupPlan(this, 'Plan', { backupPlanName: config.baseName, backupVault: vault });
    plan.addRule(
      new backup.BackupPlanRule({
        ruleName: 'daily',
        scheduleExpression: Schedule.cron({ minute: '0', hour: '4' }),
        scheduleExpressionTimezone: TimeZone.ETC_UTC,
        deleteAfter: KEPT,
        copyActions: [{ destinationBackupVault: this.defaultVaultOf(config.backupRegion), deleteAfter: KEPT }],
      }),
    );
    plan.addSelection('Database', { resources: [backup.BackupResource.fromRdsDatabaseCluster(cluster)] });
    tellOfSilence(this, alarmTopic, config);
    // A copy fails for as long as the vault in the other region has not been opened.
    alarmTopic.event(
      this,
      'backup-failed',
      'A backup of the database, or its copy, was not made',
      {
        source: ['aws.backup'],
        detailType: ['Backup Job State Change', 'Copy Job State Change'],
        detail: { state: ['FAILED', 'ABORTED', 'EXPIRED'], resourceArn: [cluster.clusterArn] },
      },
      `A backup of ${config.baseName}, or its copy in ${config.backupRegion}, was not made. See the runbook, "Backup failed".`,
    );
  }

  /** AWS Backup makes a vault of this name the first time it is opened in a region. */
  private defaultVaultOf(region: string): backup.IBackupVault {
    const arn = Stack.of(this).formatArn({
      service: 'backup',
      region,
      resource: 'backup-vault',
      resourceName: 'Default',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    return backup.BackupVault.fromBackupVaultArn(this, 'CopyVault', arn);
  }
}

/** AWS takes no date of a lock for ever that is nearer than this: until then it can still be taken off. */
const LOCK_GRACE = Duration.days(3);

function lock({ backupLock }: Config): backup.LockConfiguration | undefined {
  switch (backupLock) {
    case 'governance':
      return { minRetention: KEPT };
    case 'compliance':
      return { minRetention: KEPT, changeableFor: LOCK_GRACE };
    default:
      return undefined;
  }
}

/** Hours, two more than there are between two backups. */
const SILENCE = 26;

/** A job that never starts fails nowhere: an account that has not opted in to Aurora, a plan that somebody has changed. */
function tellOfSilence(scope: Construct, alarmTopic: AlarmTopic, config: Config): void {
  alarmTopic.alarm(scope, 'backup-missing', {
    description: `No backup of the database has been made for ${SILENCE} hours.`,
    metric: new cloudwatch.Metric({
      namespace: 'AWS/Backup',
      metricName: 'NumberOfBackupJobsCompleted',
      dimensionsMap: { BackupVaultName: config.baseName },
      period: Duration.hours(1),
      statistic: cloudwatch.Stats.SUM,
    }),
    threshold: 1,
    operator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
    periods: SILENCE,
    missing: cloudwatch.TreatMissingData.BREACHING,
  });
}
