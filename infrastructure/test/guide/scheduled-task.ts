import assert from 'node:assert/strict';
import { loadConfig } from '../../config/load.ts';
import { PRICES } from '../../tools/prices.ts';
import { section } from '../support/sentence.ts';
import { REQUIRED, synth } from '../support/synth.ts';
import { all, container, environment, none, one, secrets } from '../support/template.ts';
import { guideNames, plain, production, scheduled } from '../support/variants.ts';
import { accepts, refuses } from './accepts.ts';

const template = (which = scheduled()) => which.template('scheduled-task');
const task = (which = scheduled()) => one(template(which), 'AWS::ECS::TaskDefinition').Properties;
const service = (which = scheduled()) => one(template(which), 'AWS::ECS::Service').Properties;

function nothingInbound(): void {
  none(template(), 'AWS::ElasticLoadBalancingV2::LoadBalancer');
  none(template(), 'AWS::ElasticLoadBalancingV2::TargetGroup');
  none(template(), 'AWS::ElasticLoadBalancingV2::Listener');
  assert.deepEqual(service().LoadBalancers ?? [], []);
}

function sameSize(): void {
  const api = one(scheduled().template('compute'), 'AWS::ECS::TaskDefinition').Properties;
  assert.deepEqual([task().Cpu, task().Memory], ['256', '512']);
  assert.deepEqual([task().Cpu, task().Memory], [api.Cpu, api.Memory]);
}

function onlyWhenDefined(): void {
  assert.ok(!plain().stackNames.includes('millrace-dev-scheduled-task'));
  assert.ok(scheduled().stackNames.includes('millrace-dev-scheduled-task'));
}

const exactlyOne = (): void => {
  assert.equal(service().DesiredCount, 1);
  assert.deepEqual(
    [service().DeploymentConfiguration.MinimumHealthyPercent, service().DeploymentConfiguration.MaximumPercent],
    [0, 100],
    'the old task stops before the new one starts',
  );
};

