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
export function counted({ baseName }: Config, role: Role, metricName: string): cloudwatch.Metric {
  return metric(baseName, role, metricName, cloudwatch.Stats.SUM);
}

/** The greatest of what the tasks have seen. */
export function greatest({ baseName }: Config, role: Role, metricName: string): cloudwatch.Metric {
  return metric(baseName, role, metricName, cloudwatch.Stats.MAXIMUM);
}

function metric(Environment: string, role: Role, metricName: string, statistic: string): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: APPLICATION_NAMESPACE,
    metricName,
    dimensionsMap: { Environment, Role: role },
    statistic,
    label: metricName,
  });
}
