/** The commands that people type, as processes: offline, without credentials. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
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

/** What the runbook types into a checkout before anything is deployed; packages are there, so that `npm install` is not typed. */
const RUNBOOK = readFileSync(join(PACKAGE, 'docs', 'runbook.md'), 'utf8');
const BLOCK = /^```bash\n(cd infrastructure\n[^`]*?npm run synth .*)$/m.exec(RUNBOOK)?.[1] ?? '';
const TYPED = BLOCK.replace(/ +#.*$/gm, '').replace(/^npm install$/m, '');

describe('npm run synth', () => {
  it('of a checkout, as the runbook types it, writes the stacks to where --output says, without account or region', () => {
    assert.match(TYPED, /^cp \.env\.example \.env$/m);
    const checkout = join(scratch, 'checkout');
    const copy = join(checkout, 'infrastructure');
    mkdirSync(checkout);
    const isCommitted = (path: string) => !/^(node_modules|cdk\.out|\.env(?!\.example$).*)$/.test(basename(path));
    cpSync(PACKAGE, copy, { recursive: true, filter: isCommitted });
    symlinkSync(join(PACKAGE, 'node_modules'), join(copy, 'node_modules'));

    const output = join(scratch, 'out');
    const { PATH, HOME } = process.env;
    const { status, stdout, stderr } = spawnSync('bash', ['-ec', `${TYPED} --output ${output} --context appVersion=1.2.3`], {
      cwd: checkout,
      env: { PATH, HOME, AWS_EC2_METADATA_DISABLED: 'true', CDK_SCHEDULE_TASK_CLEANUP_CRON: '0 2 * * *' },
      encoding: 'utf8',
      timeout: 300_000,
    });
    assert.equal(status, 0, stdout + stderr);
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
