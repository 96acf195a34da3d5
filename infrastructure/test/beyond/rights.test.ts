/** Beyond the guide: who may read and do what. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { synth, type Synthesized, warnings } from '../support/synth.ts';
import { all, container, type Json, listOf, one, SERVICES, type ServiceType, statements } from '../support/template.ts';
import { everything, matrix, plain, production, scheduled } from '../support/variants.ts';

describe('secrets and rights', () => {
  const task = (type: ServiceType, which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::TaskDefinition').Properties;

  it('with CDK_APP_JWT_ROTATION the API accepts tokens of the previous secret', () => {
    const template = everything().template('compute');
    const own = container(template).Secrets.find(({ Name }: Json) => Name === 'JWT_SECRET_PREVIOUS');
    assert.match(JSON.stringify(own?.ValueFrom), /:ssm:.*:parameter\/millrace\/dev\/jwt-secret-previous/);
    const readable = statements(template)
      .filter(({ Action }) => listOf<string>(Action).includes('ssm:GetParameters'))
      .flatMap(({ Resource }) => listOf<Json>(Resource).map((arn) => JSON.stringify(arn)));
    assert.equal(readable.length, 2);
    assert.ok(readable.every((arn) => /parameter\/millrace\/dev\/jwt-secret/.test(arn)));
    const names = (which: Synthesized) =>
      container(which.template('compute')).Secrets.map(({ Name }: Json) => Name);
    assert.ok(!names(plain()).includes('JWT_SECRET_PREVIOUS'));
  });
  it('CDK_APP_JWT_PER_ENVIRONMENT gives each environment its secret; synthesis warns who shares an account without it', () => {
    const template = everything().template('compute');
    const given = JSON.stringify(container(template).Secrets);
    assert.match(given, /parameter\/millrace\/dev\/jwt-secret"/);
    assert.match(given, /parameter\/millrace\/dev\/jwt-secret-previous"/);
    const warned = (env: Record<string, string>) =>
      warnings(synth(env)).filter((text) => /CDK_APP_JWT_PER_ENVIRONMENT/.test(text)).length;
    assert.equal(warned({ CDK_ECR_SHARED: 'true', CDK_ENVIRONMENT: 'qa' }), 1);
    assert.equal(warnings(everything()).filter((text) => /CDK_APP_JWT_PER_ENVIRONMENT/.test(text)).length, 0);
    assert.equal(warned({}), 0);
  });
  it('only the execution role reads secrets', () => {
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const roleOf = (arn: Json): string => arn['Fn::GetAtt'][0];
      const execution = roleOf(task(type).ExecutionRoleArn);
      const readers = all(template, 'AWS::IAM::Policy')
        .filter(({ Properties }) => /secretsmanager:GetSecretValue|ssm:GetParameter/.test(JSON.stringify(Properties)))
        .flatMap(({ Properties }) => Properties.Roles.map(({ Ref }: Json) => Ref));
      assert.deepEqual(readers, [execution]);
      assert.notEqual(execution, roleOf(task(type).TaskRoleArn));
    }
  });
  it('in prd the application has no rights in AWS', () => {
    for (const type of SERVICES) {
      const template = production().template(type);
      const role = task(type, production()).TaskRoleArn['Fn::GetAtt'][0];
      const policies = all(template, 'AWS::IAM::Policy').filter(({ Properties }) =>
        Properties.Roles.some(({ Ref }: Json) => Ref === role),
      );
      assert.deepEqual(policies, []);
    }
  });
  it('a statement covers * only where the action supports nothing narrower', () => {
    const narrowest = new Set([
      'ecr:GetAuthorizationToken',
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
      'logs:DescribeLogGroups',
      'xray:PutTraceSegments',
      'xray:PutTelemetryRecords',
    ]);
    for (const make of Object.values(matrix)) {
      for (const { stackName } of make().assembly.stacks) {
        const type = stackName.slice(make().config.baseName.length + 1) as 'compute';
        const wide = statements(make().template(type)).filter(({ Resource }) => listOf(Resource).includes('*'));
        const actions = wide.flatMap(({ Action }) => listOf<string>(Action));
        assert.deepEqual(
          actions.filter((action) => !narrowest.has(action)),
          [],
        );
      }
    }
  });
  it('a rotated password restarts the service', () => {
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const rule = all(template, 'AWS::Events::Rule').find(({ Properties }) =>
        Properties.EventPattern.source.includes('aws.secretsmanager'),
      )?.Properties;
      assert.deepEqual(rule?.EventPattern.detail.eventName, ['RotationSucceeded']);
      assert.match(JSON.stringify(rule?.EventPattern.detail.additionalEventData.SecretId), /SecretAttachment/);
      const machine = one(template, 'AWS::StepFunctions::StateMachine');
      assert.deepEqual(rule?.Targets[0].Arn, { Ref: machine.id });
      const steps = JSON.stringify(machine.Properties.DefinitionString);
      assert.match(steps, /aws-sdk:ecs:updateService/);
      assert.match(steps, /ForceNewDeployment\\+":true/);
      const { ServiceName } = one(template, 'AWS::ECS::Service').Properties;
      assert.match(steps, new RegExp(`Service\\\\+":\\\\+"${ServiceName}\\\\+"`));
      assert.match(steps, /"MaxAttempts\\+":5/, 'ECS may be busy: it is asked again');
      const [statement] = statements(template).filter(({ Action }) => Action === 'ecs:UpdateService');
      assert.deepEqual(statement.Resource, { Ref: one(template, 'AWS::ECS::Service').id });
    }
  });
});
