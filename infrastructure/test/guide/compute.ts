import assert from 'node:assert/strict';
import { section } from '../support/sentence.ts';
import { synth } from '../support/synth.ts';
import { all, container, environment, listOf, none, one, secrets, statements } from '../support/template.ts';
import { existingVpc, guideNames, plain, production, replica, scheduled } from '../support/variants.ts';

const template = (which = plain()) => which.template('compute');
const task = (which = plain()) => one(template(which), 'AWS::ECS::TaskDefinition').Properties;
const service = (which = plain()) => one(template(which), 'AWS::ECS::Service').Properties;
const scaling = (which = plain()) => one(template(which), 'AWS::ApplicationAutoScaling::ScalableTarget').Properties;
const listener = (port: number) =>
  all(template(), 'AWS::ElasticLoadBalancingV2::Listener').find(({ Properties }) => Properties.Port === port)
    ?.Properties;
const targetGroup = () => one(template(), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;

export const compute = section('Compute Stack', {
  'Purpose: Hosts the NestJS application using containerized microservices.': [
    'The application is Millrace: one image, one command for each tier.',
    () => {
      assert.equal(service().TaskDefinition.Ref, one(template(), 'AWS::ECS::TaskDefinition').id);
      assert.deepEqual(container(template()).Command, ['api']);
      assert.match(JSON.stringify(container(template()).Image), /Repository.*:1\.2\.3/);
    },
  ],
  'ECS Cluster: Managed ECS cluster with container insights': () => {
    const cluster = one(template(), 'AWS::ECS::Cluster').Properties;
    assert.deepEqual(cluster.ClusterSettings, [{ Name: 'containerInsights', Value: 'enabled' }]);
  },
  'Task Definition: Fargate task with configurable CPU and memory': () => {
    assert.deepEqual(task().RequiresCompatibilities, ['FARGATE']);
    const large = task(synth({ CDK_TASK_CPU_UNITS: '1024', CDK_TASK_MEMORY_MB: '2048' }));
    assert.deepEqual([large.Cpu, large.Memory], ['1024', '2048']);
  },
  'Service: Maintains desired instance count with rolling deployments': () => {
    const deployed = service(synth({ CDK_SERVICE_DESIRED_COUNT: '2' }));
    assert.equal(deployed.DesiredCount, 2);
    assert.equal(deployed.DeploymentConfiguration.MinimumHealthyPercent, 100);
    assert.equal(deployed.DeploymentConfiguration.MaximumPercent, 200);
  },
  'Auto Scaling: CPU-based scaling (50% threshold, configurable min/max instances)': () => {
    const { TargetTrackingScalingPolicyConfiguration: policy } = one(
      template(),
      'AWS::ApplicationAutoScaling::ScalingPolicy',
    ).Properties;
    assert.equal(policy.TargetValue, 50);
    assert.equal(policy.PredefinedMetricSpecification.PredefinedMetricType, 'ECSServiceAverageCPUUtilization');
    const set = scaling(synth({ CDK_SERVICE_MIN_CAPACITY: '2', CDK_SERVICE_MAX_CAPACITY: '10' }));
    assert.deepEqual([set.MinCapacity, set.MaxCapacity], [2, 10]);
  },
  'Application Load Balancer: Internet-facing with HTTPS termination': () => {
    const balancer = one(template(), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    assert.equal(balancer.Type, 'application');
    assert.equal(balancer.Scheme, 'internet-facing');
    assert.equal(listener(443)?.Protocol, 'HTTPS');
    assert.equal(targetGroup().Protocol, 'HTTP');
  },
  'Target Group: Health checks on `/v1/health` endpoint': () =>
    assert.equal(targetGroup().HealthCheckPath, '/v1/health'),
  'Port 443 (HTTPS): Routes to application': () => {
    const [action] = listener(443)?.DefaultActions ?? [];
    assert.equal(action.Type, 'forward');
    const { id } = one(template(), 'AWS::ElasticLoadBalancingV2::TargetGroup');
    assert.deepEqual(action.TargetGroupArn, { Ref: id });
    assert.equal(service().LoadBalancers[0].ContainerPort, 3000);
  },
  'Port 80 (HTTP): Redirects to HTTPS': () => {
    const [action] = listener(80)?.DefaultActions ?? [];
    assert.equal(action.Type, 'redirect');
    assert.deepEqual(action.RedirectConfig, { Protocol: 'HTTPS', Port: '443', StatusCode: 'HTTP_301' });
  },
  'Security Groups: Restrictive ingress/egress rules': () => {
    const own = all(template(), 'AWS::EC2::SecurityGroup').find(({ id }) => id.startsWith('Api'));
    assert.deepEqual(
      own?.Properties.SecurityGroupEgress.map(({ FromPort, ToPort }: Record<string, number>) => [FromPort, ToPort]),
      [[443, 443]],
    );
    assert.equal(own?.Properties.SecurityGroupIngress, undefined);
    const egress = all(template(), 'AWS::EC2::SecurityGroupEgress').map(({ Properties }) => Properties.ToPort);
    assert.deepEqual(egress.sort(), [3000, 5432], 'load balancer to task, task to database');
  },
  'Subnets: Application deployed in private subnets with NAT Gateway access': [
    '`CDK_VPC_NAT=false` gives this up, outside production.',
    () => {
      const { Subnets, AssignPublicIp } = service().NetworkConfiguration.AwsvpcConfiguration;
      assert.equal(Subnets.length, 2);
      assert.ok(Subnets.every((id: unknown) => JSON.stringify(id).includes('privateSubnet')));
      assert.equal(AssignPublicIp, 'DISABLED');
    },
  ],
});

export const computeDefaults = section('Compute Stack: Configuration', {
  'CDK_APP_PORT = 3000;': () => {
    assert.equal(container(template()).PortMappings[0].ContainerPort, 3000);
    const other = synth({ CDK_APP_PORT: '8080' });
    assert.equal(container(template(other)).PortMappings[0].ContainerPort, 8080);
    assert.equal(environment(template(other)).APP_PORT, '8080');
  },
  'CDK_APP_LOGGING_LEVEL = debug;': [
    'The guide’s table of variables says that the default is `info`.',
    () => {
      assert.equal(environment(template()).LOGGING_LEVEL, 'info');
      assert.equal(environment(template(synth({ CDK_APP_LOGGING_LEVEL: 'debug' }))).LOGGING_LEVEL, 'debug');
    },
  ],
  'CDK_APP_JWT_EXPIRES_IN = 1h; // JWT token expiration time': () =>
    assert.equal(environment(template()).JWT_EXPIRES_IN, '1h'),
  'CDK_TASK_MEMORY_MB = 512; // Task memory in MB (configurable)': () => assert.equal(task().Memory, '512'),
  'CDK_TASK_CPU_UNITS = 256; // Task CPU units (configurable)': () => assert.equal(task().Cpu, '256'),
  'CDK_SERVICE_DESIRED_COUNT = 0; // Initial desired count (configurable)': () =>
    assert.equal(service().DesiredCount, 0),
  'CDK_SERVICE_MIN_CAPACITY = 0; // Auto scaling minimum (configurable)': () => assert.equal(scaling().MinCapacity, 0),
  'CDK_SERVICE_MAX_CAPACITY = 4; // Auto scaling maximum (configurable)': () => assert.equal(scaling().MaxCapacity, 4),
});

export const injected = section('Environment Variables Injected into Compute Containers', {
  "NODE_ENV: 'production';": () => assert.equal(environment(template()).NODE_ENV, 'production'),
  "APP_PORT: '3000';": () => assert.equal(environment(template()).APP_PORT, '3000'),
  "LOGGING_LEVEL: 'debug'; // or configured level": () =>
    assert.equal(environment(template(synth({ CDK_APP_LOGGING_LEVEL: 'debug' }))).LOGGING_LEVEL, 'debug'),
  "LOGGING_FORMAT: 'json';": () => assert.equal(environment(template()).LOGGING_FORMAT, 'json'),
  "CORS_ALLOWED_ORIGIN: '*'; // or configured origins": () => {
    assert.equal(environment(template()).CORS_ALLOWED_ORIGIN, '*');
    const origins = 'https://app.com,http://localhost:3000';
    const set = synth({ CDK_APP_CORS_ALLOWED_ORIGIN: origins });
    assert.equal(environment(template(set)).CORS_ALLOWED_ORIGIN, origins);
  },
  "JWT_EXPIRES_IN: '1h'; // JWT token expiration from CDK_APP_JWT_EXPIRES_IN": () => {
    assert.equal(environment(template()).JWT_EXPIRES_IN, '1h');
    assert.equal(environment(template(synth({ CDK_APP_JWT_EXPIRES_IN: '7d' }))).JWT_EXPIRES_IN, '7d');
  },
  "DB_HOST: 'cluster endpoint'; // from Aurora Secrets Manager": () =>
    assert.match(secrets(template()).DB_HOST ?? '', /millrace-dev-database:.*SecretAttachment.*:host::/),
  "DB_PORT: '5432'; // from Aurora Secrets Manager": () =>
    assert.match(secrets(template()).DB_PORT ?? '', /SecretAttachment.*:port::/),
  "DB_USER: 'postgres'; // from Aurora Secrets Manager": () =>
    assert.match(secrets(template()).DB_USER ?? '', /SecretAttachment.*:username::/),
  "DB_PASS: 'auto-generated'; // from Aurora Secrets Manager": () =>
    assert.match(secrets(template()).DB_PASS ?? '', /SecretAttachment.*:password::/),
  "DB_DATABASE: 'nestjs_playground'; // from Aurora Secrets Manager": () =>
    assert.match(secrets(template()).DB_DATABASE ?? '', /SecretAttachment.*:dbname::/),
  "DB_HOST_READ_ONLY: 'read endpoint'; // from Read Replica Secrets Manager (optional)": () => {
    assert.match(secrets(template(replica())).DB_HOST_READ_ONLY ?? '', /ReadOnlySecret.*:host::/);
    assert.equal(secrets(template()).DB_HOST_READ_ONLY, undefined);
  },
  "JWT_SECRET: 'secure-jwt-secret'; // from Parameter Store: /nestjs-playground/jwt-secret": () => {
    assert.match(secrets(template(guideNames())).JWT_SECRET ?? '', /:ssm:.*:parameter\/nestjs-playground\/jwt-secret/);
    assert.match(secrets(template()).JWT_SECRET ?? '', /:ssm:.*:parameter\/millrace\/jwt-secret/);
  },
});

export const applicationSecurity = section('Application Security', {
  'HTTPS Only: SSL termination at load balancer with HTTP→HTTPS redirect': () => {
    const ports = all(template(), 'AWS::ElasticLoadBalancingV2::Listener').map(({ Properties }) => Properties.Port);
    assert.deepEqual(ports.sort(), [443, 80]);
    assert.equal(listener(80)?.DefaultActions[0].Type, 'redirect');
    assert.match(listener(443)?.SslPolicy, /^ELBSecurityPolicy-TLS13-1-2-/);
  },
  'Container Security: Regular image scanning and minimal base images': [
    'ECR scans each push; the container has no root, no capabilities and a read-only file system.',
    () => {
      const { ReadonlyRootFilesystem, User, LinuxParameters } = container(template());
      assert.deepEqual([ReadonlyRootFilesystem, User], [true, '65532']);
      assert.deepEqual(LinuxParameters.Capabilities, { Drop: ['ALL'] });
    },
  ],
  'Secrets Management: Database credentials in AWS Secrets Manager, JWT secrets in Systems Manager Parameter Store':
    () => {
      const given = secrets(template());
      assert.deepEqual(Object.keys(given).sort(), [
        'DB_DATABASE',
        'DB_HOST',
        'DB_PASS',
        'DB_PORT',
        'DB_USER',
        'JWT_SECRET',
      ]);
      const plainNames = Object.keys(environment(template()));
      assert.deepEqual(
        plainNames.filter((name) => /PASS|SECRET|TOKEN|KEY/.test(name)),
        [],
      );
    },
  'JWT Authentication: JWT secret stored securely in `/nestjs-playground/jwt-secret` Parameter Store parameter': () => {
    for (const { template: stack } of guideNames().assembly.stacks) {
      const made = Object.values<{ Type: string }>(stack.Resources).filter(
        ({ Type }) => Type === 'AWS::SSM::Parameter',
      );
      assert.deepEqual(made, [], 'made by hand, never by a template');
    }
    assert.match(secrets(template(guideNames())).JWT_SECRET ?? '', /nestjs-playground\/jwt-secret/);
  },
  'IAM Roles: Least privilege access for ECS tasks and Parameter Store access': () => {
    for (const which of [scheduled(), production()]) {
      for (const type of ['compute', 'scheduled-task'] as const) {
        for (const { Action, Resource } of statements(which.template(type))) {
          assert.ok(!listOf<string>(Action).some((action) => action.endsWith('*')), JSON.stringify(Action));
          if (listOf(Resource).includes('*')) {
            assert.match(listOf<string>(Action).join(), /^(ecr:GetAuthorizationToken|ssmmessages:|logs:Describe)/);
          }
        }
      }
    }
    const parameter = statements(template()).filter(({ Action }) =>
      listOf<string>(Action).includes('ssm:GetParameters'),
    );
    assert.equal(parameter.length, 1);
    assert.match(JSON.stringify(parameter[0].Resource), /parameter\/millrace\/jwt-secret/);
  },
});

export const computeCosts = section('Compute Costs', {
  'Fargate Pricing: Pay only for running containers': () => {
    assert.deepEqual(service().CapacityProviderStrategy, [{ CapacityProvider: 'FARGATE', Weight: 1 }]);
  },
  'Configurable Resources: Adjust `CDK_TASK_MEMORY_MB` and `CDK_TASK_CPU_UNITS` based on needs': () => {
    const large = task(synth({ CDK_TASK_CPU_UNITS: '512', CDK_TASK_MEMORY_MB: '1024' }));
    assert.deepEqual([large.Cpu, large.Memory], ['512', '1024']);
  },
  'Default Configuration: 256 CPU / 512 MB memory for development workloads': () =>
    assert.deepEqual([task().Cpu, task().Memory], ['256', '512']),
  'Auto Scaling: Configure `CDK_SERVICE_MIN_CAPACITY` and `CDK_SERVICE_MAX_CAPACITY` for optimal cost/performance':
    () => {
      const set = scaling(synth({ CDK_SERVICE_MIN_CAPACITY: '1', CDK_SERVICE_MAX_CAPACITY: '3' }));
      assert.deepEqual([set.MinCapacity, set.MaxCapacity], [1, 3]);
    },
  'Desired Count: Start with `CDK_SERVICE_DESIRED_COUNT=0` for development to minimize costs': () =>
    assert.equal(service().DesiredCount, 0),
  'Log Retention: 1-week retention (non-prod) / 1-month retention (production)': () => {
    for (const [which, days] of [
      [scheduled(), 7],
      [synth({ CDK_ENVIRONMENT: 'qa', CDK_SCHEDULE_TASK_CLEANUP_CRON: '0 2 * * *' }), 7],
      [production(), 30],
    ] as const) {
      const groups = which.assembly.stacks.flatMap(({ template: stack }) =>
        Object.values<{ Type: string; Properties: { RetentionInDays: number } }>(stack.Resources).filter(
          ({ Type }) => Type === 'AWS::Logs::LogGroup',
        ),
      );
      assert.deepEqual(
        groups.map(({ Properties }) => Properties.RetentionInDays),
        which === production() ? [days, days, days, days, days] : [days, days, days, days],
        'database, rotation, API, scheduler, and in production the firewall',
      );
    }
  },
});

export const networkCosts = section('Network Costs', {
  'Existing Resources: Leverages existing VPC and certificates': () => {
    none(existingVpc().template('network'), 'AWS::EC2::NatGateway');
    none(existingVpc().template('network'), 'AWS::CertificateManager::Certificate');
  },
  'NAT Gateway: Shared across subnets': [
    'One in dev and qa; production has one for each zone.',
    () => {
      one(plain().template('network'), 'AWS::EC2::NatGateway');
      assert.equal(all(production().template('network'), 'AWS::EC2::NatGateway').length, 2);
    },
  ],
  'CloudWatch: Minimal monitoring configuration': () => {
    const dashboards = plain().assembly.stacks.flatMap(({ template: stack }) =>
      Object.values<{ Type: string }>(stack.Resources).filter(({ Type }) => Type === 'AWS::CloudWatch::Dashboard'),
    );
    assert.equal(dashboards.length, 1, 'three are free, one is enough');
  },
});
