/** Beyond the guide: how the two services run and are deployed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RESUME_SECONDS, WAKING_REQUEST_SECONDS } from '../../constructs/container-settings.ts';
import { synth } from '../support/synth.ts';
import { all, attributes, container, environment, type Json, one, SERVICES, type ServiceType } from '../support/template.ts';
import { everything, matrix, pausing, plain, production, scheduled } from '../support/variants.ts';

describe('services', () => {
  const service = (type: ServiceType, which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::Service').Properties;
  const task = (type: ServiceType, which = scheduled()) =>
    one(which.template(type), 'AWS::ECS::TaskDefinition').Properties;

  it('circuit breaker with rollback', () => {
    for (const type of SERVICES) {
      const { DeploymentCircuitBreaker } = service(type).DeploymentConfiguration;
      assert.deepEqual(DeploymentCircuitBreaker, { Enable: true, Rollback: true });
    }
  });
  it('ECS rolls a deployment back when its alarms ring, and the alarms exist before the service', () => {
    const alarms = { compute: ['api-5xx', 'api-errors'], 'scheduled-task': ['scheduler-errors'] };
    for (const type of SERVICES) {
      const template = scheduled().template(type);
      const { DependsOn, Properties } = one(template, 'AWS::ECS::Service');
      const names = alarms[type].map((name) => `millrace-dev-${name}`);
      assert.deepEqual(Properties.DeploymentConfiguration.Alarms, { AlarmNames: names, Enable: true, Rollback: true });
      for (const name of names) {
        const made = all(template, 'AWS::CloudWatch::Alarm').find((each) => each.Properties.AlarmName === name);
        assert.ok(DependsOn?.includes(made?.id ?? 'missing'), name);
      }
    }
  });
  it('an update leaves the previous revision active, because ECS rolls back to no inactive one', () => {
    for (const type of SERVICES) {
      const { UpdateReplacePolicy, DeletionPolicy } = one(scheduled().template(type), 'AWS::ECS::TaskDefinition');
      assert.deepEqual([UpdateReplacePolicy, DeletionPolicy], ['Retain', 'Delete']);
    }
  });
  it('the cluster knows Fargate before the service exists, and until it is gone', () => {
    const template = plain().template('compute');
    const association = one(template, 'AWS::ECS::ClusterCapacityProviderAssociations').id;
    assert.ok(one(template, 'AWS::ECS::Service').DependsOn?.includes(association));
  });
  it('keepCount leaves the number of tasks as it is', () => {
    const kept = synth({ CDK_SERVICE_DESIRED_COUNT: '2' }, '1.2.3', { keepCount: 'true' });
    assert.ok(!('DesiredCount' in one(kept.template('compute'), 'AWS::ECS::Service').Properties));
    const set = synth({ CDK_SERVICE_DESIRED_COUNT: '2' }, '1.2.3', { keepCount: 'false' });
    assert.equal(one(set.template('compute'), 'AWS::ECS::Service').Properties.DesiredCount, 2);
    assert.throws(() => synth({}, '1.2.3', { keepCount: 'maybe' }), /keepCount=maybe: expected true or false/);
  });
  it('scaling adds tasks after one minute and takes them away after five', () => {
    const { TargetTrackingScalingPolicyConfiguration: policy } = one(
      plain().template('compute'),
      'AWS::ApplicationAutoScaling::ScalingPolicy',
    ).Properties;
    assert.deepEqual([policy.ScaleOutCooldown, policy.ScaleInCooldown], [60, 300]);
  });
  it('the logs of prd survive its stacks; others go with them', () => {
    for (const [which, policy] of [
      [production(), 'Retain'],
      [everything(), 'Delete'],
    ] as const) {
      const groups = which.assembly.stacks.flatMap(({ template }) =>
        Object.values<Json>(template.Resources).filter(({ Type }) => Type === 'AWS::Logs::LogGroup'),
      );
      assert.ok(groups.length >= 4);
      assert.ok(groups.every(({ DeletionPolicy }) => DeletionPolicy === policy));
    }
  });
  it('outside prd nothing stays when its stack goes, and nothing that is full or protected stops it', () => {
    // What CloudFormation keeps or copies unless it is told otherwise.
    const kept = ['AWS::RDS::DBCluster', 'AWS::RDS::DBInstance', 'AWS::SecretsManager::Secret', 'AWS::Logs::LogGroup', 'AWS::ECR::Repository'];
    for (const make of Object.values(matrix).filter((make) => !make().config.isProduction)) {
      for (const { template } of make().assembly.stacks) {
        for (const [id, { Type, DeletionPolicy, Properties }] of Object.entries<Json>(template.Resources)) {
          assert.ok(DeletionPolicy === 'Delete' || (DeletionPolicy === undefined && !kept.includes(Type)), `${id} ${DeletionPolicy}`);
          assert.ok(Type !== 'AWS::S3::Bucket' && Type !== 'AWS::Backup::BackupVault', `${id} has to be empty`);
          assert.ok(Type !== 'AWS::ECR::Repository' || Properties.EmptyOnDelete === true, id);
          assert.ok(!Properties?.DeletionProtection, id);
        }
      }
    }
  });
  it('the unprivileged user may listen on a port below 1024', () => {
    const low = container(synth({ CDK_APP_PORT: '80' }).template('compute'));
    assert.deepEqual(low.SystemControls, [{ Namespace: 'net.ipv4.ip_unprivileged_port_start', Value: '80' }]);
    for (const type of SERVICES) {
      assert.equal(container(scheduled().template(type)).SystemControls, undefined);
    }
  });
  it('the API trusts one hop, the load balancer, and keeps listening while that stops sending', () => {
    const { TRUST_PROXY_HOPS, SHUTDOWN_DELAY } = environment(plain().template('compute'));
    assert.deepEqual([TRUST_PROXY_HOPS, SHUTDOWN_DELAY], ['1', '5s']);
  });
  it('metrics carry the environment', () => {
    for (const type of SERVICES) {
      assert.equal(environment(scheduled().template(type)).METRICS_ENVIRONMENT, 'millrace-dev');
    }
    const { DashboardBody } = one(scheduled().template('compute'), 'AWS::CloudWatch::Dashboard').Properties;
    const shown = [...JSON.stringify(DashboardBody).matchAll(/\\"Millrace\\",\\"\w+\\",([^\]]*?)\\"Role/g)];
    assert.ok(shown.length >= 12);
    assert.ok(shown.every(([, dimension]) => dimension === '\\"Environment\\",\\"millrace-dev\\",'));
  });
  it('60 s to stop, within the 120 s that Fargate allows; 30 s to leave the load balancer; 60 s to start', () => {
    for (const type of SERVICES) {
      const { StopTimeout } = container(scheduled().template(type));
      assert.equal(StopTimeout, 60);
    }
    const group = one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;
    assert.equal(attributes(group.TargetGroupAttributes)['deregistration_delay.timeout_seconds'], '30');
    assert.equal(service('compute').HealthCheckGracePeriodSeconds, 60);
  });
  it('the container’s health check runs /usr/bin/millrace health', () => {
    for (const type of SERVICES) {
      const check = container(scheduled().template(type)).HealthCheck;
      assert.deepEqual(check, {
        Command: ['CMD', '/usr/bin/millrace', 'health'],
        Interval: 15,
        Timeout: 5,
        Retries: 3,
        StartPeriod: 60,
      });
      assert.ok(check.Timeout < check.Interval);
    }
  });
  it('read-only root, user 65532, no capabilities', () => {
    for (const type of SERVICES) {
      const { ReadonlyRootFilesystem, User, LinuxParameters, Privileged } = container(scheduled().template(type));
      assert.deepEqual([ReadonlyRootFilesystem, User, Privileged ?? false], [true, '65532', false]);
      assert.deepEqual(LinuxParameters.Capabilities, { Drop: ['ALL'] });
    }
  });
  it('ECS Exec outside prd only, with volumes that its agent may write to', () => {
    for (const type of SERVICES) {
      assert.equal(service(type).EnableExecuteCommand, true);
      const points = container(scheduled().template(type)).MountPoints;
      assert.deepEqual(
        points.map(({ ContainerPath }: Json) => ContainerPath),
        ['/managed-agents', '/var/lib/amazon/ssm', '/var/log/amazon/ssm'],
      );
      assert.ok(points.every(({ ReadOnly }: Json) => ReadOnly === false));
      assert.equal(service(type, production()).EnableExecuteCommand ?? false, false);
      assert.equal(container(production().template(type)).MountPoints, undefined);
      assert.equal(task(type, production()).Volumes, undefined);
    }
  });
  it('CDK_SPOT runs tasks on Fargate Spot; in prd the first stays on demand', () => {
    for (const type of SERVICES) {
      assert.deepEqual(service(type, everything()).CapacityProviderStrategy, [
        { CapacityProvider: 'FARGATE_SPOT', Weight: 1 },
      ]);
      assert.deepEqual(service(type, everything('prd')).CapacityProviderStrategy, [
        { Base: 1, CapacityProvider: 'FARGATE', Weight: 0 },
        { CapacityProvider: 'FARGATE_SPOT', Weight: 1 },
      ]);
      assert.equal(service(type, everything()).LaunchType, undefined);
    }
    const association = one(plain().template('compute'), 'AWS::ECS::ClusterCapacityProviderAssociations').Properties;
    assert.deepEqual(association.CapacityProviders, ['FARGATE', 'FARGATE_SPOT']);
  });
  it('CDK_ARM64 runs tasks on Graviton', () => {
    for (const type of SERVICES) {
      assert.equal(task(type).RuntimePlatform.CpuArchitecture, 'X86_64');
      assert.equal(task(type, everything()).RuntimePlatform.CpuArchitecture, 'ARM64');
    }
  });
  it('a request waits while the database resumes, and the load balancer waits for the request', () => {
    assert.ok(WAKING_REQUEST_SECONDS >= RESUME_SECONDS + 5);
    assert.equal(environment(pausing().template('compute')).GATEWAY_REQUEST_TIMEOUT, `${WAKING_REQUEST_SECONDS}s`);
    assert.equal(environment(scheduled().template('compute')).GATEWAY_REQUEST_TIMEOUT, undefined);
    assert.equal(environment(pausing().template('scheduled-task')).GATEWAY_REQUEST_TIMEOUT, undefined);
    const balancer = one(pausing().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    const idle = Number(attributes(balancer.LoadBalancerAttributes)['idle_timeout.timeout_seconds']);
    assert.ok(idle > WAKING_REQUEST_SECONDS, `the load balancer gives up after ${idle} s`);
  });
  it('no name is longer than AWS accepts', () => {
    const longest = synth({ CDK_APP_NAME: 'a'.repeat(20), CDK_ENVIRONMENT: 'prd' });
    const balancer = one(longest.template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    assert.ok(balancer.Name.length <= 32);
    assert.ok(
      one(longest.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.Name.length <= 32,
    );
    const { functionName } = one(longest.template('database'), 'AWS::Serverless::Application').Properties.Parameters;
    assert.ok(functionName.length <= 64);
  });
});
