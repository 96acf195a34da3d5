/** Beyond the guide: what rings, and whom it tells. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Environment } from '../../config/load.ts';
import type { Template } from 'aws-cdk-lib/assertions';
import { synth, type Synthesized, warnings } from '../support/synth.ts';
import { alarm, alarmNames, all, type Json, none, one, SERVICES } from '../support/template.ts';
import { everything, plain, production, replica, scheduled } from '../support/variants.ts';

describe('alarms', () => {
  const eventRule = (template: Template, name: string, baseName = 'millrace-dev'): Json =>
    all(template, 'AWS::Events::Rule').find(({ Properties }) => Properties.Name === `${baseName}-${name}`)?.Properties;
  const everyAlarm = (which = scheduled()) =>
    which.assembly.stacks.flatMap(({ template }) =>
      Object.values<Json>(template.Resources)
        .filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
        .map(({ Properties }) => Properties),
    );

  /** Name: what is measured, how, over how long, and what rings. */
  const EXPECTED = [
    'api-5xx: AWS/ApplicationELB HTTPCode_Target_5XX_Count Sum of 1 × 300 s > 10',
    'api-cpu: AWS/ECS CPUUtilization Average of 3 × 300 s > 80',
    'api-database-lost: millrace/dev api-database-failures Sum of 1 × 300 s > 0',
    'api-errors: millrace/dev api-error-lines Sum of 1 × 300 s > 10',
    'api-latency: AWS/ApplicationELB TargetResponseTime p95 of 3 × 300 s > 1',
    'api-memory: AWS/ECS MemoryUtilization Average of 3 × 300 s > 80',
    'api-restart-failed: AWS/States ExecutionsFailed Sum of 1 × 300 s > 0',
    'api-unhealthy: AWS/ApplicationELB UnHealthyHostCount Maximum of 2 × 300 s > 0',
    'database-capacity: AWS/RDS ACUUtilization Average of 3 × 300 s > 90',
    'database-connections: AWS/RDS DatabaseConnections Maximum of 1 × 300 s > 151',
    'database-cpu: AWS/RDS CPUUtilization Average of 3 × 300 s > 80',
    'job-runs-dead: millrace/dev job-runs-dead Sum of 1 × 300 s > 0',
    'job-runs-failed: millrace/dev job-runs-failed Sum of 1 × 300 s > 0',
    'load-balancer-5xx: AWS/ApplicationELB HTTPCode_ELB_5XX_Count Sum of 1 × 300 s > 10',
    'queue-age: Millrace QueueOldest Maximum of 1 × 300 s > 900000',
    'queue-runs-dead: Millrace QueueRunsDied Sum of 1 × 300 s > 0',
    'scheduler-cpu: AWS/ECS CPUUtilization Average of 3 × 300 s > 80',
    'scheduler-database-lost: millrace/dev scheduler-database-failures Sum of 1 × 300 s > 0',
    'scheduler-errors: millrace/dev scheduler-error-lines Sum of 1 × 300 s > 10',
    'scheduler-memory: AWS/ECS MemoryUtilization Average of 3 × 300 s > 80',
    'scheduler-not-running: ECS/ContainerInsights RunningTaskCount Minimum of 5 × 60 s < 1',
    'scheduler-restart-failed: AWS/States ExecutionsFailed Sum of 1 × 300 s > 0',
  ];

  it('every alarm: what it measures, over how long, and at what it rings', () => {
    const found = everyAlarm().map((one) => {
      const how = `${one.Statistic ?? one.ExtendedStatistic} of ${one.EvaluationPeriods} × ${one.Period} s`;
      const sign = { GreaterThanThreshold: '>', LessThanThreshold: '<' }[one.ComparisonOperator as string];
      const name = one.AlarmName.replace('millrace-dev-', '');
      return `${name}: ${one.Namespace} ${one.MetricName} ${how} ${sign} ${one.Threshold}`;
    });
    assert.deepEqual(found.sort(), EXPECTED);
  });
  it('in prd an alarm rings when no task is healthy, and when no data comes', () => {
    const down = alarm(production().template('compute'), 'millrace-prd-api-down');
    assert.deepEqual(
      [down.MetricName, down.ComparisonOperator, down.Threshold, down.TreatMissingData],
      ['HealthyHostCount', 'LessThanThreshold', 1, 'breaching'],
    );
    assert.ok(!alarmNames(plain().template('compute')).includes('millrace-dev-api-down'), 'others may sleep');
  });
  it('each watches the service, cluster or load balancer in its name', () => {
    const services: Record<string, string> = { api: 'millrace-dev', scheduler: 'millrace-scheduler-dev' };
    for (const type of SERVICES) {
      const role = type === 'compute' ? 'api' : 'scheduler';
      const template = scheduled().template(type);
      const service = one(template, 'AWS::ECS::Service');
      assert.equal(service.Properties.ServiceName, services[role]);
      for (const kind of ['cpu', 'memory']) {
        const { Dimensions } = alarm(template, `millrace-dev-${role}-${kind}`);
        const of = Dimensions.find(({ Name }: Json) => Name === 'ServiceName').Value;
        assert.deepEqual(of, { 'Fn::GetAtt': [service.id, 'Name'] });
      }
    }
    const running = alarm(scheduled().template('scheduled-task'), 'millrace-dev-scheduler-not-running');
    assert.equal(running.Dimensions.find(({ Name }: Json) => Name === 'ServiceName').Value, 'millrace-scheduler-dev');
    const { id } = one(plain().template('database'), 'AWS::RDS::DBCluster');
    for (const name of ['capacity', 'connections', 'cpu']) {
      const { Dimensions } = alarm(plain().template('database'), `millrace-dev-database-${name}`);
      assert.deepEqual(Dimensions, [{ Name: 'DBClusterIdentifier', Value: { Ref: id } }]);
    }
  });
  it('every log metric counts one for each line, is zero otherwise, and has an alarm', () => {
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const counted = all(template, 'AWS::Logs::MetricFilter').map(({ Properties }) => {
        assert.deepEqual(Properties.LogGroupName, { Ref: one(template, 'AWS::Logs::LogGroup').id });
        const [{ MetricValue, DefaultValue, MetricName }] = Properties.MetricTransformations;
        assert.deepEqual([MetricValue, DefaultValue], ['1', 0]);
        return MetricName;
      });
      const watched = all(template, 'AWS::CloudWatch::Alarm')
        .filter(({ Properties }) => Properties.Namespace === 'millrace/dev')
        .map(({ Properties }) => Properties.MetricName);
      assert.deepEqual(counted.sort(), watched.sort());
    }
  });
  it('synthesis warns of a log level that silences alarms', () => {
    const warned = (level: string) =>
      synth({ CDK_APP_LOGGING_LEVEL: level })
        .assembly.getStackByName('millrace-dev-compute')
        .messages.filter(({ entry }) => /CDK_APP_LOGGING_LEVEL/.test(String(entry.data))).length;
    assert.deepEqual([warned('error'), warned('warn')], [1, 0]);
  });
  it('database events come from this cluster and its instances only', () => {
    const template = replica().template('database');
    const rule = eventRule(template, 'database-events');
    const members = [
      one(template, 'AWS::RDS::DBCluster').id,
      ...all(template, 'AWS::RDS::DBInstance').map(({ id }) => id),
    ];
    assert.deepEqual(
      rule.EventPattern.detail.SourceIdentifier,
      members.map((id) => ({ Ref: id })),
    );
    assert.deepEqual(rule.EventPattern['detail-type'], ['RDS DB Cluster Event', 'RDS DB Instance Event']);
    assert.match(JSON.stringify(rule.Targets), /AlarmsTopic/);
  });
  it('a failed rotation sends a message, and in prd a failed backup', () => {
    const rotation = eventRule(plain().template('database'), 'database-rotation-failed');
    assert.deepEqual(rotation.EventPattern.detail.eventName, ['RotationFailed']);
    assert.match(JSON.stringify(rotation.EventPattern.detail.additionalEventData.SecretId), /SecretAttachment/);
    const template = production().template('database');
    const backup = eventRule(template, 'backup-failed', 'millrace-prd');
    assert.deepEqual(backup.EventPattern['detail-type'], ['Backup Job State Change', 'Copy Job State Change']);
    assert.ok(backup.EventPattern.detail.state.includes('FAILED'));
    const { id } = one(template, 'AWS::RDS::DBCluster');
    assert.ok(JSON.stringify(backup.EventPattern.detail.resourceArn).includes(`{"Ref":"${id}"}`));
    for (const { Targets } of [rotation, backup]) {
      assert.match(JSON.stringify(Targets), /AlarmsTopic/);
    }
  });
  it('each notifies the one topic when it rings and when it stops, and says what is wrong', () => {
    const topic = one(scheduled().template('network'), 'AWS::SNS::Topic');
    assert.equal(topic.Properties.TopicName, 'millrace-dev-alarms');
    for (const { AlarmActions, OKActions, AlarmDescription, AlarmName } of everyAlarm()) {
      assert.match(JSON.stringify(AlarmActions), new RegExp(`${topic.id}`), AlarmName);
      assert.deepEqual(OKActions, AlarmActions);
      assert.match(AlarmDescription, /\.$/);
    }
  });
  it('the topic accepts alarms and events of this account only, over TLS only', () => {
    const { Statement } = one(plain().template('network'), 'AWS::SNS::TopicPolicy').Properties.PolicyDocument;
    const services = Statement.filter(({ Effect }: Json) => Effect === 'Allow').map(
      ({ Principal }: Json) => Principal.Service,
    );
    assert.ok(services.includes('cloudwatch.amazonaws.com') && services.includes('events.amazonaws.com'));
    const alarms = Statement.find(({ Principal }: Json) => Principal.Service === 'cloudwatch.amazonaws.com');
    assert.ok(alarms.Condition.StringEquals['aws:SourceAccount'], 'not those of another account');
    assert.ok(
      Statement.some(
        ({ Effect, Condition }: Json) => Effect === 'Deny' && Condition.Bool['aws:SecureTransport'] === 'false',
      ),
    );
  });
  it('synthesis warns where the alarms of prd reach nobody', () => {
    const warned = (env: Environment) => warnings(synth(env)).filter((text) => text.includes('CDK_ALARM_EMAIL')).length;
    assert.equal(warned({ CDK_ENVIRONMENT: 'prd' }), 1);
    assert.equal(warned({ CDK_ENVIRONMENT: 'prd', CDK_ALARM_EMAIL: 'oncall@example.com' }), 0);
    assert.equal(warned({}), 0);
  });
  it('alarms go to an e-mail address if one is set', () => {
    none(plain().template('network'), 'AWS::SNS::Subscription');
    const { Protocol, Endpoint } = one(everything().template('network'), 'AWS::SNS::Subscription').Properties;
    assert.deepEqual([Protocol, Endpoint], ['email', 'oncall@example.com']);
  });
  it('target 5xx, load balancer 5xx and p95 latency', () => {
    const template = plain().template('compute');
    assert.equal(alarm(template, 'millrace-dev-api-5xx').MetricName, 'HTTPCode_Target_5XX_Count');
    assert.equal(alarm(template, 'millrace-dev-load-balancer-5xx').MetricName, 'HTTPCode_ELB_5XX_Count');
    const latency = alarm(template, 'millrace-dev-api-latency');
    assert.deepEqual(
      [latency.MetricName, latency.ExtendedStatistic, latency.Threshold],
      ['TargetResponseTime', 'p95', 1],
    );
  });
  it('the filters for job runs match the documented log line', () => {
    const patterns = all(scheduled().template('scheduled-task'), 'AWS::Logs::MetricFilter').map(
      ({ Properties }) => Properties.FilterPattern,
    );
    assert.ok(patterns.includes('{ ($.runId = "*") && ($.outcome = "dead") }'));
    assert.ok(patterns.includes('{ ($.runId = "*") && ($.outcome = "failed") }'));
  });
  it('unexpected exits: tasks that ended by themselves or were unhealthy, not those that someone stopped', () => {
    for (const type of SERVICES) {
      const rule = all(scheduled().template(type), 'AWS::Events::Rule').find(({ Properties }) =>
        Properties.EventPattern.source.includes('aws.ecs'),
      );
      const { detail } = rule?.Properties.EventPattern ?? {};
      assert.deepEqual(detail.$or, [
        { stopCode: ['EssentialContainerExited', 'TaskFailedToStart'] },
        { stoppedReason: [{ prefix: 'Task failed ' }] },
      ]);
      const name = type === 'compute' ? 'millrace-dev' : 'millrace-scheduler-dev';
      assert.deepEqual([detail.group, detail.lastStatus], [[`service:${name}`], ['STOPPED']]);
      assert.equal(detail.clusterArn.length, 1);
      assert.match(JSON.stringify(rule?.Properties.Targets), /AlarmsTopic/);
    }
  });
  it('a service at zero tasks is silent, a missing scheduler is not', () => {
    for (const { AlarmName, TreatMissingData } of everyAlarm()) {
      const expected = AlarmName.endsWith('scheduler-not-running') ? 'breaching' : 'notBreaching';
      assert.equal(TreatMissingData, expected, AlarmName);
    }
  });
  it('one dashboard, with the scheduler when there is one', () => {
    const body = (which: Synthesized) =>
      JSON.stringify(one(which.template('compute'), 'AWS::CloudWatch::Dashboard').Properties);
    assert.match(body(scheduled()), /millrace-scheduler-dev/);
    assert.doesNotMatch(body(plain()), /millrace-scheduler-dev/);
    const titles = (which: Synthesized) =>
      [...body(which).matchAll(/\\"title\\":\\"([^"\\]+)/g)].map(([, title]) => title);
    const always = [
      'Requests',
      'Answers 5xx',
      'Seconds to answer',
      'CPU %',
      'Memory %',
      'Tasks',
      'Database CPU %',
      'Database connections',
      'Database ACU',
      'Error lines',
      'Average batch of the API',
      'Connections of clients, and database connections lost',
    ];
    assert.deepEqual(titles(plain()), always);
    assert.deepEqual(titles(scheduled()), [
      ...always,
      'Job runs by outcome',
      'Wait of the oldest due run, longest run (ms)',
      'Ticks late and missed',
      'Runs of push and pull: ready, dead, paused jobs',
      'Oldest ready run of push and pull (ms)',
      'Pushes by outcome',
    ]);
  });
});
