/**
 * What the containers are given against the binary's own table of settings, so
 * that a setting renamed there fails a test here.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { pendingSettings } from '../config/pending-settings.ts';
import { JWT_LIFE } from '../config/variables.ts';
import { DATABASE_FAILURES } from '../constructs/service-alarms.ts';
import { STOP_TIMEOUT } from '../constructs/service-task.ts';
import { binary, type Setting, settingsOf, whyNot } from './support/binary.ts';
import { amount, arrived, type Given, settingsProblems } from './support/settings-check.ts';
import type { Synthesized } from './support/synth.ts';
import { attributes, environment, type Json, one, secrets } from './support/template.ts';
import { everything, matrix, plain, replica, scheduled } from './support/variants.ts';

function targetGroup(which: Synthesized): Json {
  return one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties;
}

/** Starts the API where no database answers, and stops it as soon as it says so. */
async function logLines(env: Record<string, string>): Promise<string[]> {
  const api = spawn(binary as string, ['api'], {
    env: { JWT_SECRET: 'not a secret but long enough to be taken', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 20_000,
  });
  let text = '';
  for await (const chunk of api.stderr) {
    text += chunk;
    if (text.includes('\n')) {
      api.kill('SIGKILL');
    }
  }
  return text.trim().split('\n');
}

function givenBy(which: Synthesized): Given[] {
  const types = which.config.hasScheduledTasks ? (['compute', 'scheduled-task'] as const) : (['compute'] as const);
  return types.map((type) => ({
    role: type === 'compute' ? 'api' : 'scheduler',
    environment: environment(which.template(type)),
    secrets: Object.keys(secrets(which.template(type))),
  }));
}

/** Skipped one by one, so that the count says how much was not looked at. */
const withBinary = (name: string, check: () => void) =>
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
  withBinary('what is pending has not arrived yet; take the name out of config/pending-settings.ts when it has', () =>
    assert.deepEqual(arrived(table()), []),
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
  withBinary('the process ends by itself before Fargate kills it', () => {
    const api = lasts('compute', 'SHUTDOWN_DELAY') + lasts('compute', 'SHUTDOWN_GRACE');
    assert.ok(api < STOP_TIMEOUT.toMilliseconds(), `api: ${api} ms`);
    const scheduler = lasts('scheduled-task', 'SHUTDOWN_GRACE');
    assert.ok(scheduler < STOP_TIMEOUT.toMilliseconds(), `scheduler: ${scheduler} ms`);
  });
  withBinary('a request under way is answered before the load balancer gives its task up', () => {
    const { TargetGroupAttributes } = targetGroup(plain());
    const delay = Number(attributes(TargetGroupAttributes)['deregistration_delay.timeout_seconds']) * 1000;
    assert.ok(lasts('compute', 'GATEWAY_REQUEST_TIMEOUT') <= delay);
    assert.ok(lasts('compute', 'SHUTDOWN_DELAY') + lasts('compute', 'GATEWAY_REQUEST_TIMEOUT') <= delay);
  });
  withBinary('a client sticks to its task longer than its writes are remembered there', () => {
    const { TargetGroupAttributes } = targetGroup(replica());
    const sticky = Number(attributes(TargetGroupAttributes)['stickiness.lb_cookie.duration_seconds']) * 1000;
    assert.ok(lasts('compute', 'DB_READ_YOUR_WRITES', replica()) < sticky);
  });
  withBinary('the messages that the alarms on the database count are in the binary', () => {
    const code = readFileSync(binary as string);
    for (const message of DATABASE_FAILURES) {
      assert.ok(code.includes(`\0${message}\0`), message);
    }
  });
  withBinary('a log line has `level` and `message`, as the filters read them', async () => {
    const [line] = await logLines({ DB_HOST: '127.0.0.1', DB_PORT: '1', LOGGING_FORMAT: 'json' });
    const { level, message } = JSON.parse(line ?? '{}');
    assert.deepEqual([level, message], ['warn', 'waiting for the database']);
    const levels = table().find(({ name }) => name === 'LOGGING_LEVEL')?.rule?.split('|') ?? [];
    assert.ok(levels.includes('error') && levels.includes(level));
  });
  withBinary(
    'the binary keeps idle connections longer than the load balancer, which would answer 502 otherwise',
    () => {
      const balancer = one(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
      const idle = Number(attributes(balancer.LoadBalancerAttributes)['idle_timeout.timeout_seconds'] ?? '60');
      const keepAlive = table().find(({ name }) => name === 'GATEWAY_KEEPALIVE_TIMEOUT')?.default ?? '';
      assert.ok(amount(keepAlive, 'duration') > idle * 1000);
    },
  );
});

describe('settings of the containers, without the binary', () => {
  it('every pending name is one that the containers are given', () => {
    const given = new Set(givenBy(everything()).flatMap(({ environment: plainOnes }) => Object.keys(plainOnes)));
    assert.deepEqual(
      pendingSettings.filter((name) => !given.has(name)),
      [],
    );
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
    settingsProblems(small, { role, environment: environmentGiven, secrets: given });

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
  it('lets a pending name pass, until it has arrived', () => {
    assert.deepEqual(check({ METRICS_EMF: 'true' }), []);
    assert.deepEqual(arrived([setting('METRICS_EMF', 'boolean')]), ['METRICS_EMF']);
  });
});
