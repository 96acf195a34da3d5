/**
 * The scheduler tier: one task of the same image that nothing can connect to.
 * Emitted only when something needs it: a cron expression, an application's own image, ports to push to, or CDK_SCHEDULER=true.
 */
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import type { ICluster } from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import type { AlarmTopic } from '../constructs/alarm-topic.ts';
import { databaseSecrets, schedulerSettings } from '../constructs/container-settings.ts';
import { imageRepository, imageVersion } from '../constructs/image.ts';
import { JobAlarms } from '../constructs/job-alarms.ts';
import { RestartOnRotation } from '../constructs/restart-on-rotation.ts';
import { ServiceAlarms } from '../constructs/service-alarms.ts';
import { ServiceTask } from '../constructs/service-task.ts';
import { BaseStack } from './base.stack.ts';
import type { DatabaseStack } from './database.stack.ts';

export interface ScheduledTaskStackProps {
  readonly config: Config;
  readonly vpc: ec2.IVpc;
  readonly alarmTopic: AlarmTopic;
  readonly database: DatabaseStack;
  readonly repository: IRepository;
  readonly cluster: ICluster;
}

export class ScheduledTaskStack extends BaseStack {
  constructor(scope: Construct, props: ScheduledTaskStackProps) {
    super(scope, 'scheduled-task', props.config, 'Scheduler tier: one Fargate task without inbound traffic');
    this.watch(props, this.createScheduler(props));
  }

  private createScheduler({ config, vpc, database, repository, cluster }: ScheduledTaskStackProps): ServiceTask {
    return new ServiceTask(this, 'Scheduler', {
      config,
      name: config.schedulerName,
      command: 'scheduler',
      cluster,
      vpc,
      repository: imageRepository(this, repository, config),
      imageTag: imageVersion(this).tag,
      cpu: config.schedulerTaskCpuUnits,
      memoryLimitMiB: config.schedulerTaskMemoryMb,
      environment: schedulerSettings(config),
      secrets: databaseSecrets(database),
      databaseSecurityGroupId: database.securityGroup.securityGroupId,
      egressPorts: config.schedulerEgressPorts?.filter((port) => port !== 443),
      desiredCount: 1,
      // The old task stops before the new one starts: never two. Ticks would stay single even so.
      minHealthyPercent: 0,
      maxHealthyPercent: 100,
    });
  }

  private watch({ config, alarmTopic, cluster, database }: ScheduledTaskStackProps, scheduler: ServiceTask): void {
    const { errors } = new ServiceAlarms(this, 'Watch', {
      task: scheduler,
      role: 'scheduler',
      clusterArn: cluster.clusterArn,
      serviceName: config.schedulerName,
      config,
      alarmTopic,
    });
    scheduler.rollBackOn([errors]);
    new JobAlarms(this, 'WatchJobs', {
      logGroup: scheduler.logGroup,
      clusterName: cluster.clusterName,
      serviceName: config.schedulerName,
      config,
      alarmTopic,
    });
    new RestartOnRotation(this, 'Rotation', {
      role: 'scheduler',
      secret: database.secret,
      clusterName: cluster.clusterName,
      serviceName: config.schedulerName,
      serviceArn: scheduler.service.serviceArn,
      alarmTopic,
    });
  }
}
