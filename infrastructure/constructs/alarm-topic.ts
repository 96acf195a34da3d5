/**
 * The one topic that alarms and events go to, and the ways to put something on it.
 */
import { Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as sns from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';

/** The period of every alarm that says nothing else. */
export const ALARM_PERIOD = Duration.minutes(5);

export interface AlarmOptions {
  /** What is wrong; the runbook has a row of the same name on what to do. */
  readonly description: string;
  readonly metric: cloudwatch.IMetric;
  readonly threshold: number;
  readonly operator?: cloudwatch.ComparisonOperator;
  /** How many periods in a row. */
  readonly periods?: number;
  /** What missing data means; that all is well, unless set. */
  readonly missing?: cloudwatch.TreatMissingData;
}

export class AlarmTopic extends Construct {
  readonly topic: sns.Topic;
  private readonly baseName: string;

  constructor(scope: Construct, id: string, config: Config) {
    super(scope, id);
    this.baseName = config.baseName;
    this.topic = new sns.Topic(this, 'Topic', { topicName: `${config.baseName}-alarms`, enforceSSL: true });
    this.admitCloudWatch();
    if (config.alarmEmail !== undefined) {
      this.topic.addSubscription(new EmailSubscription(config.alarmEmail));
    }
  }

  /** A topic with a policy of its own no longer lets alarms in by default. */
  private admitCloudWatch(): void {
    this.topic.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
  }

  /** An alarm in the caller's stack, named `${appName}-${environment}-${name}`. */
  alarm(scope: Construct, name: string, options: AlarmOptions): cloudwatch.Alarm {
    const alarm = new cloudwatch.Alarm(scope, `Alarm-${name}`, {
      alarmName: `${this.baseName}-${name}`,
      alarmDescription: options.description,
      metric: options.metric,
      threshold: options.threshold,
      evaluationPeriods: options.periods ?? 1,
      comparisonOperator: options.operator ?? cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      treatMissingData: options.missing ?? cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    const action = new SnsAction(this.topic);
    alarm.addAlarmAction(action);
    alarm.addOkAction(action);
    return alarm;
  }

  /** An event in the caller's stack, told as one line of text. */
  event(scope: Construct, name: string, description: string, pattern: events.EventPattern, text: string): events.Rule {
    const rule = new events.Rule(scope, `Event-${name}`, {
      ruleName: `${this.baseName}-${name}`,
      description,
      eventPattern: pattern,
    });
    rule.addTarget(new targets.SnsTopic(this.topic, { message: events.RuleTargetInput.fromText(text) }));
    return rule;
  }
}
