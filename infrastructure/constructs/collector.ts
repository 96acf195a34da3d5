/**
 * The AWS distribution of the OpenTelemetry collector beside the application:
 * spans in by OTLP on a port that only the task sees, out to X-Ray over 443.
 */
import { Duration } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import { COLLECTOR_HEALTH_PORT, COLLECTOR_PORT } from '../config/ports.ts';

/** AWS publishes it outside any account, so there is no repository of ours to pull it from. */
const IMAGE = 'public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3';

export const COLLECTOR_URL = `http://127.0.0.1:${COLLECTOR_PORT}`;

/** It refuses spans before the kernel would kill it; what it refuses the application sends again, or drops. */
const MEMORY_MIB = 192;
const MEMORY_OF_SPANS_MIB = 128;

/** YAML 1.2 has JSON in it. */
export const COLLECTOR_CONFIG = {
  extensions: { health_check: { endpoint: `127.0.0.1:${COLLECTOR_HEALTH_PORT}` } },
  receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${COLLECTOR_PORT}` } } } },
  processors: {
    memory_limiter: { check_interval: '1s', limit_mib: MEMORY_OF_SPANS_MIB, spike_limit_mib: 32 },
    batch: { timeout: '5s', send_batch_size: 256 },
  },
  exporters: { awsxray: {} },
  service: {
    extensions: ['health_check'],
    pipelines: { traces: { receivers: ['otlp'], processors: ['memory_limiter', 'batch'], exporters: ['awsxray'] } },
  },
};

export function addCollector(task: ecs.FargateTaskDefinition, logGroup: LogGroup): void {
  task.addContainer('otel-collector', {
    image: ecs.ContainerImage.fromRegistry(IMAGE),
    // Traces are worth less than requests: the task outlives its collector.
    essential: false,
    cpu: 64,
    memoryReservationMiB: 64,
    memoryLimitMiB: MEMORY_MIB,
    readonlyRootFilesystem: true,
    environment: { AOT_CONFIG_CONTENT: JSON.stringify(COLLECTOR_CONFIG) },
    healthCheck: {
      command: ['CMD', '/healthcheck'],
      interval: Duration.seconds(15),
      timeout: Duration.seconds(5),
      retries: 3,
      startPeriod: Duration.seconds(30),
    },
    logging: ecs.LogDrivers.awsLogs({ logGroup, streamPrefix: 'otel' }),
  });
  // X-Ray has no resources to name: these actions know only `*`.
  task.addToTaskRolePolicy(
    new iam.PolicyStatement({ actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], resources: ['*'] }),
  );
}
