/** What the load balancer sees of the API, as a client would. */
import { Duration } from 'aws-cdk-lib';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { HttpCodeElb, HttpCodeTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { type Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { ALARM_PERIOD, type AlarmTopic } from './alarm-topic.ts';

const SERVER_ERRORS = 10;
const SLOW_SECONDS = 1;

export interface LoadBalancerAlarmsProps {
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly targetGroup: elbv2.ApplicationTargetGroup;
  readonly alarmTopic: AlarmTopic;
  /** Production never sleeps: no healthy task is an outage, asked for or not. */
  readonly neverSleeps: boolean;
}

export class LoadBalancerAlarms extends Construct {
  readonly serverErrors: Alarm;

  constructor(scope: Construct, id: string, { loadBalancer, targetGroup, alarmTopic, neverSleeps }: LoadBalancerAlarmsProps) {
    super(scope, id);
    const sum = { period: ALARM_PERIOD, statistic: 'Sum' };
    this.serverErrors = alarmTopic.alarm(this, 'api-5xx', {
      description: `The API answered more than ${SERVER_ERRORS} requests with 5xx in five minutes.`,
      metric: targetGroup.metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, sum),
      threshold: SERVER_ERRORS,
    });
    alarmTopic.alarm(this, 'load-balancer-5xx', {
      description: `The load balancer itself answered more than ${SERVER_ERRORS} requests with 5xx in five minutes: it had no target to ask.`,
      metric: loadBalancer.metrics.httpCodeElb(HttpCodeElb.ELB_5XX_COUNT, sum),
      threshold: SERVER_ERRORS,
    });
    alarmTopic.alarm(this, 'api-unhealthy', {
      description: 'An API task has failed the health check of the load balancer for ten minutes.',
      metric: targetGroup.metrics.unhealthyHostCount({ period: ALARM_PERIOD, statistic: 'Maximum' }),
      threshold: 0,
      periods: 2,
    });
    if (neverSleeps) {
      // Without requests no other alarm would ring, and without a task nobody measures.
      alarmTopic.alarm(this, 'api-down', {
        description: 'No API task has been healthy for three minutes.',
        metric: targetGroup.metrics.healthyHostCount({ period: Duration.minutes(1), statistic: 'Maximum' }),
        threshold: 1,
        operator: ComparisonOperator.LESS_THAN_THRESHOLD,
        periods: 3,
        missing: TreatMissingData.BREACHING,
      });
    }
    alarmTopic.alarm(this, 'api-latency', {
      description: `One request in twenty took longer than ${SLOW_SECONDS} s, for 15 minutes.`,
      metric: targetGroup.metrics.targetResponseTime({ period: ALARM_PERIOD, statistic: 'p95' }),
      threshold: SLOW_SECONDS,
      periods: 3,
    });
  }
}
