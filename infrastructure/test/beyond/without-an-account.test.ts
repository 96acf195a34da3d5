/** Beyond the guide: synthesis offline. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newApp, synth } from '../support/synth.ts';
import { matrix } from '../support/variants.ts';

describe('without an account', () => {
  it('synthesizes when neither account nor region is known', () => {
    const nowhere = synth({
      CDK_ACCOUNT: '',
      CDK_REGION: '',
      CDK_ENVIRONMENT: 'prd',
      CDK_SCHEDULE_TASK_CLEANUP_CRON: '@daily',
    });
    assert.equal(nowhere.stackNames.length, 5);
    assert.ok(nowhere.assembly.stacks.every(({ environment: place }) => place.region === 'unknown-region'));
  });
  it('needs no asset to be published', () => {
    assert.ok(newApp());
    for (const make of Object.values(matrix)) {
      for (const { assets } of make().assembly.stacks) {
        assert.deepEqual(assets, []);
      }
    }
  });
});
