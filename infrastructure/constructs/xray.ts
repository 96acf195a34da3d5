/** The X-Ray daemon beside the application: segments in on 2000/udp, out to AWS over 443. */
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';

/** AWS publishes it outside any account, so there is no repository of ours to pull it from. */
const IMAGE = 'public.ecr.aws/xray/aws-xray-daemon:3.x';

export function addXrayDaemon(task: ecs.FargateTaskDefinition, logGroup: LogGroup): void {
  task.addContainer('xray-daemon', {
    image: ecs.ContainerImage.fromRegistry(IMAGE),
    // Traces are worth less than requests: the task outlives its daemon.
    essential: false,
    cpu: 32,
    memoryReservationMiB: 64,
    readonlyRootFilesystem: true,
    portMappings: [{ containerPort: 2000, protocol: ecs.Protocol.UDP }],
    logging: ecs.LogDrivers.awsLogs({ logGroup, streamPrefix: 'xray' }),
  });
  // X-Ray has no resources to name: these actions know only `*`.
  task.addToTaskRolePolicy(
    new iam.PolicyStatement({
      actions: [
        'xray:PutTraceSegments',
        'xray:PutTelemetryRecords',
        'xray:GetSamplingRules',
        'xray:GetSamplingTargets',
      ],
      resources: ['*'],
    }),
  );
}
