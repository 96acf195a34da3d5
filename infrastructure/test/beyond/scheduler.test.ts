/** Beyond the guide: whether there is one, and what it may call. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConfig } from '../../config/load.ts';
import { REQUIRED, synth, type Synthesized, warnings } from '../support/synth.ts';
import { all, environment, type Json, one, type ServiceType } from '../support/template.ts';
import { everything, plain, scheduled } from '../support/variants.ts';

describe('scheduler', () => {
  const task = (type: ServiceType, which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::TaskDefinition').Properties;

  it('a cron, an application’s image, ports to push to or CDK_SCHEDULER=true start one', () => {
    const has = (env: Record<string, string>) => loadConfig({ ...REQUIRED, ...env }).hasScheduledTasks;
    assert.equal(has({}), false);
    assert.equal(has({ CDK_SCHEDULER: 'auto' }), false);
    assert.equal(has({ CDK_SCHEDULER: 'true' }), true);
    assert.equal(has({ CDK_SCHEDULE_TASK_REPORT_CRON: '@weekly' }), true);
    assert.equal(has({ CDK_SCHEDULER_EGRESS_PORTS: '8443' }), true);
    assert.equal(has({ CDK_APP_IMAGE: '123456789012.dkr.ecr.us-east-1.amazonaws.com/shop' }), true);
    const forced = synth({ CDK_SCHEDULER: 'true' });
    assert.ok(forced.stackNames.includes('millrace-dev-scheduled-task'));
    const crons = Object.keys(environment(forced.template('scheduled-task'))).filter((name) => /_CRON$/.test(name));
    assert.deepEqual(crons, []);
  });
  it('without one synthesis warns of what waits forever', () => {
    const about = (which: Synthesized) => warnings(which).filter((text) => /CDK_SCHEDULER=true/.test(text));
    assert.match(about(plain())[0] ?? '', /imports, jobs that are started by hand, and what a deleted user leaves/);
    assert.deepEqual(about(scheduled()), []);
  });
  it('it reaches 443, the database and the ports of CDK_SCHEDULER_EGRESS_PORTS, and nothing else', () => {
    const ports = (which: Synthesized, type: ServiceType = 'scheduled-task') => {
      const template = which.template(type);
      const group = all(template, 'AWS::EC2::SecurityGroup').find(({ id }) => /^(Api|Scheduler)/.test(id));
      const apart = all(template, 'AWS::EC2::SecurityGroupEgress').filter(({ Properties }) =>
        /(Api|Scheduler)SecurityGroup/.test(JSON.stringify(Properties.GroupId)),
      );
      return [...(group?.Properties.SecurityGroupEgress ?? []), ...apart.map(({ Properties }) => Properties)].map(
        ({ FromPort, ToPort, IpProtocol }: Json) => `${IpProtocol} ${FromPort}-${ToPort}`,
      );
    };
    assert.deepEqual(ports(scheduled()).sort(), ['tcp 443-443', 'tcp 5432-5432']);
    assert.deepEqual(ports(everything()).sort(), ['tcp 443-443', 'tcp 5432-5432', 'tcp 8443-8443']);
    assert.deepEqual(ports(everything(), 'compute').sort(), ['tcp 443-443', 'tcp 5432-5432'], 'the API pushes nothing');
  });
  it('CDK_SCHEDULE_TIMEZONE is the time zone of the crons', () => {
    assert.equal(environment(everything().template('scheduled-task')).SCHEDULE_TIMEZONE, 'Europe/Berlin');
    assert.equal(environment(scheduled().template('scheduled-task')).SCHEDULE_TIMEZONE, undefined);
  });
  it('only its task family contains `scheduler`', () => {
    assert.equal(task('compute').Family, 'millrace-dev');
    assert.equal(task('scheduled-task').Family, 'millrace-scheduler-dev');
  });
});
