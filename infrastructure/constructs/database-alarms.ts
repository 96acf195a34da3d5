/** What wakes someone up about the database. */
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { ALARM_PERIOD, type AlarmTopic } from './alarm-topic.ts';

export interface DatabaseAlarmsProps {
  readonly cluster: DatabaseCluster;
  readonly config: Config;
  readonly alarmTopic: AlarmTopic;
}

/**
 * Aurora derives max_connections from the memory at full capacity: 189 at one
 * ACU and about as much again for each further one, but 2,000 when it may
 * shrink below one. The alarm stands at four fifths of that.
 */
export function connectionLimit(minCapacity: number, maxCapacity: number): number {
  const most = Math.floor(189 * maxCapacity);
  return minCapacity < 1 ? Math.min(most, 2000) : most;
}

export class DatabaseAlarms extends Construct {
  constructor(scope: Construct, id: string, { cluster, config, alarmTopic }: DatabaseAlarmsProps) {
    super(scope, id);
    const limit = connectionLimit(config.databaseMinCapacity, config.databaseMaxCapacity);
    alarmTopic.alarm(this, 'database-connections', {
      description: `More than four fifths of the database's ${limit} connections are in use.`,
      metric: cluster.metricDatabaseConnections({ period: ALARM_PERIOD, statistic: 'Maximum' }),
      threshold: Math.floor(limit * 0.8),
    });
    alarmTopic.alarm(this, 'database-cpu', {
      description: 'Database CPU over 80 % for 15 minutes.',
      metric: cluster.metricCPUUtilization({ period: ALARM_PERIOD }),
      threshold: 80,
      periods: 3,
    });
    alarmTopic.alarm(this, 'database-capacity', {
      description: `The database has been at 90 % or more of its ${config.databaseMaxCapacity} ACU for 15 minutes.`,
      metric: cluster.metricACUUtilization({ period: ALARM_PERIOD, statistic: 'Average' }),
      threshold: 90,
      periods: 3,
    });
    alarmTopic.event(
      this,
      'database-events',
      'Failure, failover or lack of storage of the database',
      {
        source: ['aws.rds'],
        detailType: ['RDS DB Cluster Event', 'RDS DB Instance Event'],
        detail: {
          EventCategories: ['failure', 'failover', 'low storage'],
          SourceIdentifier: [cluster.clusterIdentifier, ...cluster.instanceIdentifiers],
        },
      },
      `Database of ${config.baseName}: failure or failover. See the runbook, "Database event".`,
    );
  }
}
