/** Beyond the guide: the collector. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alarm, alarmNames, environment, type Json, one, SERVICES, type ServiceType, statements } from '../support/template.ts';
import { everything, scheduled } from '../support/variants.ts';

describe('tracing', () => {
  const task = (type: ServiceType, which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::TaskDefinition').Properties;

  const sidecar = (type: ServiceType) =>
    task(type, everything()).ContainerDefinitions.find(({ Name }: Json) => Name === 'otel-collector');
  it('CDK_XRAY adds a collector that may send to X-Ray and nothing else', () => {
    for (const type of SERVICES) {
      const collector = sidecar(type);
      assert.match(collector.Image, /^public\.ecr\.aws\/aws-observability\/aws-otel-collector:v\d+\.\d+\.\d+$/);
      assert.deepEqual([collector.Essential, collector.ReadonlyRootFilesystem], [false, true]);
      assert.deepEqual(collector.HealthCheck.Command, ['CMD', '/healthcheck']);
      assert.ok(collector.MemoryReservation <= collector.Memory && collector.Memory < 512);
      assert.deepEqual(collector.PortMappings ?? [], [], 'only the task itself may send spans');
      const actions = (which = scheduled()) =>
        statements(which.template(type))
          .flatMap(({ Action }) => Action)
          .filter((action: string) => action.startsWith('xray:'))
          .sort();
      assert.deepEqual(actions(everything()), ['xray:PutTelemetryRecords', 'xray:PutTraceSegments']);
      assert.deepEqual(actions(), []);
    }
  });
  it('an alarm rings when the collector takes no spans, where there is one', () => {
    for (const [type, role] of [['compute', 'api'], ['scheduled-task', 'scheduler']] as const) {
      const name = `millrace-dev-${role}-spans-dropped`;
      const { Namespace, MetricName, Dimensions, Threshold, Period, EvaluationPeriods } = alarm(everything().template(type), name);
      assert.deepEqual([Namespace, MetricName, Threshold, Period * EvaluationPeriods], ['Millrace', 'SpansDropped', 0, 900]);
      assert.ok(Dimensions.some(({ Name, Value }: Json) => Name === 'Role' && Value === role));
      assert.ok(!alarmNames(scheduled().template(type)).includes(name));
    }
  });
  it('the collector listens where the application sends', () => {
    for (const type of SERVICES) {
      const collector = sidecar(type);
      const config = JSON.parse(collector.Environment.find(({ Name }: Json) => Name === 'AOT_CONFIG_CONTENT').Value);
      const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME } = environment(everything().template(type));
      assert.equal(OTEL_EXPORTER_OTLP_ENDPOINT, `http://${config.receivers.otlp.protocols.http.endpoint}`);
      assert.equal(OTEL_SERVICE_NAME, type === 'compute' ? 'millrace-dev' : 'millrace-scheduler-dev');
      const { extensions, pipelines } = config.service;
      assert.deepEqual(Object.keys(pipelines), ['traces']);
      for (const [part, names] of Object.entries<string[]>({ ...pipelines.traces, extensions })) {
        assert.deepEqual(Object.keys(config[part]), names, part);
      }
      assert.deepEqual(pipelines.traces.exporters, ['awsxray']);
      assert.ok(config.processors.memory_limiter.limit_mib < collector.Memory);
      assert.equal(environment(scheduled().template(type)).OTEL_EXPORTER_OTLP_ENDPOINT, undefined);
    }
  });
});
