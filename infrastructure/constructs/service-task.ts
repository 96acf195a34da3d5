/**
 * One Fargate service that runs the image with one command: its task, log
 * group, security group and roles. What the API has beyond this (load balancer,
 * scaling) is in the compute stack; the scheduler has nothing beyond it.
 */
import { CfnDeletionPolicy, Duration, Fn } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { addCollector } from './collector.ts';
import { allowDatabaseAccess } from './database-access.ts';
import { makeExecPossible } from './exec.ts';
import { createLogGroup } from './log-group.ts';
import { taskSubnets } from './vpc.ts';

/** The unprivileged user that the image is built for. */
const USER = '65532';
const FIRST_FREE_PORT = 1024;
/** SIGKILL comes this long after SIGTERM; Fargate's most is 120 s. */
export const STOP_TIMEOUT = Duration.seconds(60);

export interface ServiceTaskProps {
  readonly config: Config;
  /** Service, task family and log group are named after it. */
  readonly name: string;
  readonly command: 'api' | 'scheduler';
  readonly cluster: ecs.ICluster;
  readonly vpc: ec2.IVpc;
  readonly repository: IRepository;
  readonly imageTag: string;
  readonly cpu: number;
  readonly memoryLimitMiB: number;
  readonly environment: Record<string, string>;
  readonly secrets: Record<string, ecs.Secret>;
  readonly databaseSecurityGroupId: string;
  /** Undefined leaves an existing service at as many tasks as it has. */
  readonly desiredCount: number | undefined;
  readonly minHealthyPercent: number;
  readonly maxHealthyPercent: number;
  /** The container's port; without one nothing can connect. */
  readonly port?: number;
  readonly healthCheckGracePeriod?: Duration;
  /** TCP ports that it may call anywhere, beside 443. */
  readonly egressPorts?: readonly number[];
}

export class ServiceTask extends Construct {
  readonly service: ecs.FargateService;
  readonly securityGroup: ec2.SecurityGroup;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: ServiceTaskProps) {
    super(scope, id);
    this.logGroup = createLogGroup(this, 'LogGroup', `/ecs/${props.name}`, props.config);
    this.securityGroup = this.createSecurityGroup(props);
    this.service = this.createService(props, this.createTask(props));
    // The cluster has to know Fargate before the service uses it, and to forget it after the
    // service is gone: in the other order AWS refuses, and a stack that is deleted gets stuck.
    this.service.node.addDependency(props.cluster);
  }

  private createTask(props: ServiceTaskProps): ecs.FargateTaskDefinition {
    const task = new ecs.FargateTaskDefinition(this, 'Task', {
      family: props.name,
      cpu: props.cpu,
      memoryLimitMiB: props.memoryLimitMiB,
      runtimePlatform: {
        operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
        cpuArchitecture: props.config.arm64 ? ecs.CpuArchitecture.ARM64 : ecs.CpuArchitecture.X86_64,
      },
    });
    keepRevisions(task);
    letReadSecrets(task, props.config);
    const container = this.addContainer(task, props);
    if (!props.config.isProduction) {
      makeExecPossible(task, container);
    }
    if (props.config.xray) {
      addCollector(task, this.logGroup);
    }
    return task;
  }

  private addContainer(task: ecs.FargateTaskDefinition, props: ServiceTaskProps): ecs.ContainerDefinition {
    const linuxParameters = new ecs.LinuxParameters(this, 'Linux');
    linuxParameters.dropCapabilities(ecs.Capability.ALL);
    return task.addContainer('millrace', {
      image: ecs.ContainerImage.fromEcrRepository(props.repository, props.imageTag),
      command: [props.command],
      environment: props.environment,
      secrets: props.secrets,
      user: USER,
      readonlyRootFilesystem: true,
      linuxParameters,
      stopTimeout: STOP_TIMEOUT,
      logging: ecs.LogDrivers.awsLogs({ logGroup: this.logGroup, streamPrefix: props.command }),
      healthCheck: {
        command: ['CMD', '/usr/bin/millrace', 'health'],
        interval: Duration.seconds(15),
        timeout: Duration.seconds(5),
        retries: 3,
        startPeriod: Duration.seconds(60),
      },
      portMappings: props.port === undefined ? [] : [{ containerPort: props.port }],
      systemControls: lowPort(props.port),
    });
  }

  /**
   * ECS watches these alarms while it deploys, and goes back when one of them rings. By name, and made before: an alarm that
   * depends on the service could not be.
   */
  rollBackOn(alarms: readonly cloudwatch.Alarm[]): void {
    const names = alarms.map(({ node }) => (node.defaultChild as cloudwatch.CfnAlarm).alarmName as string);
    this.service.enableDeploymentAlarms(names, { behavior: ecs.AlarmBehavior.ROLLBACK_ON_ALARM });
    this.service.node.addDependency(...alarms);
  }

  /** Out: HTTPS to AWS (images, secrets, logs), the database, and what pushes were allowed. Nothing else, either way. */
  private createSecurityGroup(props: ServiceTaskProps): ec2.SecurityGroup {
    const group = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: `${props.name}: out to AWS and the database only`,
      allowAllOutbound: false,
    });
    group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'AWS services');
    for (const port of props.egressPorts ?? []) {
      group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(port), 'What jobs push to');
    }
    allowDatabaseAccess(this, group, props.databaseSecurityGroupId);
    return group;
  }

  private createService(props: ServiceTaskProps, taskDefinition: ecs.FargateTaskDefinition): ecs.FargateService {
    return new ecs.FargateService(this, 'Service', {
      serviceName: props.name,
      cluster: props.cluster,
      taskDefinition,
      desiredCount: props.desiredCount,
      minHealthyPercent: props.minHealthyPercent,
      maxHealthyPercent: props.maxHealthyPercent,
      circuitBreaker: { enable: true, rollback: true },
      healthCheckGracePeriod: props.healthCheckGracePeriod,
      capacityProviderStrategies: capacity(props.config),
      ...taskSubnets(props.config),
      securityGroups: [this.securityGroup],
      enableExecuteCommand: !props.config.isProduction,
      enableECSManagedTags: true,
      propagateTags: ecs.PropagatedTagSource.SERVICE,
    });
  }
}

