/** The expressions of cron-vectors.json, which the binary's own tests can read too. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cronProblem } from '../config/cron.ts';
import vectors from './cron-vectors.json' with { type: 'json' };

describe('cron: accepted', () => {
  for (const cron of vectors.good) {
    it(JSON.stringify(cron), () => assert.equal(cronProblem(cron), undefined));
  }
});

describe('cron: refused, with position and reason', () => {
  for (const { cron, at, reason } of vectors.bad) {
    it(JSON.stringify(cron), () => assert.deepEqual(cronProblem(cron), { position: at, reason }));
  }
});
