/** The guide's tables of variables, row by row, and its sizing recommendations. */
import assert from 'node:assert/strict';
import { type ConfigError, type Environment, loadConfig } from '../../config/load.ts';
import { type Variable, variables } from '../../config/variables.ts';
import type { Sentence } from '../support/sentence.ts';
import { section } from '../support/sentence.ts';
import { REQUIRED, synth } from '../support/synth.ts';
import { one } from '../support/template.ts';
import { guideNames, scheduled } from '../support/variants.ts';
import { accepts, refuses } from './accepts.ts';

interface Row {
  readonly name: string;
  readonly says: string;
  readonly required?: true;
  /** The guide's default; undefined for none. */
  readonly standard?: string;
  readonly examples: readonly string[];
  readonly outside?: readonly string[];
  /** What the message of a bad value says of the range, where another rule would refuse the value too. */
  readonly range?: RegExp;
  readonly beside?: Environment;
  readonly note?: string;
}

/** The guide's names in its own words where a default of ours differs. */
const OURS = 'The default is `millrace` here, as every other name follows from it.';

const rows: Record<string, readonly Row[]> = {
  'Core Infrastructure Variables': [
    {
      name: 'CDK_ACCOUNT',
      says: 'AWS Account ID | `123456789012` | Optional',
      examples: ['123456789012'],
      outside: ['12345'],
    },
    { name: 'CDK_REGION', says: 'AWS Region | `us-east-1` | Optional', examples: ['us-east-1'], outside: ['Virginia'] },
    {
      name: 'CDK_ENVIRONMENT',
      says: 'Environment name | `dev`, `qa`, `prd` | Yes',
      required: true,
      examples: ['dev', 'qa', 'prd'],
      outside: ['prod', 'DEV'],
    },
  ],
  'Environment Variables (version 000)': [
    {
      name: 'CDK_VPC_ID',
      says: 'Existing VPC ID | `vpc-0123456789abcdef0`',
      examples: ['vpc-0123456789abcdef0'],
      outside: ['0123456789', 'vpc-xyz'],
      beside: {
        CDK_VPC_SUBNETS_PUBLIC: 'subnet-00000000000000001,subnet-00000000000000002',
        CDK_VPC_SUBNETS_PRIVATE: 'subnet-00000000000000003,subnet-00000000000000004',
        CDK_VPC_AZS: 'us-east-1a,us-east-1b',
      },
      note: 'Optional here, as version 001 no longer names it: without it the network stack creates a VPC.',
    },
  ],
  'Network & Security Variables': [
    {
      name: 'CDK_HOSTED_ZONE_ID',
      says: 'Route 53 zone ID | `Z1234567890ABC` | Yes',
      required: true,
      examples: ['Z1234567890ABC'],
      outside: ['1234', 'z123456'],
    },
    {
      name: 'CDK_HOSTED_ZONE_NAME',
      says: 'Route 53 zone name | `example.com` | Yes',
      required: true,
      examples: ['example.com'],
      outside: ['example', 'https://example.com'],
    },
    {
      name: 'CDK_DOMAIN_NAME',
      says: 'Application subdomain | `nestjs-playground-api` | Yes',
      required: true,
      examples: ['nestjs-playground-api'],
      outside: ['api.example.com', '-api'],
    },
    {
      name: 'CDK_CERTIFICATE_ARN',
      says: 'SSL certificate ARN | `arn:aws:acm:us-east-1:123...` | Yes',
      required: true,
      examples: ['arn:aws:acm:us-east-1:123456789012:certificate/1'],
      outside: ['arn:aws:iam::123456789012:role/x', 'certificate'],
    },
  ],
  'Application Variables': [
    {
      name: 'CDK_APP_NAME',
      says: 'Application name | `nestjs-playground` | `my-app`',
      standard: 'millrace',
      examples: ['my-app', 'nestjs-playground'],
      outside: ['a-name-of-more-than-20', 'My-App', '9lives', 'two--dashes', 'ends-'],
      note: OURS,
    },
    {
      name: 'CDK_APP_PORT',
      says: 'Application port | `3000` | `3000`',
      standard: '3000',
      examples: ['3000', '1', '65535'],
      outside: ['0', '65536', 'http'],
    },
    {
      name: 'CDK_APP_LOGGING_LEVEL',
      says: 'Log level | `info` | `debug`',
      standard: 'info',
      examples: ['debug', 'info', 'warn', 'error'],
      outside: ['trace'],
    },
    {
      name: 'CDK_APP_CORS_ALLOWED_ORIGIN',
      says: 'CORS allowed origins | `*` | `https://app.com,http://localhost:3000`',
      standard: '*',
      examples: ['https://app.com,http://localhost:3000'],
      outside: ['app.com', 'https://app.com/', '*,https://app.com'],
    },
    {
      name: 'CDK_APP_JWT_EXPIRES_IN',
      says: 'JWT token expiration | `1h` | `2h`, `30m`, `7d`',
      standard: '1h',
      examples: ['2h', '30m', '7d'],
      outside: ['1', '1 hour', '0h', '31d'],
    },
  ],
  'Database Variables': [
    {
      name: 'CDK_DATABASE_NAME',
      says: 'Database name | `nestjs_playground` | - | `myapp_db`',
      standard: '$CDK_APP_NAME',
      examples: ['myapp_db'],
      outside: ['my-db', '1db'],
      note: 'The default follows `CDK_APP_NAME`, with `_` for `-`: `millrace`, or `nestjs_playground`.',
    },
    {
      name: 'CDK_DATABASE_USERNAME',
      says: 'Database username | `postgres` | - | `admin`',
      standard: 'postgres',
      examples: ['postgres', 'millrace_owner'],
      outside: ['admin', 'rdsadmin', 'pg_user'],
      note: 'The example `admin` is refused: RDS reserves the word for PostgreSQL.',
    },
    {
      name: 'CDK_DATABASE_MIN_CAPACITY',
      says: 'Min Aurora ACUs | `0.5` | 0.5-16 | `1.0`',
      standard: '0.5',
      examples: ['1.0', '0.5'],
      outside: ['16.5', '0.4'],
      beside: { CDK_DATABASE_MAX_CAPACITY: '16' },
    },
    {
      name: 'CDK_DATABASE_MAX_CAPACITY',
      says: 'Max Aurora ACUs | `1` | 1-16 | `4.0`',
      standard: '1',
      examples: ['4.0', '16', '1'],
      outside: ['0.5', '17'],
    },
    {
      name: 'CDK_DATABASE_READ_REPLICA',
      says: 'Enable read replica | `false` | true/false | `true`',
      standard: 'false',
      examples: ['true', 'false'],
      outside: ['yes', '1'],
    },
  ],
  'Compute Variables': [
    {
      name: 'CDK_TASK_MEMORY_MB',
      range: /from 512 to 30720$/,
      says: 'Task memory (MB) | `512` | 512-30720 | `1024`',
      standard: '512',
      examples: ['1024', '512'],
      outside: ['511', '30721', '1000'],
    },
    {
      name: 'CDK_TASK_CPU_UNITS',
      range: /^one of 256, 512, 1024, 2048, 4096$/,
      says: 'Task CPU units | `256` | 256-4096 | `512`',
      standard: '256',
      examples: ['512', '256'],
      outside: ['128', '8192', '300'],
      beside: { CDK_TASK_MEMORY_MB: '1024' },
    },
    {
      name: 'CDK_SERVICE_DESIRED_COUNT',
      says: 'Initial service count | `0` | 0-100 | `2`',
      standard: '0',
      examples: ['2', '0', '100'],
      outside: ['-1', '101'],
      beside: { CDK_SERVICE_MAX_CAPACITY: '100' },
    },
    {
      name: 'CDK_SERVICE_MIN_CAPACITY',
      says: 'Auto scaling minimum | `0` | 0-100 | `1`',
      standard: '0',
      examples: ['1', '0', '100'],
      outside: ['-1', '101'],
      beside: { CDK_SERVICE_MAX_CAPACITY: '100' },
    },
    {
      name: 'CDK_SERVICE_MAX_CAPACITY',
      says: 'Auto scaling maximum | `4` | 1-100 | `10`',
      standard: '4',
      examples: ['10', '1', '100'],
      outside: ['0', '101'],
    },
  ],
  'Scheduled Task Variables': [
    {
      name: 'CDK_SCHEDULE_TASK_CLEANUP_CRON',
      says: 'Cron expression (optional) | - | - | `"0 2 * * *"`',
      examples: ['0 2 * * *'],
      outside: ['0 2 * *'],
    },
    {
      name: 'CDK_SCHEDULER_TASK_MEMORY_MB',
      range: /from 512 to 30720$/,
      says: 'Scheduler memory (MB) | `512` | 512-30720 | `1024`',
      standard: '512',
      examples: ['1024'],
      outside: ['511', '30721'],
    },
    {
      name: 'CDK_SCHEDULER_TASK_CPU_UNITS',
      range: /^one of 256, 512, 1024, 2048, 4096$/,
      says: 'Scheduler CPU units | `256` | 256-4096 | `512`',
      standard: '256',
      examples: ['512'],
      outside: ['128', '8192'],
      beside: { CDK_SCHEDULER_TASK_MEMORY_MB: '1024' },
    },
  ],
  'Tagging Variables': [
    {
      name: 'CDK_TAG_APP',
      says: 'Application tag | `${APP_NAME}` | `nestjs-playground`',
      standard: '$CDK_APP_NAME',
      examples: ['nestjs-playground'],
      outside: ['a\u0007b'],
    },
    {
      name: 'CDK_TAG_ENV',
      says: 'Environment tag | `${ENVIRONMENT}` | `production`',
      standard: '$CDK_ENVIRONMENT',
      examples: ['production'],
      outside: ['<prod>'],
    },
    {
      name: 'CDK_TAG_OU',
      says: 'Organizational unit | `engineering` | `backend-team`',
      standard: 'engineering',
      examples: ['backend-team'],
      outside: ['a|b'],
    },
    {
      name: 'CDK_TAG_OWNER',
      says: 'Resource owner | `team@example.com` | `john@company.com`',
      standard: 'team@example.com',
      examples: ['john@company.com'],
      outside: ['a;b'],
    },
  ],
};