export const scheduledTask = section('Scheduled Task Stack', {
  'Purpose: Runs background tasks and scheduled jobs using the same application image without HTTP load balancer overhead.':
    () => {
      const api = container(scheduled().template('compute'));
      assert.deepEqual(container(template()).Image, api.Image);
      nothingInbound();
    },
  'Task Definition: Fargate task identical to main application but configured for scheduled tasks': () => {
    const api = container(scheduled().template('compute'));
    const own = container(template());
    assert.deepEqual([api.Command, own.Command], [['api'], ['scheduler']]);
    for (const key of ['Image', 'User', 'ReadonlyRootFilesystem', 'HealthCheck', 'StopTimeout', 'LinuxParameters']) {
      assert.deepEqual(own[key], api[key], key);
    }
    assert.deepEqual(task().RequiresCompatibilities, ['FARGATE']);
  },
  'ECS Service: Runs exactly 1 instance (or 0 when disabled) for background job processing': exactlyOne,
  'Security Group: Restrictive egress-only rules (no inbound HTTP traffic needed)': () => {
    const group = one(template(), 'AWS::EC2::SecurityGroup');
    assert.equal(group.Properties.SecurityGroupIngress, undefined);
    const inbound = all(template(), 'AWS::EC2::SecurityGroupIngress').filter(({ Properties }) =>
      JSON.stringify(Properties.GroupId).includes(group.id),
    );
    assert.deepEqual(inbound, []);
    assert.equal(container(template()).PortMappings, undefined);
    assert.equal(one(template(), 'AWS::EC2::SecurityGroupEgress').Properties.ToPort, 5432);
    assert.deepEqual(
      group.Properties.SecurityGroupEgress.map(({ ToPort }: { ToPort: number }) => ToPort),
      [443],
    );
  },
  'CloudWatch Log Group: Separate logging for scheduled task output': () => {
    assert.equal(one(template(), 'AWS::Logs::LogGroup').Properties.LogGroupName, '/ecs/millrace-scheduler-dev');
  },
  'No Load Balancer: Direct container execution without HTTP routing': nothingInbound,
  'Resources are only created when `CDK_SCHEDULE_TASK_CLEANUP_CRON` is defined': [
    'Or when something else needs a scheduler: a further cron (`…_AGGREGATE_CRON`, `…_REPORT_CRON`, `…_MAINTENANCE_CRON`), `CDK_APP_IMAGE`, `CDK_SCHEDULER_EGRESS_PORTS` or `CDK_SCHEDULER=true`.',
    () => {
      onlyWhenDefined();
      for (const job of ['AGGREGATE', 'REPORT', 'MAINTENANCE']) {
        assert.equal(loadConfig({ ...REQUIRED, [`CDK_SCHEDULE_TASK_${job}_CRON`]: '@daily' }).hasScheduledTasks, true);
      }
    },
  ],
  'Service desired count: 1 when scheduled tasks enabled, 0 when disabled': [
    'Disabled, there is no service at all.',
    () => {
      assert.equal(service().DesiredCount, 1);
      onlyWhenDefined();
    },
  ],
  'Cost-effective: No ALB, Target Groups, or HTTP listeners required': nothingInbound,
  "CDK_SCHEDULE_TASK_CLEANUP_CRON = '0 2 * * *'; // Daily at 2 AM (optional)": () =>
    assert.equal(environment(template()).SCHEDULE_TASK_CLEANUP_CRON, '0 2 * * *'),
  'CDK_SCHEDULER_TASK_MEMORY_MB = 512; // Task memory in MB (default: 512)': () => {
    assert.equal(task().Memory, '512');
    const set = synth({ CDK_SCHEDULE_TASK_CLEANUP_CRON: '@daily', CDK_SCHEDULER_TASK_MEMORY_MB: '1024' });
    assert.equal(task(set).Memory, '1024');
  },
  'CDK_SCHEDULER_TASK_CPU_UNITS = 256; // Task CPU units (default: 256)': () => {
    assert.equal(task().Cpu, '256');
    const set = synth({
      CDK_SCHEDULE_TASK_CLEANUP_CRON: '@daily',
      CDK_SCHEDULER_TASK_MEMORY_MB: '1024',
      CDK_SCHEDULER_TASK_CPU_UNITS: '512',
    });
    assert.equal(task(set).Cpu, '512');
  },
  '`SCHEDULE_TASK_CLEANUP_CRON`: Cron expression for task scheduling': () =>
    assert.equal(environment(template()).SCHEDULE_TASK_CLEANUP_CRON, '0 2 * * *'),
  '`NODE_ENV=production`: Production mode': () => assert.equal(environment(template()).NODE_ENV, 'production'),
  '`LOGGING_LEVEL`: Configured logging level': () => {
    const set = synth({ CDK_SCHEDULE_TASK_CLEANUP_CRON: '@daily', CDK_APP_LOGGING_LEVEL: 'warn' });
    assert.equal(environment(template(set)).LOGGING_LEVEL, 'warn');
  },
  '`LOGGING_FORMAT=json`: JSON logging format': () => assert.equal(environment(template()).LOGGING_FORMAT, 'json'),
  'Database connection secrets (same as main application)': [
    'And no JWT secret: the scheduler signs nothing.',
    () => {
      const { JWT_SECRET, ...api } = secrets(scheduled().template('compute'));
      assert.ok(JWT_SECRET);
      assert.deepEqual(secrets(template()), api);
    },
  ],
  'Database cleanup tasks Data aggregation jobs Batch processing operations Maintenance routines Report generation': [
    'Each with a cron of its own; imports are started by users.',
    () => {
      const crons = { CLEANUP: '0 2 * * *', AGGREGATE: '15 * * * *', REPORT: '0 6 * * MON', MAINTENANCE: '@weekly' };
      const set = synth(
        Object.fromEntries(Object.entries(crons).map(([job, cron]) => [`CDK_SCHEDULE_TASK_${job}_CRON`, cron])),
      );
      const given = environment(template(set));
      for (const [job, cron] of Object.entries(crons)) {
        assert.equal(given[`SCHEDULE_TASK_${job}_CRON`], cron);
      }
    },
  ],
});

