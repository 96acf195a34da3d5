/**
 * ECS reads a secret when a task starts and never again, so a rotated password
 * reaches a running service only by a new deployment. Secrets Manager tells of
 * a finished rotation through CloudTrail (the account needs a trail); one step
 * then asks ECS for new tasks.
 *
 * A state machine and not a function: there is no code to keep up to date.
 * Should the event be lost, the binary still exits when its password is
 * refused, and ECS starts it with the new one.
 */
import { Duration } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import type { AlarmTopic } from './alarm-topic.ts';

export interface RestartOnRotationProps {
  readonly role: string;
  readonly secret: ISecret;
  readonly clusterName: string;
  readonly serviceName: string;
  readonly serviceArn: string;
  readonly alarmTopic: AlarmTopic;
}

export class RestartOnRotation extends Construct {
  constructor(scope: Construct, id: string, props: RestartOnRotationProps) {
    super(scope, id);
    const restart = new CallAwsService(this, 'Restart', {
      service: 'ecs',
      action: 'updateService',
      parameters: { Cluster: props.clusterName, Service: props.serviceName, ForceNewDeployment: true },
      iamAction: 'ecs:UpdateService',
      iamResources: [props.serviceArn],
      resultPath: sfn.JsonPath.DISCARD,
    });
    restart.addRetry({ interval: Duration.seconds(10), maxAttempts: 5, backoffRate: 2 });
    const machine = new sfn.StateMachine(this, 'Machine', {
      stateMachineName: `${props.serviceName}-restart`,
      definitionBody: sfn.DefinitionBody.fromChainable(restart),
      timeout: Duration.minutes(10),
    });
    new events.Rule(this, 'Rule', {
      ruleName: `${props.serviceName}-restart`,
      description: `New tasks of ${props.serviceName} after its database password was rotated`,
      eventPattern: {
        source: ['aws.secretsmanager'],
        detailType: ['AWS Service Event via CloudTrail'],
        detail: {
          eventName: ['RotationSucceeded'],
          additionalEventData: { SecretId: [props.secret.secretArn] },
        },
      },
      targets: [new targets.SfnStateMachine(machine)],
    });
    props.alarmTopic.alarm(this, `${props.role}-restart-failed`, {
      description: `${props.serviceName} could not be restarted after its database password was rotated.`,
      metric: machine.metricFailed({ period: Duration.minutes(5) }),
      threshold: 0,
    });
  }
}
