/** `.env` files: which value wins. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { withEnvFiles } from '../config/env-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-env-'));
writeFileSync(join(directory, '.env'), 'CDK_ENVIRONMENT=dev\nCDK_APP_NAME=common\nCDK_TAG_OU=common\n# note\n');
writeFileSync(
  join(directory, '.env.qa'),
  'CDK_TAG_OU="quality assurance"\nCDK_SCHEDULE_TASK_CLEANUP_CRON="0 2 * * *"\n',
);
after(() => rmSync(directory, { recursive: true }));

describe('.env files', () => {
  it('are read from the package', () => assert.equal(withEnvFiles(directory, {}).CDK_APP_NAME, 'common'));
  it('of the environment win over the common one', () => {
    const env = withEnvFiles(directory, { CDK_ENVIRONMENT: 'qa' });
    assert.equal(env.CDK_TAG_OU, 'quality assurance');
    assert.equal(env.CDK_APP_NAME, 'common');
    assert.equal(env.CDK_SCHEDULE_TASK_CLEANUP_CRON, '0 2 * * *');
  });
  it('lose against the process environment', () =>
    assert.equal(withEnvFiles(directory, { CDK_APP_NAME: 'mine' }).CDK_APP_NAME, 'mine'));
  it('need not be there', () => assert.deepEqual(withEnvFiles(join(directory, 'none'), { A: 'b' }), { A: 'b' }));
});