const table = Object.values<Variable<unknown>>(variables);

function checkRow({ name, required, standard, examples, outside, range, beside = {} }: Row): void {
  const variable = table.find((one) => one.name === name);
  assert.ok(variable, `${name} is a variable`);
  if (required) {
    assert.throws(
      () => loadConfig({ ...REQUIRED, [name]: undefined }),
      (error: ConfigError) => error.problems[0]?.name === name && error.problems.length === 1,
    );
  } else if (name !== 'CDK_ACCOUNT' && name !== 'CDK_REGION') {
    assert.equal(variable.fallback, standard, 'default');
  }
  assert.match(variable.parser.expected, range ?? /./);
  accepts(name, ...examples, { with: beside });
  refuses(name, ...(outside ?? []), { with: beside });
}

export const variableRows: readonly Sentence[] = Object.entries(rows).flatMap(([title, list]) =>
  list.map((row) => ({
    section: title,
    says: `\`${row.name}\` | ${row.says}`,
    note: row.note,
    check: () => checkRow(row),
  })),
);

export const prefix = section('Environment Variables', {
  'All configuration uses environment variables prefixed with `CDK_`': () => {
    assert.ok(table.every(({ name }) => /^CDK_[A-Z0-9_]+$/.test(name)));
    assert.equal(new Set(table.map(({ name }) => name)).size, table.length);
  },
});

