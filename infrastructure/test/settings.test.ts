/**
 * What the containers are given against the binary's own table of settings, so
 * that a setting renamed there fails a test here.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../config/load.ts';
import { JWT_LIFE } from '../config/variables.ts';
import { DATABASE_FAILURES } from '../constructs/service-alarms.ts';
import { STOP_TIMEOUT } from '../constructs/service-task.ts';
import { binary, type Setting, settingsOf, start, whyNot } from './support/binary.ts';
import { amount, type Given, settingsProblems } from './support/settings-check.ts';
import { REQUIRED, type Synthesized } from './support/synth.ts';
import { attributes, environment, type Json, one, secrets } from './support/template.ts';
import { everything, matrix, pausing, plain, replica, scheduled } from './support/variants.ts';

/** A database that refuses at once: the process gets as far as its settings and no further. */
const NOBODY_THERE = { DB_HOST: '127.0.0.1', DB_PORT: '1' };
const JWT_SECRET = 'for these tests only, and long enough';

function isTaken(name: string, value: string): boolean {
  try {
    loadConfig({ ...REQUIRED, [name]: value });
    return true;
  } catch {
    return false;
  }
}

function targetGroup(which: Synthesized): Json {
  return one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;
}

function givenBy(which: Synthesized): Given[] {
  const types = which.config.hasScheduledTasks ? (['compute', 'scheduled-task'] as const) : (['compute'] as const);
  return types.map((type) => ({
    role: type === 'compute' ? 'api' : 'scheduler',
    environment: environment(which.template(type)),
    application: Object.keys(which.config.appSettings ?? {}),
    secrets: Object.keys(secrets(which.template(type))),
  }));
}

/** Skipped one by one, so that the count says how much was not looked at. */
const withBinary = (name: string, check: () => void | Promise<void>) =>
  it(name, { skip: binary === undefined ? whyNot : false }, check);
const table = (): readonly Setting[] => settingsOf(binary as string);

