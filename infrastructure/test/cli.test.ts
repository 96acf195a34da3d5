/** The commands that people type, as processes: offline, without credentials. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { variables } from '../config/variables.ts';
import { REQUIRED } from './support/synth.ts';

const PACKAGE = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
after(() => rmSync(scratch, { recursive: true }));

/** Empty is unset, so a `.env` of the person who runs the tests changes nothing. */
const UNSET = Object.fromEntries(Object.values(variables).map(({ name }) => [name, '']));

function npm(args: string[], env: Record<string, string | undefined>) {
  const { PATH, HOME } = process.env;
  const result = spawnSync('npm', args, {
    cwd: PACKAGE,
    env: { PATH, HOME, AWS_EC2_METADATA_DISABLED: 'true', ...UNSET, ...env },
    encoding: 'utf8',
    timeout: 300_000,
  });
  return { status: result.status, text: result.stdout + result.stderr };
}

describe('npm run synth', () => {
  it('writes the stacks to where --output says, without account or region', () => {
    const output = join(scratch, 'out');
    const { CDK_ACCOUNT: _, CDK_REGION: __, ...env } = REQUIRED;
    const synth = ['run', 'synth', '--', '--quiet', '--output', output, '--context', 'appVersion=1.2.3'];
    const { status, text } = npm(synth, { ...env, CDK_SCHEDULE_TASK_CLEANUP_CRON: '0 2 * * *' });
    assert.equal(status, 0, text);
    const templates = readdirSync(output).filter((name) => name.endsWith('.template.json'));
    assert.deepEqual(
      templates.sort(),
      ['compute', 'database', 'ecr', 'network', 'scheduled-task'].map((type) => `millrace-dev-${type}.template.json`),
    );
  });

  it('lists every wrong setting, and nothing else, and fails', () => {
    const output = join(scratch, 'none');
    const { status, text } = npm(['run', '--silent', 'synth', '--', '--quiet', '--output', output], {
      ...REQUIRED,
      CDK_ENVIRONMENT: 'production',
      CDK_APP_PORT: '0',
    });
    assert.notEqual(status, 0);
    assert.match(text, /CDK_ENVIRONMENT=production: expected one of dev, qa, prd/);
    assert.match(text, /CDK_APP_PORT=0: expected a whole number from 1 to 65535/);
    assert.doesNotMatch(text, / at .*\.ts:\d+/, 'no stack trace');
    assert.ok(!existsSync(join(output, 'manifest.json')));
  });
});