export const tagging = section('Cost Monitoring', {
  'Resource tagging for cost allocation': () => {
    const expected = { App: 'nestjs-playground', Env: 'dev', OU: 'engineering', Owner: 'team@example.com' };
    const tags = (list: { Key: string; Value: string }[]) =>
      Object.fromEntries(list.map(({ Key, Value }) => [Key, Value]));
    const which = guideNames();
    const tagged = [
      one(which.template('database'), 'AWS::RDS::DBCluster'),
      one(which.template('ecr'), 'AWS::ECR::Repository'),
      one(which.template('compute'), 'AWS::ECS::Service'),
      one(which.template('scheduled-task'), 'AWS::ECS::Service'),
      one(which.template('network'), 'AWS::EC2::NatGateway'),
    ];
    for (const { id, Properties } of tagged) {
      const found = tags(Properties.Tags);
      for (const [key, value] of Object.entries(expected)) {
        assert.equal(found[key], value, `${id}: ${key}`);
      }
    }
    for (const type of ['compute', 'scheduled-task'] as const) {
      const { PropagateTags, EnableECSManagedTags } = one(which.template(type), 'AWS::ECS::Service').Properties;
      assert.deepEqual(
        [PropagateTags, EnableECSManagedTags],
        ['SERVICE', true],
        'tasks are paid for, so they are tagged',
      );
    }
  },
});

