/**
 * What the binary writes of itself once a minute (METRICS_EMF): CloudWatch reads
 * it from the log. The names are those of its table of metrics, which
 * test/settings.test.ts looks for in the binary.
 *
 * `METRICS_ENVIRONMENT` tells the environments of an account and region apart.
 */
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { Config } from '../config/config.ts';

export const APPLICATION_NAMESPACE = 'Millrace';

export type Role = 'api' | 'scheduler';

/** How often something happened. */
export function counted(config: Config, role: Role, metricName: string): cloudwatch.Metric {
  return measured(config, role, metricName, cloudwatch.Stats.SUM).with({ label: metricName });
}

/** The greatest of what the tasks have seen. */
export function greatest(config: Config, role: Role, metricName: string): cloudwatch.Metric {
  return measured(config, role, metricName, cloudwatch.Stats.MAXIMUM).with({ label: metricName });
}

/** For an alarm: with a label it would be written as an expression. */
export function measured({ baseName }: Config, role: Role, metricName: string, statistic: string): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: APPLICATION_NAMESPACE,
    metricName,
    dimensionsMap: { Environment: baseName, Role: role },
    statistic,
  });
}
