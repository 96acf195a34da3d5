/**
 * What wakes someone up about jobs. Every run ends in one line of JSON with
 * `job`, `runId`, `attempt`, `durationMs` and `outcome`; these filters count them.
 */

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { measured } from './application-metrics.ts';
import { countLogLines } from './log-metric.ts';

/** How long a run of push or pull may wait that somebody could take, in milliseconds. */
const QUEUE_AGE = 15 * 60 * 1000;

export interface JobAlarmsProps {
  readonly logGroup: logs.LogGroup;
  readonly clusterName: string;
  readonly serviceName: string;
  readonly config: Config;
  readonly alarmTopic: AlarmTopic;
}

export class JobAlarms extends Construct {
  constructor(scope: Construct, id: string, props: JobAlarmsProps) {
    super(scope, id);
    const { alarmTopic } = props;
    alarmTopic.alarm(this, 'job-runs-dead', {
      description: 'A job run used up its attempts: its work is not done.',
      metric: outcomes(props, 'dead'),
      threshold: 0,
    });
    alarmTopic.alarm(this, 'job-runs-failed', {
      description: 'A job run failed and will be tried again.',
      metric: outcomes(props, 'failed'),
      threshold: 0,
    });
    this.tellOfQueues(props);
    alarmTopic.alarm(this, 'scheduler-not-running', {
      description: 'No scheduler task has run for five minutes: no job starts.',
      metric: runningTasks(props),
      threshold: 1,
      operator: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      periods: 5,
      missing: cloudwatch.TreatMissingData.BREACHING,
    });
  }

  /** Runs of push and pull: each scheduler counts those of all processes, and a worker's have no log line of their own. */
  private tellOfQueues({ config, alarmTopic }: JobAlarmsProps): void {
    alarmTopic.alarm(this, 'queue-age', {
      description: 'A run of push or pull has been ready for a quarter of an hour: nobody takes it.',
      metric: measured(config, 'scheduler', 'QueueOldest', cloudwatch.Stats.MAXIMUM),
      threshold: QUEUE_AGE,
    });
    alarmTopic.alarm(this, 'queue-runs-dead', {
      description: 'Runs of push or pull used up their attempts: their work is not done.',
      metric: measured(config, 'scheduler', 'QueueRunsDied', cloudwatch.Stats.SUM),
      threshold: 0,
    });
  }
}

function outcomes({ logGroup, config }: JobAlarmsProps, outcome: string): cloudwatch.Metric {
  return countLogLines(logGroup, config, {
    name: `job-runs-${outcome}`,
    pattern: logs.FilterPattern.all(
      logs.FilterPattern.exists('$.runId'),
      logs.FilterPattern.stringValue('$.outcome', '=', outcome),
    ),
  });
}

function runningTasks({ clusterName, serviceName }: JobAlarmsProps): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: 'ECS/ContainerInsights',
    metricName: 'RunningTaskCount',
    dimensionsMap: { ClusterName: clusterName, ServiceName: serviceName },
    period: Duration.minutes(1),
    statistic: cloudwatch.Stats.MINIMUM,
  });
}