export const scheduledTaskNotes = section('Scheduled Task Variables: Notes', {
  'When `CDK_SCHEDULE_TASK_CLEANUP_CRON` is not set: No scheduled task resources are created': () => {
    for (const { template: stack } of plain().assembly.stacks) {
      assert.ok(!JSON.stringify(stack.Resources).includes('millrace-scheduler-dev'));
    }
  },
  'When `CDK_SCHEDULE_TASK_CLEANUP_CRON` is set: Scheduled task service runs with desired count = 1': exactlyOne,
  'The `hasScheduledTasks` derived property automatically controls resource creation': () => {
    assert.equal(plain().config.hasScheduledTasks, false);
    assert.equal(scheduled().config.hasScheduledTasks, true);
  },
  'Verify `CDK_SCHEDULE_TASK_CLEANUP_CRON` is set if tasks are expected': () => {
    assert.ok(Object.keys(environment(template())).includes('SCHEDULE_TASK_CLEANUP_CRON'));
    assert.ok(!JSON.stringify(plain().assembly.stacks.map((stack) => stack.template)).includes('_CRON'));
  },
  'Cron format: `"minute hour day month day-of-week"` (e.g., `"0 2 * * *"` = daily at 2 AM)': () => {
    accepts('CDK_SCHEDULE_TASK_CLEANUP_CRON', '0 2 * * *', '*/5 * * * *', '30 1 1 JAN MON', '0 0 2 * * *');
    refuses('CDK_SCHEDULE_TASK_CLEANUP_CRON', '0 2 * *', '60 2 * * *', '0 2 30 2 *', 'daily');
  },
});

export const scheduledTaskCosts = section('Scheduled Task Costs', {
  'Conditional Deployment: Resources only created when `CDK_SCHEDULE_TASK_CLEANUP_CRON` is defined': onlyWhenDefined,
  'No Load Balancer: Eliminates ALB costs (~$16-22/month) for background tasks': () => {
    nothingInbound();
    const month = [0, 1].map((lcu) => 730 * (PRICES.loadBalancerHour + lcu * PRICES.loadBalancerLcuHour));
    assert.deepEqual(month.map(Math.floor), [16, 22], 'idle, and at one capacity unit');
  },
  'Single Instance: Runs exactly 1 Fargate task when enabled (configurable CPU/memory)': exactlyOne,
  'Default Configuration: 256 CPU / 512 MB memory (same as main application)': sameSize,
  'Development: Leave `CDK_SCHEDULE_TASK_CLEANUP_CRON` unset to avoid costs': () =>
    assert.equal(plain().stackNames.length, 4),
  'Resource Sharing: Uses same ECR images, VPC, and database as main application': () => {
    const api = scheduled().template('compute');
    assert.deepEqual(container(template()).Image, container(api).Image);
    assert.deepEqual(secrets(template()).DB_HOST, secrets(api).DB_HOST);
    assert.deepEqual(
      service().NetworkConfiguration.AwsvpcConfiguration.Subnets,
      one(api, 'AWS::ECS::Service').Properties.NetworkConfiguration.AwsvpcConfiguration.Subnets,
    );
  },
});

export const scheduledTaskIssues = section('Troubleshooting: Scheduled Task Issues', {
  'Check scheduled task service desired count (should be 1 when enabled, 0 when disabled)': exactlyOne,
  'Review scheduled task logs in separate log group: `/ecs/{appName}-scheduler-{environment}`': () => {
    const name = one(template(guideNames()), 'AWS::Logs::LogGroup').Properties.LogGroupName;
    assert.equal(name, '/ecs/nestjs-playground-scheduler-dev');
    const logging = container(template()).LogConfiguration.Options['awslogs-group'];
    assert.deepEqual(logging, { Ref: one(template(), 'AWS::Logs::LogGroup').id });
  },
  'Ensure scheduled task service has database connectivity': () => {
    const group = one(template(production()), 'AWS::EC2::SecurityGroup').id;
    const [ingress] = all(template(production()), 'AWS::EC2::SecurityGroupIngress');
    assert.deepEqual(ingress?.Properties.SourceSecurityGroupId, { 'Fn::GetAtt': [group, 'GroupId'] });
    assert.equal(ingress?.Properties.FromPort, 5432);
  },
  'Verify cron expression format is valid': () => refuses('CDK_SCHEDULE_TASK_CLEANUP_CRON', '0 25 * * *', '* * * *'),
});
