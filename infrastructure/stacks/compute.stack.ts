/**
 * The API tier: cluster, service, scaling, load balancer, alarms, dashboard.
 */
import { Annotations, CfnOutput, Duration } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { IHostedZone } from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import type { AlarmTopic } from '../constructs/alarm-topic.ts';
import { apiSettings, databaseSecrets, jwtSecrets } from '../constructs/container-settings.ts';
import { Dashboard } from '../constructs/dashboard.ts';
import { desiredCount } from '../constructs/desired-count.ts';
import { imageRepository, imageVersion } from '../constructs/image.ts';
import { LoadBalancerAlarms } from '../constructs/load-balancer-alarms.ts';
import { PublicEndpoint } from '../constructs/public-endpoint.ts';
import { RestartOnRotation } from '../constructs/restart-on-rotation.ts';
import { ServiceAlarms } from '../constructs/service-alarms.ts';
import { ServiceTask } from '../constructs/service-task.ts';
import { BaseStack } from './base.stack.ts';
import type { DatabaseStack } from './database.stack.ts';

const CPU_TARGET_PERCENT = 50;

export interface ComputeStackProps {
  readonly config: Config;
  readonly vpc: ec2.IVpc;
  readonly hostedZone: IHostedZone;
  readonly certificate: ICertificate;
  readonly alarmTopic: AlarmTopic;
  readonly database: DatabaseStack;
  readonly repository: IRepository;
}

export class ComputeStack extends BaseStack {
  readonly cluster: ecs.Cluster;

  constructor(scope: Construct, props: ComputeStackProps) {
    super(scope, 'compute', props.config, 'API tier: load balancer and Fargate service');
    this.cluster = this.createCluster(props.vpc);
    const api = this.createApi(props);
    const endpoint = new PublicEndpoint(this, 'Endpoint', { ...props, service: api.service });
    this.scaleOnCpu(api.service);
    this.warnOfSilence();
    this.warnOfNobody();
    this.warnOfSharedSecret();
    this.watch(props, api, endpoint);
    new CfnOutput(this, 'Url', { value: `https://${props.config.fullDomainName}`, description: 'The API' });
  }

  private createCluster(vpc: ec2.IVpc): ecs.Cluster {
    return new ecs.Cluster(this, 'Cluster', {
      clusterName: this.config.baseName,
      vpc,
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
      enableFargateCapacityProviders: true,
    });
  }

  private createApi({ config, vpc, database, repository }: ComputeStackProps): ServiceTask {
    const image = imageVersion(this);
    return new ServiceTask(this, 'Api', {
      config,
      name: config.baseName,
      command: 'api',
      cluster: this.cluster,
      vpc,
      repository: imageRepository(this, repository, config),
      imageTag: image.tag,
      cpu: config.taskCpuUnits,
      memoryLimitMiB: config.taskMemoryMb,
      environment: apiSettings(config, image.appVersion),
      secrets: { ...databaseSecrets(database), ...jwtSecrets(this, config) },
      databaseSecurityGroupId: database.securityGroup.securityGroupId,
      desiredCount: desiredCount(this, config),
      // A deployment starts the new tasks before it stops the old ones.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      port: config.appPort,
      healthCheckGracePeriod: Duration.seconds(60),
    });
  }

  /** At zero tasks there is no CPU to measure: target tracking does not wake a sleeping service. */
  private scaleOnCpu(service: ecs.FargateService): void {
    service
      .autoScaleTaskCount({
        minCapacity: this.config.serviceMinCapacity,
        maxCapacity: this.config.serviceMaxCapacity,
      })
      .scaleOnCpuUtilization('Cpu', {
        targetUtilizationPercent: CPU_TARGET_PERCENT,
        scaleOutCooldown: Duration.seconds(60),
        scaleInCooldown: Duration.seconds(300),
      });
  }

  /** The lines that alarms count have the levels `warn` and `error`; nobody else would say that they are missing. */
  private warnOfSilence(): void {
    if (this.config.loggingLevel === 'error') {
      Annotations.of(this).addWarningV2(
        'millrace:logging-level',
        'CDK_APP_LOGGING_LEVEL=error: the lines of a lost database and of a failed job run are warnings and are not ' +
          'written, so that the alarms on them never ring. Use warn.',
      );
    }
  }

  /** Otherwise the first to notice is whoever wonders what became of an import. */
  private warnOfNobody(): void {
    if (!this.config.hasScheduledTasks) {
      Annotations.of(this).addWarningV2(
        'millrace:no-scheduler',
        'No cron is set, so there is no scheduler: imports, jobs that are started by hand, and what a deleted user leaves ' +
          'behind wait until there is one, and nothing that has expired is deleted. CDK_SCHEDULER=true starts one.',
      );
    }
  }

  private warnOfSharedSecret(): void {
    if (this.config.ecrShared && !this.config.jwtPerEnvironment) {
      Annotations.of(this).addWarningV2(
        'millrace:shared-jwt-secret',
        'CDK_ECR_SHARED=true says that environments share this account: without CDK_APP_JWT_PER_ENVIRONMENT=true they share the ' +
          'JWT secret too, and a token of one is good in the other.',
      );
    }
  }

  private watch(props: ComputeStackProps, api: ServiceTask, { loadBalancer, targetGroup }: PublicEndpoint): void {
    const { config, alarmTopic, database } = props;
    const { errors } = new ServiceAlarms(this, 'Watch', {
      task: api,
      role: 'api',
      clusterArn: this.cluster.clusterArn,
      serviceName: config.baseName,
      config,
      alarmTopic,
    });
    const { serverErrors } = new LoadBalancerAlarms(this, 'WatchEndpoint', {
      loadBalancer,
      targetGroup,
      alarmTopic,
      neverSleeps: config.isProduction,
    });
    api.rollBackOn([serverErrors, errors]);
    new RestartOnRotation(this, 'Rotation', {
      role: 'api',
      secret: database.secret,
      clusterName: this.cluster.clusterName,
      serviceName: config.baseName,
      serviceArn: api.service.serviceArn,
      alarmTopic,
    });
    new Dashboard(this, 'Dashboard', { config, loadBalancer, targetGroup, cluster: database.cluster });
  }
}