describe('settings of the containers against the binary', () => {
  for (const [name, make] of Object.entries(matrix)) {
    withBinary(`are known, fit, and are for the role: ${name}`, () => {
      const settings = table();
      for (const given of givenBy(make())) {
        assert.deepEqual(settingsProblems(settings, given), []);
      }
    });
  }
  for (const [name, make] of Object.entries(matrix)) {
    withBinary(`each role starts with exactly what its container gets: ${name}`, async () => {
      for (const { role, environment: given, secrets: names } of givenBy(make())) {
        const secret = Object.fromEntries(names.map((one) => [one, JWT_SECRET]));
        const database = {
          ...NOBODY_THERE,
          DB_HOST_READ_ONLY: '127.0.0.1',
          DB_USER: 'u',
          DB_PASS: 'p',
          DB_DATABASE: 'd',
        };
        const env = Object.fromEntries(
          Object.entries({ ...secret, ...database }).filter(([one]) => names.includes(one)),
        );
        const { status, text } = await start(binary as string, role, { ...given, ...env });
        assert.notEqual(status, 2, `${role}: ${text}`);
        assert.match(text, /^\{"time":/, role);
      }
    });
  }
  withBinary(
    'a role that is given a bad setting ends with status 2, which is how the test above would fail',
    async () => {
      const { status, text } = await start(binary as string, 'api', { ...NOBODY_THERE, JWT_SECRET, APP_PORT: '0' });
      assert.equal(status, 2, text);
      assert.match(text, /APP_PORT=0/);
    },
  );
  withBinary('the guide’s DB_USERNAME and DB_PASSWORD are aliases of what is given', () => {
    const aliases = Object.fromEntries(table().map((setting) => [setting.name, setting.aliases]));
    assert.deepEqual(aliases.DB_USER, ['DB_USERNAME']);
    assert.deepEqual(aliases.DB_PASS, ['DB_PASSWORD']);
  });
  withBinary('CDK_APP_JWT_EXPIRES_IN has the range of JWT_EXPIRES_IN', () => {
    const setting = table().find(({ name }) => name === 'JWT_EXPIRES_IN');
    assert.equal(setting?.rule, `${JWT_LIFE.low}..${JWT_LIFE.high}`);
  });
  /** What a container is given, else the binary's default; in milliseconds. */
  const lasts = (type: 'compute' | 'scheduled-task', name: string, which = scheduled()) => {
    const given = environment(which.template(type))[name];
    return amount(given ?? table().find((setting) => setting.name === name)?.default ?? '', 'duration');
  };
  withBinary('what a cron or a time zone may be is the same here and there', async () => {
    const values: [here: string, there: string, ...values: string[]][] = [
      ['CDK_SCHEDULE_TIMEZONE', 'SCHEDULE_TIMEZONE', 'UTC', 'Europe/Berlin', 'Asia/Calcutta', 'Etc/GMT-14'],
      ['CDK_SCHEDULE_TIMEZONE', 'SCHEDULE_TIMEZONE', 'europe/berlin', 'EUROPE/BERLIN', '+02:00', 'Mars/Olympus'],
      [
        'CDK_SCHEDULE_TASK_CLEANUP_CRON',
        'SCHEDULE_TASK_CLEANUP_CRON',
        '0 2 * * *',
        '@daily',
        '0 0 L * MON',
        '5 4 3 2 1 *',
      ],
      ['CDK_SCHEDULE_TASK_CLEANUP_CRON', 'SCHEDULE_TASK_CLEANUP_CRON', '0 0 30 2 *', '0 2 * *', '@never', '0 0 ? * *'],
    ];
    for (const [here, there, ...list] of values) {
      for (const value of list) {
        const { status } = await start(binary as string, 'scheduler', { ...NOBODY_THERE, [there]: value });
        assert.equal(status !== 2, isTaken(here, value), `${there}=${value}: the binary ends with ${status}`);
      }
    }
  });
  withBinary('the process ends by itself before Fargate kills it', () => {
    for (const which of [scheduled(), pausing()]) {
      const api = lasts('compute', 'SHUTDOWN_DELAY', which) + lasts('compute', 'SHUTDOWN_GRACE', which);
      assert.ok(api < STOP_TIMEOUT.toMilliseconds(), `api: ${api} ms`);
    }
    const scheduler = lasts('scheduled-task', 'SHUTDOWN_GRACE');
    assert.ok(scheduler < STOP_TIMEOUT.toMilliseconds(), `scheduler: ${scheduler} ms`);
  });
  withBinary('a request under way is answered before the load balancer gives its task up', () => {
    const { TargetGroupAttributes } = targetGroup(plain());
    const delay = Number(attributes(TargetGroupAttributes)['deregistration_delay.timeout_seconds']) * 1000;
    for (const which of [scheduled(), pausing()]) {
      const request = lasts('compute', 'GATEWAY_REQUEST_TIMEOUT', which);
      assert.ok(lasts('compute', 'SHUTDOWN_DELAY', which) + request <= delay);
      // The last fifth of the grace, 5 s at most, is for the end itself: runtime/shutdown.h.
      const grace = lasts('compute', 'SHUTDOWN_GRACE', which);
      assert.ok(lasts('compute', 'SHUTDOWN_DELAY', which) + request <= grace - Math.min(grace / 5, 5_000));
    }
  });
  withBinary('a database host that is gone is noticed while a request still has time', () => {
    for (const which of [scheduled(), pausing()]) {
      assert.ok(lasts('compute', 'DB_TCP_TIMEOUT', which) < lasts('compute', 'GATEWAY_REQUEST_TIMEOUT', which));
      assert.ok(lasts('scheduled-task', 'DB_TCP_TIMEOUT', which) > 0);
    }
  });
  withBinary('a client sticks to its task longer than its writes are remembered there', () => {
    const { TargetGroupAttributes } = targetGroup(replica());
    const sticky = Number(attributes(TargetGroupAttributes)['stickiness.lb_cookie.duration_seconds']) * 1000;
    assert.ok(lasts('compute', 'DB_READ_YOUR_WRITES', replica()) < sticky);
  });
  withBinary('a slow upload is judged by the gateway, never by the load balancer (tests/e2e/balancer_test.py shows both)', () => {
    const balancer = one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    const idle = Number(attributes(balancer.LoadBalancerAttributes)['idle_timeout.timeout_seconds']) * 1000;
    for (const which of [scheduled(), pausing()]) {
      // No byte of a head or a body for as long as this, or no answer: the gateway says so first.
      for (const name of ['GATEWAY_HEADER_TIMEOUT', 'GATEWAY_BODY_TIMEOUT', 'GATEWAY_REQUEST_TIMEOUT']) {
        assert.ok(lasts('compute', name, which) + 5_000 <= idle, `${name} and ${idle} ms`);
      }
    }
  });
  withBinary('a balancer outlasts a request that waits for a run, or for the end of one: the stack’s, and that of compose/', () => {
    const balancer = one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    const idle = Number(attributes(balancer.LoadBalancerAttributes)['idle_timeout.timeout_seconds']) * 1000;
    const document = execFileSync(binary as string, ['openapi'], { encoding: 'utf8', env: {}, maxBuffer: 16 << 20 });
    const haproxy = readFileSync(join(import.meta.dirname, '../../compose/balancer/haproxy.cfg'), 'utf8');
    const most = [...document.matchAll(/"how long to wait for [^"]*, up to (\w+)[;"]/g)].map(([, time = '']) => time);
    assert.ok(most.length >= 2, `${most}`);
    for (const time of most) {
      assert.ok(amount(time, 'duration') + 5_000 <= idle, `${time} and ${idle} ms`);
      for (const side of ['client', 'server']) {
        const [, limit = ''] = new RegExp(`^ +timeout ${side} (\\w+)$`, 'm').exec(haproxy) ?? [];
        assert.ok(amount(time, 'duration') + 5_000 <= amount(limit, 'duration'), `${side}: ${time} and ${limit}`);
      }
    }
  });
  withBinary('the messages that the alarms on the database count are in the binary', () => {
    const code = readFileSync(binary as string);
    for (const text of [...DATABASE_FAILURES, 'job run', 'runId', 'outcome', 'dead', 'failed']) {
      assert.ok(code.includes(`${text}\0`), text);
    }
  });
  withBinary('the metrics on the dashboard are those that the binary writes', () => {
    const code = readFileSync(binary as string);
    const { DashboardBody } = one(everything().template('compute'), 'AWS::CloudWatch::Dashboard').Properties;
    const shown = [...JSON.stringify(DashboardBody).matchAll(
      /\\"Millrace\\",\\"(\w+)\\",\\"Environment\\",\\"[\w-]+\\",\\"Role\\",\\"(\w+)\\"/g,
    )];
    assert.ok(shown.length >= 12, `${shown.length} metrics`);
    assert.ok(code.includes('"Namespace":"Millrace","Dimensions":[[%s"Role"]]'));
    assert.ok(code.includes('"Environment",'));
    for (const [, name, role] of shown) {
      assert.ok(code.includes(`${name}\0`), name);
      assert.ok(code.includes(`${role}\0`), role);
    }
  });
  withBinary('a log line has `level` and `message`, as the filters read them', async () => {
    const { text } = await start(binary as string, 'api', { ...NOBODY_THERE, JWT_SECRET, LOGGING_FORMAT: 'json' });
    const { level, message } = JSON.parse(text.split('\n')[0] ?? '{}');
    assert.deepEqual([level, message], ['warn', 'waiting for the database']);
    const levels =
      table()
        .find(({ name }) => name === 'LOGGING_LEVEL')
        ?.rule?.split('|') ?? [];
    assert.ok(levels.includes('error') && levels.includes(level));
  });
  withBinary(
    'the binary keeps idle connections longer than the load balancer, which would answer 502 otherwise',
    () => {
      const balancer = one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
      const idle = Number(attributes(balancer.LoadBalancerAttributes)['idle_timeout.timeout_seconds'] ?? '60');
      assert.ok(lasts('compute', 'GATEWAY_KEEPALIVE_TIMEOUT') > idle * 1000);
    },
  );
});

describe('settings of the containers, without the binary', () => {
  it('no setting that a container is given can be set by CDK_APP_SETTINGS', () => {
    for (const make of Object.values(matrix)) {
      for (const { environment: given, secrets: names, application } of givenBy(make())) {
        const own = [...Object.keys(given), ...names].filter((name) => !application.includes(name));
        for (const name of own) {
          assert.ok(!isTaken('CDK_APP_SETTINGS', JSON.stringify({ [name]: 'x' })), name);
        }
      }
    }
  });
  it('the scheduler gets no JWT secret', () => {
    const [api, scheduler] = givenBy(everything());
    assert.ok(api?.secrets.includes('JWT_SECRET'));
    assert.ok(!scheduler?.secrets.includes('JWT_SECRET'));
  });
});

/** A table of four settings, to show that the check finds what it is for. */
describe('the check itself', () => {
  const setting = (name: string, type: string, more: Partial<Setting> = {}): Setting => ({
    name,
    type,
    aliases: [],
    default: '',
    roles: ['api', 'scheduler'],
    secret: type === 'secret',
    ...more,
  });
  const small = [
    setting('APP_PORT', 'integer', { rule: '1..65535', roles: ['api'] }),
    setting('LOGGING_LEVEL', 'choice', { rule: 'info|warn' }),
    setting('DB_USER', 'text', { aliases: ['DB_USERNAME'] }),
    setting('DB_PASS', 'secret'),
    setting('WAIT', 'duration', { rule: '1s..1m' }),
  ];
  const check = (environmentGiven: Record<string, string>, role: 'api' | 'scheduler' = 'api', given: string[] = []) =>
    settingsProblems(small, { role, environment: environmentGiven, secrets: given, application: [] });

  it('accepts what fits, aliases included', () =>
    assert.deepEqual(
      check({ APP_PORT: '3000', LOGGING_LEVEL: 'warn', WAIT: '30' }, 'api', ['DB_USERNAME', 'DB_PASS']),
      [],
    ));
  it('finds a setting that was renamed', () =>
    assert.deepEqual(check({ LOG_LEVEL: 'info' }), ['api: the binary has no setting LOG_LEVEL']));
  it('finds a value out of range', () => {
    assert.equal(check({ APP_PORT: '0' }).length, 1);
    assert.equal(check({ LOGGING_LEVEL: 'debug' }).length, 1);
    assert.equal(check({ WAIT: '2m' }).length, 1);
  });
  it('finds a secret in a plain variable', () =>
    assert.deepEqual(check({ DB_PASS: 'x' }), ['api: DB_PASS is secret and stands in a plain variable']));
  it('finds a setting that is not for the role', () =>
    assert.deepEqual(check({ APP_PORT: '1' }, 'scheduler'), ['scheduler: APP_PORT is for api only']));
});
