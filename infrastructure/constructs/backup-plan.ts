/**
 * Daily backups that live outside the cluster and in a second region, so that
 * neither a deleted cluster nor a lost region takes them along.
 */
import { ArnFormat, Duration, Stack, TimeZone } from 'aws-cdk-lib';
import * as backup from 'aws-cdk-lib/aws-backup';
import { Schedule } from 'aws-cdk-lib/aws-events';
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';

const KEPT = Duration.days(35);

export interface BackupPlanProps {
  readonly cluster: DatabaseCluster;
  readonly config: Config;
}

export class BackupPlan extends Construct {
  constructor(scope: Construct, id: string, { cluster, config }: BackupPlanProps) {
    super(scope, id);
    const vault = new backup.BackupVault(this, 'Vault', { backupVaultName: config.baseName });
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