/**
 * An update makes a new revision. CloudFormation would deregister the one before, and ECS takes no inactive one: the quick
 * way back would be gone. Kept ones cost nothing.
 */
function keepRevisions(task: ecs.FargateTaskDefinition): void {
  const { cfnOptions } = task.node.defaultChild as ecs.CfnTaskDefinition;
  cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
  cfnOptions.deletionPolicy = CfnDeletionPolicy.DELETE;
}

/** The library gives no right to a key that it did not make. */
function letReadSecrets(task: ecs.FargateTaskDefinition, { kmsKey }: Config): void {
  if (kmsKey !== undefined) {
    const viaService = Fn.sub('secretsmanager.${AWS::Region}.${AWS::URLSuffix}');
    task.addToExecutionRolePolicy(
      new iam.PolicyStatement({
        actions: ['kms:Decrypt'],
        resources: [kmsKey],
        conditions: { StringEquals: { 'kms:ViaService': viaService } },
      }),
    );
  }
}

/** Without root and capabilities a process may listen below 1024 only where the kernel lets everybody. */
function lowPort(port = FIRST_FREE_PORT): ecs.SystemControl[] | undefined {
  return port < FIRST_FREE_PORT
    ? [{ namespace: 'net.ipv4.ip_unprivileged_port_start', value: String(port) }]
    : undefined;
}

/**
 * Always a strategy, never a launch type: going from one to the other would
 * replace the service, and its name is taken. On Spot a task may be stopped
 * with two minutes' notice; production keeps its first task on demand.
 */
function capacity(config: Config): ecs.CapacityProviderStrategy[] {
  const onDemand = { capacityProvider: 'FARGATE' };
  const spot = { capacityProvider: 'FARGATE_SPOT', weight: 1 };
  if (!config.spot) {
    return [{ ...onDemand, weight: 1 }];
  }
  return config.isProduction ? [{ ...onDemand, base: 1, weight: 0 }, spot] : [spot];
}
