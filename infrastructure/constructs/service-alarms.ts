/** What wakes someone up about a service, whichever of the two it is. */
import { type Alarm, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { ALARM_PERIOD, type AlarmTopic } from './alarm-topic.ts';
import { measured, type Role } from './application-metrics.ts';
import { countLogLines } from './log-metric.ts';
import type { ServiceTask } from './service-task.ts';

/** Errors in five minutes that are worth a message: one bad request is not. */
const ERRORS = 10;

/**
 * Messages of the binary, most of them warnings: while the database is away requests are answered
 * 503, and no error line says so. test/settings.test.ts looks for them in the binary.
 */
export const DATABASE_FAILURES = [
  'database connection lost',
  'database not reached yet',
  'the database refuses user or password',
];

export interface ServiceAlarmsProps {
  readonly task: ServiceTask;
  /** The start of the alarms' names. */
  readonly role: Role;
  readonly clusterArn: string;
  readonly serviceName: string;
  readonly config: Config;
  readonly alarmTopic: AlarmTopic;
}

export class ServiceAlarms extends Construct {
  /** Rings when the service itself does its work badly, whatever became of its database. */
  readonly errors: Alarm;

  constructor(scope: Construct, id: string, props: ServiceAlarmsProps) {
    super(scope, id);
    const { role, alarmTopic, task } = props;
    alarmTopic.alarm(this, `${role}-cpu`, {
      description: `CPU of ${props.serviceName} over 80 % for 15 minutes.`,
      metric: task.service.metricCpuUtilization({ period: ALARM_PERIOD }),
      threshold: 80,
      periods: 3,
    });
    alarmTopic.alarm(this, `${role}-memory`, {
      description: `Memory of ${props.serviceName} over 80 % for 15 minutes.`,
      metric: task.service.metricMemoryUtilization({ period: ALARM_PERIOD }),
      threshold: 80,
      periods: 3,
    });
    this.errors = alarmTopic.alarm(this, `${role}-errors`, {
      description: `More than ${ERRORS} error lines of ${props.serviceName} in five minutes.`,
      metric: countLogLines(task.logGroup, props.config, {
        name: `${role}-error-lines`,
        pattern: logs.FilterPattern.stringValue('$.level', '=', 'error'),
      }),
      threshold: ERRORS,
    });
    alarmTopic.alarm(this, `${role}-database-lost`, {
      description: `${props.serviceName} lost its connection to the database, or got none.`,
      metric: countLogLines(task.logGroup, props.config, {
        name: `${role}-database-failures`,
        pattern: logs.FilterPattern.any(
          ...DATABASE_FAILURES.map((message) => logs.FilterPattern.stringValue('$.message', '=', message)),
        ),
      }),
      threshold: 0,
    });
    if (props.config.xray) {
      this.tellOfLostSpans(props);
    }
    this.tellOfExits(props);
  }

  /** Requests do not notice a collector that is away: without a word there would be no trace on the day that one is looked for. */
  private tellOfLostSpans({ role, alarmTopic, config, serviceName }: ServiceAlarmsProps): void {
    alarmTopic.alarm(this, `${role}-spans-dropped`, {
      description: `${serviceName} has dropped spans for 15 minutes: the collector beside it does not take them.`,
      metric: measured(config, role, 'SpansDropped', Stats.SUM),
      threshold: 0,
      periods: 3,
    });
  }

  /**
   * Tasks that ended by themselves, or that ECS stopped because they were not well; those that a
   * deployment, scaling or a person stopped have other codes and reasons.
   */
  private tellOfExits({ role, alarmTopic, clusterArn, serviceName }: ServiceAlarmsProps): void {
    alarmTopic.event(
      this,
      `${role}-task-exits`,
      `A task of ${serviceName} ended that nobody stopped`,
      {
        source: ['aws.ecs'],
        detailType: ['ECS Task State Change'],
        detail: {
          clusterArn: [clusterArn],
          group: [`service:${serviceName}`],
          lastStatus: ['STOPPED'],
          $or: [
            { stopCode: ['EssentialContainerExited', 'TaskFailedToStart'] },
            // `Task failed container health checks`, `Task failed ELB health checks in …`
            { stoppedReason: [{ prefix: 'Task failed ' }] },
          ],
        },
      },
      `A task of ${serviceName} ended unexpectedly. See the runbook, "Task exits".`,
    );
  }
}
