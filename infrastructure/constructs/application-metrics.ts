/**
 * What the binary writes of itself once a minute (METRICS_EMF): CloudWatch reads
 * it from the log. The names are those of its table of metrics, which
 * test/settings.test.ts looks for in the binary.
 *
 * Environments in one account and region write to the same metrics, because the
 * binary knows no name of its environment; alarms count log lines instead.
 */
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';

export const APPLICATION_NAMESPACE = 'Millrace';

export type Role = 'api' | 'scheduler';

/** How often something happened. */
export function counted(role: Role, metricName: string): cloudwatch.Metric {
  return metric(role, metricName, cloudwatch.Stats.SUM);
}

/** The greatest of what the tasks have seen. */
export function greatest(role: Role, metricName: string): cloudwatch.Metric {
  return metric(role, metricName, cloudwatch.Stats.MAXIMUM);
}

function metric(role: Role, metricName: string, statistic: string): cloudwatch.Metric {
  return new cloudwatch.Metric({
    namespace: APPLICATION_NAMESPACE,
    metricName,
    dimensionsMap: { Role: role },
    statistic,
    label: metricName,
  });
}
