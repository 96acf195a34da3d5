/** Configuration: every problem at once, by name; impossible combinations refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, type Environment, loadConfig } from '../config/load.ts';
import type { Problem } from '../config/rules.ts';
import { REQUIRED } from './support/synth.ts';

function problems(env: Environment): readonly Problem[] {
  try {
    loadConfig({ ...REQUIRED, ...env });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
}

function refused(env: Environment, name: string, expected: RegExp): void {
  const found = problems(env);
  assert.deepEqual(
    found.map((problem) => problem.name),
    [name],
  );
  assert.match(found[0]?.expected ?? '', expected);
}

const VPC = {
  CDK_VPC_ID: 'vpc-0123456789abcdef0',
  CDK_VPC_SUBNETS_PUBLIC: 'subnet-00000000000000001,subnet-00000000000000002',
  CDK_VPC_SUBNETS_PRIVATE: 'subnet-00000000000000003,subnet-00000000000000004',
  CDK_VPC_AZS: 'us-east-1a,us-east-1b',
};

describe('configuration: the message', () => {
  it('names every problem at once: variable, value, what is expected', () => {
    const env = {
      CDK_ENVIRONMENT: 'production',
      CDK_HOSTED_ZONE_ID: undefined,
      CDK_APP_PORT: '0',
      CDK_DATABASE_MIN_CAPACITY: '0.7',
      CDK_SCHEDULE_TASK_CLEANUP_CRON: '0 0 30 2 *',
      CDK_SERVICE_MIN_CAPACITY: '9',
    };
    assert.deepEqual(
      problems(env)
        .map(({ name }) => name)
        .sort(),
      [
        'CDK_APP_PORT',
        'CDK_DATABASE_MIN_CAPACITY',
        'CDK_ENVIRONMENT',
        'CDK_HOSTED_ZONE_ID',
        'CDK_SCHEDULE_TASK_CLEANUP_CRON',
        'CDK_SERVICE_MIN_CAPACITY',
      ],
    );
    const { message } = new ConfigError(problems(env));
    assert.match(message, /CDK_ENVIRONMENT=production: expected one of dev, qa, prd/);
    assert.match(message, /CDK_HOSTED_ZONE_ID is not set: expected a zone id such as Z1234567890ABC/);
    assert.match(message, /CDK_APP_PORT=0: expected a whole number from 1 to 65535/);
    assert.match(message, /position 5: this tick never comes: no day 30 in FEB/);
    assert.match(message, /CDK_SERVICE_MIN_CAPACITY=9: expected at most CDK_SERVICE_MAX_CAPACITY, which is 4/);
  });

  it('does not complain twice about one mistake', () => {
    assert.equal(problems({ CDK_TASK_CPU_UNITS: '257' }).length, 1);
    assert.equal(problems({ CDK_ENVIRONMENT: undefined }).length, 1, 'CDK_TAG_ENV follows from it');
    assert.equal(problems({ CDK_APP_NAME: 'My-App' }).length, 1, 'CDK_DATABASE_NAME follows from it');
  });

  it('takes an empty variable for an unset one', () => {
    assert.equal(loadConfig({ ...REQUIRED, CDK_APP_NAME: '', CDK_VPC_ID: ' ' }).appName, 'millrace');
    refused({ CDK_DOMAIN_NAME: '' }, 'CDK_DOMAIN_NAME', /one label below the zone/);
  });

  it('refuses a misspelt variable of ours and leaves those of the CDK CLI alone', () => {
    refused({ CDK_TASK_MEMORY: '1024' }, 'CDK_TASK_MEMORY', /no variable of this name/);
    assert.deepEqual(
      problems({ CDK_DEFAULT_REGION: 'us-east-1', CDK_OUTDIR: '/x', CDK_CLI_VERSION: '2', CDK_CONTEXT_JSON: '{}' }),
      [],
    );
  });
});

describe('configuration: impossible combinations', () => {
  it('database maximum equal to the minimum', () =>
    refused(
      { CDK_DATABASE_MIN_CAPACITY: '2', CDK_DATABASE_MAX_CAPACITY: '2' },
      'CDK_DATABASE_MAX_CAPACITY',
      /more than CDK_DATABASE_MIN_CAPACITY, which is 2 \(equal is refused by CDK\)/,
    ));
  it('database maximum below the minimum', () =>
    refused({ CDK_DATABASE_MIN_CAPACITY: '4' }, 'CDK_DATABASE_MAX_CAPACITY', /which is 4$/));
  it('a pause of a database that never pauses', () =>
    refused(
      { CDK_DATABASE_AUTO_PAUSE_SECONDS: '600' },
      'CDK_DATABASE_AUTO_PAUSE_SECONDS',
      /CDK_DATABASE_MIN_CAPACITY=0/,
    ));
  it('a pause out of range', () => {
    for (const seconds of ['299', '86401']) {
      refused(
        { CDK_DATABASE_MIN_CAPACITY: '0', CDK_DATABASE_AUTO_PAUSE_SECONDS: seconds },
        'CDK_DATABASE_AUTO_PAUSE_SECONDS',
        /from 300 to 86400/,
      );
    }
  });
  it('more tasks wanted than allowed', () =>
    refused(
      { CDK_SERVICE_DESIRED_COUNT: '5' },
      'CDK_SERVICE_DESIRED_COUNT',
      /at most CDK_SERVICE_MAX_CAPACITY, which is 4/,
    ));
  it('fewer tasks wanted than the minimum is fine: scaling lifts them', () =>
    assert.deepEqual(problems({ CDK_SERVICE_MIN_CAPACITY: '1' }), []));
  it('no NAT in prd, nor in an existing VPC', () => {
    refused({ CDK_VPC_NAT: 'false', CDK_ENVIRONMENT: 'prd' }, 'CDK_VPC_NAT', /true in prd/);
    refused({ ...VPC, CDK_VPC_NAT: 'false' }, 'CDK_VPC_NAT', /an existing VPC has its own way out/);
    assert.deepEqual(problems({ CDK_VPC_NAT: 'false' }), []);
  });
  it('a network that is not private, is too small, or has bits behind its mask', () => {
    for (const cidr of ['8.8.0.0/16', '10.0.0.0/21', '10.0.0.0/8', '10.0.1.0/16', '10.0.0.0', '172.32.0.0/16', '10.0.256.0/20']) {
      refused({ CDK_VPC_CIDR: cidr }, 'CDK_VPC_CIDR', /a private network such as 10\.20\.0\.0\/16/);
    }
    for (const cidr of ['10.20.0.0/16', '172.31.240.0/20', '192.168.0.0/16', '100.64.0.0/18']) {
      assert.deepEqual(problems({ CDK_VPC_CIDR: cidr }), [], cidr);
    }
  });
  it('ports that are none, or twice', () => {
    for (const ports of ['0', '65536', '80,80', '80,', 'https']) {
      refused({ CDK_SCHEDULER_EGRESS_PORTS: ports }, 'CDK_SCHEDULER_EGRESS_PORTS', /ports from 1 to 65535, each once/);
    }
  });
  it('a key or an image of another region', () => {
    const key = 'arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000000';
    refused({ CDK_KMS_KEY_ARN: key }, 'CDK_KMS_KEY_ARN', /a key in us-east-1/);
    refused({ CDK_APP_IMAGE: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop' }, 'CDK_APP_IMAGE', /in us-east-1/);
    refused({ CDK_APP_IMAGE: '123456789012.dkr.ecr.us-east-1.amazonaws.com/shop:1.0' }, 'CDK_APP_IMAGE', /without a tag/);
  });
  it('settings of an application that are none, are Millrace’s own, or look secret', () => {
    for (const settings of ['x', '[]', '{"a":"1"}', '{"A":1}', 'null']) {
      refused({ CDK_APP_SETTINGS: settings }, 'CDK_APP_SETTINGS', /an object of JSON/);
    }
    refused({ CDK_APP_SETTINGS: '{"DB_HOST":"x"}' }, 'CDK_APP_SETTINGS', /not settings of Millrace itself/);
    refused({ CDK_APP_SETTINGS: '{"SHOP_API_KEY":"x"}' }, 'CDK_APP_SETTINGS', /nothing secret/);
    assert.deepEqual(loadConfig({ ...REQUIRED, CDK_APP_SETTINGS: '{"A_B":"1, 2"}' }).appSettings, { A_B: '1, 2' });
  });
  it('a version of the database that is not one of PostgreSQL 17', () => {
    for (const version of ['17', '16.9', '17.5.1', '18.0']) {
      refused({ CDK_DATABASE_ENGINE_VERSION: version }, 'CDK_DATABASE_ENGINE_VERSION', /a minor version of PostgreSQL 17/);
    }
  });
  it('a certificate of another region', () =>
    refused({ CDK_REGION: 'eu-west-1' }, 'CDK_CERTIFICATE_ARN', /a certificate in eu-west-1/));
  it('a certificate of another account', () =>
    refused({ CDK_ACCOUNT: '210987654321' }, 'CDK_CERTIFICATE_ARN', /a certificate of account 210987654321/));
  it('an existing VPC without its lists: each is named', () => {
    const { CDK_VPC_ID } = VPC;
    assert.deepEqual(
      problems({ CDK_VPC_ID }).map(({ name }) => name),
      ['CDK_VPC_SUBNETS_PUBLIC', 'CDK_VPC_SUBNETS_PRIVATE', 'CDK_VPC_AZS'],
    );
  });
  it('lists without the VPC', () => {
    const { CDK_VPC_ID: _, ...lists } = VPC;
    assert.equal(problems(lists).length, 3);
  });
  it('one zone only', () =>
    assert.match(
      problems({ ...VPC, CDK_VPC_AZS: 'us-east-1a' })
        .map(({ expected }) => expected)
        .join(),
      /two zones or more/,
    ));
  it('zones and subnets that do not match', () =>
    refused(
      { ...VPC, CDK_VPC_SUBNETS_PUBLIC: 'subnet-00000000000000001' },
      'CDK_VPC_SUBNETS_PUBLIC',
      /one subnet for each of the 2 zones/,
    ));
  it('a zone or subnet twice, or a subnet both public and private', () => {
    refused({ ...VPC, CDK_VPC_AZS: 'us-east-1a,us-east-1a' }, 'CDK_VPC_AZS', /each once/);
    refused(
      { ...VPC, CDK_VPC_SUBNETS_PUBLIC: 'subnet-00000000000000001,subnet-00000000000000001' },
      'CDK_VPC_SUBNETS_PUBLIC',
      /each once/,
    );
    refused(
      { ...VPC, CDK_VPC_SUBNETS_PRIVATE: 'subnet-00000000000000003,subnet-00000000000000002' },
      'CDK_VPC_SUBNETS_PRIVATE',
      /not in CDK_VPC_SUBNETS_PUBLIC/,
    );
  });
  it('zones of another region', () =>
    refused({ ...VPC, CDK_VPC_AZS: 'us-west-2a,us-west-2b' }, 'CDK_VPC_AZS', /zones of us-east-1/));
  it('a backup copied to where the original is', () =>
    refused(
      { CDK_ENVIRONMENT: 'prd', CDK_BACKUP_COPY_REGION: 'us-east-1' },
      'CDK_BACKUP_COPY_REGION',
      /another region than CDK_REGION/,
    ));
  it('a port of the collector', () => {
    for (const port of ['4318', '13133']) {
      refused({ CDK_XRAY: 'true', CDK_APP_PORT: port }, 'CDK_APP_PORT', /another port than 4318 and 13133/);
    }
  });
  it('a record name longer than DNS allows', () =>
    refused(
      { CDK_HOSTED_ZONE_NAME: `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.com` },
      'CDK_DOMAIN_NAME',
      /at most 253 characters/,
    ));
});

describe('configuration: shapes', () => {
  const bad: [string, ...string[]][] = [
    ['CDK_SCHEDULE_TIMEZONE', 'Mars/Olympus', '+02:00', 'europe/berlin', 'EUROPE/BERLIN', 'utc', 'us/eastern'],
    ['CDK_APP_NAME', 'internal', 'internal-api', 'aws-tools', 'ssm', 'a'.repeat(21)],
    ['CDK_DATABASE_NAME', 'user', 'order', 'rdsadmin', 'template1', `a${'b'.repeat(63)}`],
    ['CDK_DATABASE_USERNAME', 'user', 'current_user', 'public', `a${'b'.repeat(63)}`],
    ['CDK_TAG_OU', 'aws:team', 'AWS:team', 'x'.repeat(257)],
    ['CDK_TASK_MEMORY_MB', '0x400', '1e3', '1024.0'],
    ['CDK_CERTIFICATE_ARN', 'arn:aws:acm:us-east-1:12345:certificate/1'],
    ['CDK_APP_JWT_ROTATION', 'yes'],
    ['CDK_ALARM_EMAIL', 'oncall'],
    ['CDK_VPC_FLOW_LOGS', 'on'],
    ['CDK_ARM64', 'yes'],
    ['CDK_SPOT', '1'],
    ['CDK_XRAY', 'TRUE'],
    ['CDK_ECR_SHARED', 'no'],
    ['CDK_BACKUP_COPY_REGION', 'nowhere'],
    ['CDK_SCHEDULE_TASK_REPORT_CRON', '0 6 * * FUN'],
  ];
  for (const [name, ...values] of bad) {
    it(`${name} refuses ${values.join(' and ')}`, () => {
      for (const value of values) {
        assert.deepEqual(
          problems({ [name]: value }).map((problem) => problem.name),
          [name],
        );
      }
    });
  }
});

describe('configuration: values that look odd and are good', () => {
  const good: [string, ...string[]][] = [
    ['CDK_SCHEDULE_TIMEZONE', 'UTC', 'Etc/GMT-14', 'US/Eastern', 'America/Port_of_Spain', 'Asia/Calcutta', 'EST5EDT'],
    ['CDK_APP_NAME', 'internals', 'ab', 'a'.repeat(20)],
    ['CDK_DATABASE_NAME', 'users', `a${'b'.repeat(62)}`],
    ['CDK_TAG_OWNER', 'Bücher GmbH', 'x'.repeat(256)],
    ['CDK_HOSTED_ZONE_NAME', 'api.example.co.uk'],
    ['CDK_SERVICE_DESIRED_COUNT', '4'],
  ];
  for (const [name, ...values] of good) {
    it(`${name} takes ${values.map((value) => value.slice(0, 24)).join(' and ')}`, () => {
      for (const value of values) {
        assert.deepEqual(problems({ [name]: value }), []);
      }
    });
  }
});

describe('configuration: what follows from it', () => {
  const config = (env: Environment) => loadConfig({ ...REQUIRED, ...env });

  it('account and region are those of the CDK CLI unless set', () => {
    const cli = {
      CDK_ACCOUNT: '',
      CDK_REGION: '',
      CDK_DEFAULT_ACCOUNT: '123456789012',
      CDK_DEFAULT_REGION: 'us-east-1',
    };
    assert.equal(config(cli).account, '123456789012');
    assert.equal(config(cli).region, 'us-east-1');
    assert.equal(config({ CDK_ACCOUNT: '', CDK_REGION: '' }).region, undefined);
  });
  it('the database is named after the application', () => {
    assert.equal(config({}).databaseName, 'millrace');
    assert.equal(config({ CDK_APP_NAME: 'nestjs-playground' }).databaseName, 'nestjs_playground');
    assert.equal(config({ CDK_APP_NAME: 'my-app', CDK_DATABASE_NAME: 'other' }).databaseName, 'other');
  });
  it('tags follow application and environment', () => {
    const { tagApp, tagEnv } = config({ CDK_APP_NAME: 'my-app', CDK_ENVIRONMENT: 'qa' });
    assert.deepEqual([tagApp, tagEnv], ['my-app', 'qa']);
  });
  it('backups are copied to us-west-2, or to us-east-1 from there', () => {
    assert.equal(config({}).backupRegion, 'us-west-2');
    const west = 'arn:aws:acm:us-west-2:123456789012:certificate/1';
    assert.equal(config({ CDK_REGION: 'us-west-2', CDK_CERTIFICATE_ARN: west }).backupRegion, 'us-east-1');
    assert.equal(config({ CDK_BACKUP_COPY_REGION: 'eu-west-1' }).backupRegion, 'eu-west-1');
  });
  it('a database that may pause does so after 300 s unless told', () => {
    assert.equal(config({}).autoPauseSeconds, undefined);
    assert.equal(config({ CDK_DATABASE_MIN_CAPACITY: '0' }).autoPauseSeconds, 300);
    const hour = { CDK_DATABASE_MIN_CAPACITY: '0', CDK_DATABASE_AUTO_PAUSE_SECONDS: '3600' };
    assert.equal(config(hour).autoPauseSeconds, 3600);
  });
});
