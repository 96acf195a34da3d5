/** Counts the lines of a log group that match a pattern. */
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Config } from '../config/config.ts';
import { ALARM_PERIOD } from './alarm-topic.ts';

export interface LogMetric {
  readonly name: string;
  readonly pattern: logs.IFilterPattern;
}

export function countLogLines(
  logGroup: logs.LogGroup,
  config: Config,
  { name, pattern }: LogMetric,
): cloudwatch.Metric {
  return logGroup
    .addMetricFilter(`Filter-${name}`, {
      filterPattern: pattern,
      metricNamespace: `${config.appName}/${config.environment}`,
      metricName: name,
      metricValue: '1',
      // A number even when nothing happened, so that the alarm rests instead of waiting.
      defaultValue: 0,
    })
    .metric({ period: ALARM_PERIOD, statistic: cloudwatch.Stats.SUM });
}
