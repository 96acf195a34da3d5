import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { section } from '../support/sentence.ts';
import { synth } from '../support/synth.ts';
import { alarm, all, container, environment, one } from '../support/template.ts';
import { everything, plain, production, scheduled } from '../support/variants.ts';

const runbook = () => readFileSync(join(import.meta.dirname, '../../docs/runbook.md'), 'utf8');
const compute = () => scheduled().template('compute');
const scheduler = () => scheduled().template('scheduled-task');

function overEightyPercent(role: 'api' | 'scheduler', metric: string, name: string): void {
  const found = alarm(role === 'api' ? compute() : scheduler(), `millrace-dev-${role}-${name}`);
  assert.deepEqual(
    [found.Namespace, found.MetricName, found.Threshold, found.ComparisonOperator],
    ['AWS/ECS', metric, 80, 'GreaterThanThreshold'],
  );
}

export const applicationMonitoring = section('Application Monitoring', {
  'Health Checks: ALB health checks on `/v1/health` endpoint (main application)': () => {
    const check = one(compute(), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;
    assert.deepEqual(
      [
        check.HealthCheckPath,
        check.HealthCheckIntervalSeconds,
        check.HealthCheckTimeoutSeconds,
        check.HealthyThresholdCount,
        check.UnhealthyThresholdCount,
      ],
      ['/v1/health', 15, 5, 2, 3],
    );
    assert.ok(check.HealthCheckTimeoutSeconds < check.HealthCheckIntervalSeconds);
  },
  'Container Logs: Centralized logging in CloudWatch for both main and scheduled task services': () => {
    for (const template of [compute(), scheduler()]) {
      const { LogDriver, Options } = container(template).LogConfiguration;
      assert.equal(LogDriver, 'awslogs');
      assert.deepEqual(Options['awslogs-group'], { Ref: one(template, 'AWS::Logs::LogGroup').id });
      assert.deepEqual([Options['awslogs-stream-prefix']], container(template).Command);
    }
  },
  'Container Insights: ECS cluster-level metrics for all services': () => {
    const cluster = one(compute(), 'AWS::ECS::Cluster').Properties;
    assert.deepEqual(cluster.ClusterSettings, [{ Name: 'containerInsights', Value: 'enabled' }]);
    assert.match(JSON.stringify(one(scheduler(), 'AWS::ECS::Service').Properties.Cluster), /compute:.*Cluster/);
  },
  'Scheduled Task Logs: Separate log group (`/ecs/{appName}-scheduler-{environment}`) for background job output': () =>
    assert.equal(one(scheduler(), 'AWS::Logs::LogGroup').Properties.LogGroupName, '/ecs/millrace-scheduler-dev'),
  'Custom Metrics: Application-specific metrics via CloudWatch': [
    'As embedded metrics in the log (`METRICS_EMF=true`).',
    () => {
      for (const template of [compute(), scheduler()]) {
        assert.equal(environment(template).METRICS_EMF, 'true');
      }
    },
  ],
});

export const infrastructureMonitoring = section('Infrastructure Monitoring', {
  'CloudWatch Alarms: CPU, memory, and connection metrics': () => {
    overEightyPercent('api', 'CPUUtilization', 'cpu');
    overEightyPercent('api', 'MemoryUtilization', 'memory');
    const connections = alarm(plain().template('database'), 'millrace-dev-database-connections');
    assert.equal(connections.MetricName, 'DatabaseConnections');
    assert.equal(connections.Threshold, 151, 'four fifths of the 189 connections of one ACU');
    assert.equal(alarm(plain().template('database'), 'millrace-dev-database-cpu').Threshold, 80);
  },
  'AWS X-Ray: Distributed tracing (optional)': [
    'The AWS distribution of the OpenTelemetry collector runs beside each container and passes Millrace’s spans on to X-Ray.',
    () => {
      for (const type of ['compute', 'scheduled-task'] as const) {
        const names = (which = scheduled()) =>
          one(which.template(type), 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions.map(
            ({ Name }: { Name: string }) => Name,
          );
        assert.deepEqual(names(), ['millrace']);
        assert.deepEqual(names(everything()), ['millrace', 'otel-collector']);
      }
    },
  ],
  'VPC Flow Logs: Network traffic analysis (optional)': () => {
    assert.equal(all(plain().template('network'), 'AWS::EC2::FlowLog').length, 0);
    assert.equal(one(everything().template('network'), 'AWS::EC2::FlowLog').Properties.TrafficType, 'ALL');
  },
});

export const alerting = section('Alerting Strategy', {
  'High CPU utilization (>80%) for both main and scheduled task services': () => {
    overEightyPercent('api', 'CPUUtilization', 'cpu');
    overEightyPercent('scheduler', 'CPUUtilization', 'cpu');
    overEightyPercent('scheduler', 'MemoryUtilization', 'memory');
  },
  'Database connection failures': [
    'Three signs: failure and failover events of the database, connections running out, and lines of a service that lost its connection or got none.',
    () => {
      for (const [template, role] of [
        [compute(), 'api'],
        [scheduler(), 'scheduler'],
      ] as const) {
        assert.equal(alarm(template, `millrace-dev-${role}-database-lost`).MetricName, `${role}-database-failures`);
        const filter = all(template, 'AWS::Logs::MetricFilter').find(
          ({ Properties }) => Properties.MetricTransformations[0].MetricName === `${role}-database-failures`,
        );
        assert.equal(
          filter?.Properties.FilterPattern,
          '{ ($.message = "database connection lost") || ($.message = "database not reached yet") || ' +
            '($.message = "the database refuses user or password") }',
        );
      }
      const event = all(plain().template('database'), 'AWS::Events::Rule').find(({ Properties }) =>
        Properties.EventPattern.source.includes('aws.rds'),
      );
      const { EventCategories } = event?.Properties.EventPattern.detail ?? {};
      assert.ok(EventCategories.includes('failure') && EventCategories.includes('failover'));
      alarm(plain().template('database'), 'millrace-dev-database-connections');
    },
  ],
  'Application health check failures (main service)': () => {
    const found = alarm(compute(), 'millrace-dev-api-unhealthy');
    assert.deepEqual([found.MetricName, found.Threshold], ['UnHealthyHostCount', 0]);
  },
  'Scheduled task failures or unexpected exits': () => {
    for (const outcome of ['dead', 'failed']) {
      alarm(scheduler(), `millrace-dev-job-runs-${outcome}`);
      const filter = all(scheduler(), 'AWS::Logs::MetricFilter').find(
        ({ Properties }) => Properties.MetricTransformations[0].MetricName === `job-runs-${outcome}`,
      );
      assert.ok(filter?.Properties.FilterPattern.includes(`$.outcome = "${outcome}"`));
    }
    const exits = all(scheduler(), 'AWS::Events::Rule').find(({ Properties }) =>
      Properties.EventPattern.source.includes('aws.ecs'),
    )?.Properties.EventPattern;
    assert.deepEqual(exits['detail-type'], ['ECS Task State Change']);
    assert.deepEqual(exits.detail.group, ['service:millrace-scheduler-dev']);
    assert.deepEqual(exits.detail.lastStatus, ['STOPPED']);
    assert.ok(exits.detail.$or[0].stopCode.includes('EssentialContainerExited'));
  },
  'High error rates in logs (both services)': () => {
    for (const [template, role] of [
      [compute(), 'api'],
      [scheduler(), 'scheduler'],
    ] as const) {
      const found = alarm(template, `millrace-dev-${role}-errors`);
      assert.equal(found.MetricName, `${role}-error-lines`);
      const filter = all(template, 'AWS::Logs::MetricFilter').find(
        ({ Properties }) => Properties.MetricTransformations[0].MetricName === found.MetricName,
      );
      assert.equal(filter?.Properties.FilterPattern, '{ $.level = "error" }');
      assert.deepEqual(
        [found.Namespace, 'millrace/dev'],
        ['millrace/dev', filter?.Properties.MetricTransformations[0].MetricNamespace],
      );
    }
  },
  'Scheduled task service not running when expected': () => {
    const found = alarm(scheduler(), 'millrace-dev-scheduler-not-running');
    assert.deepEqual(
      [found.MetricName, found.Threshold, found.ComparisonOperator, found.Period * found.EvaluationPeriods],
      ['RunningTaskCount', 1, 'LessThanThreshold', 300],
    );
    assert.equal(found.TreatMissingData, 'breaching');
  },
});

export const backups = section('Backup Strategy', {
  'Automated daily backups (7-day retention)': [
    'One day outside production, as the section on costs says.',
    () => {
      const cluster = (which = production()) => one(which.template('database'), 'AWS::RDS::DBCluster').Properties;
      assert.equal(cluster().BackupRetentionPeriod, 7);
      assert.equal(cluster(synth({ CDK_ENVIRONMENT: 'qa' })).BackupRetentionPeriod, 1);
    },
  ],
  'Point-in-time recovery available': [
    'Aurora offers it for as long as backups are kept, which is at least a day.',
    () => assert.ok(one(plain().template('database'), 'AWS::RDS::DBCluster').Properties.BackupRetentionPeriod >= 1),
  ],
  'Cross-region snapshots for production': () => {
    const [rule] = one(production().template('database'), 'AWS::Backup::BackupPlan').Properties.BackupPlan
      .BackupPlanRule;
    assert.match(JSON.stringify(rule.CopyActions[0].DestinationBackupVaultArn), /:backup:us-west-2:/);
    assert.equal(rule.CopyActions[0].Lifecycle.DeleteAfterDays, 35);
    assert.equal(all(plain().template('database'), 'AWS::Backup::BackupPlan').length, 0);
  },
});

export const recovery = section('Recovery Procedures', {
  'aws rds restore-db-cluster-to-point-in-time': [
    'The identifier is `${appName}-${environment}`; the runbook has the whole command.',
    () => {
      const { DBClusterIdentifier } = one(plain().template('database'), 'AWS::RDS::DBCluster').Properties;
      assert.equal(DBClusterIdentifier, 'millrace-dev');
      const command = /^ *aws rds restore-db-cluster-to-point-in-time .*$/m.exec(runbook())?.[0] ?? '';
      for (const option of ['--source-db-cluster-identifier', '--db-cluster-identifier', '--restore-to-time']) {
        assert.ok(command.includes(` ${option} `), option);
      }
    },
  ],
  '--task-definition nestjs-playground-dev:previous-revision': () => {
    const which = synth({ CDK_APP_NAME: 'nestjs-playground' });
    assert.equal(one(which.template('compute'), 'AWS::ECS::TaskDefinition').Properties.Family, 'nestjs-playground-dev');
    assert.match(runbook(), /^aws ecs update-service --cluster \S+ --service \S+ --task-definition \S+:\d+$/m);
  },
});