/** The guide's three sizes, as it gives them. */
export const SIZES = {
  dev: {
    CDK_DATABASE_MIN_CAPACITY: '0.5',
    CDK_DATABASE_MAX_CAPACITY: '1',
    CDK_TASK_MEMORY_MB: '512',
    CDK_TASK_CPU_UNITS: '256',
    CDK_SERVICE_DESIRED_COUNT: '0',
    CDK_SERVICE_MIN_CAPACITY: '0',
    CDK_SERVICE_MAX_CAPACITY: '2',
  },
  qa: {
    CDK_DATABASE_MIN_CAPACITY: '0.5',
    CDK_DATABASE_MAX_CAPACITY: '2',
    CDK_TASK_MEMORY_MB: '1024',
    CDK_TASK_CPU_UNITS: '512',
    CDK_SERVICE_DESIRED_COUNT: '1',
    CDK_SERVICE_MIN_CAPACITY: '1',
    CDK_SERVICE_MAX_CAPACITY: '4',
  },
  prd: {
    CDK_DATABASE_MIN_CAPACITY: '1',
    CDK_DATABASE_MAX_CAPACITY: '8',
    CDK_TASK_MEMORY_MB: '2048',
    CDK_TASK_CPU_UNITS: '1024',
    CDK_SERVICE_DESIRED_COUNT: '2',
    CDK_SERVICE_MIN_CAPACITY: '2',
    CDK_SERVICE_MAX_CAPACITY: '10',
  },
};

function sizeHolds(environment: keyof typeof SIZES): void {
  const size = SIZES[environment];
  const which = synth({ CDK_ENVIRONMENT: environment, ...size });
  const { ServerlessV2ScalingConfiguration: capacity } = one(
    which.template('database'),
    'AWS::RDS::DBCluster',
  ).Properties;
  const task = one(which.template('compute'), 'AWS::ECS::TaskDefinition').Properties;
  const service = one(which.template('compute'), 'AWS::ECS::Service').Properties;
  const scaling = one(which.template('compute'), 'AWS::ApplicationAutoScaling::ScalableTarget').Properties;
  assert.deepEqual([capacity.MinCapacity, capacity.MaxCapacity, task.Memory, task.Cpu].map(String), [
    size.CDK_DATABASE_MIN_CAPACITY,
    size.CDK_DATABASE_MAX_CAPACITY,
    size.CDK_TASK_MEMORY_MB,
    size.CDK_TASK_CPU_UNITS,
  ]);
  assert.deepEqual([service.DesiredCount, scaling.MinCapacity, scaling.MaxCapacity].map(String), [
    size.CDK_SERVICE_DESIRED_COUNT,
    size.CDK_SERVICE_MIN_CAPACITY,
    size.CDK_SERVICE_MAX_CAPACITY,
  ]);
}

export const sizing = section('Sizing Recommendations', {
  '#### Development Environment': () => sizeHolds('dev'),
  '#### Staging/QA Environment': () => sizeHolds('qa'),
  '#### Production Environment': () => sizeHolds('prd'),
  'CPU/Memory Ratio: Maintain 1:2 ratio (e.g., 512 CPU with 1024 MB memory)': () => {
    for (const { CDK_TASK_CPU_UNITS, CDK_TASK_MEMORY_MB } of Object.values(SIZES)) {
      assert.equal(Number(CDK_TASK_MEMORY_MB), 2 * Number(CDK_TASK_CPU_UNITS));
    }
    const { config } = scheduled();
    assert.equal(config.taskMemoryMb, 2 * config.taskCpuUnits);
    assert.equal(config.schedulerTaskMemoryMb, 2 * config.schedulerTaskCpuUnits);
  },
  'Auto Scaling: Set appropriate min/max to handle traffic spikes while controlling costs': () =>
    refuses('CDK_SERVICE_MIN_CAPACITY', '5', '100'),
});
