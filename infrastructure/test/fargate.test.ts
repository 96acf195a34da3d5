/** Every pair of Fargate's table, and its neighbours. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isFargatePair, memoryExpectation } from '../config/fargate.ts';
import { type ConfigError, loadConfig } from '../config/load.ts';
import { REQUIRED } from './support/synth.ts';

/** CPU → smallest, largest, step in MB, from the table of the design. */
const LIMITS: [number, number, number, number][] = [
  [512, 1024, 4096, 1024],
  [1024, 2048, 8192, 1024],
  [2048, 4096, 16384, 1024],
  [4096, 8192, 30720, 1024],
];

describe('Fargate sizes', () => {
  it('256 CPU units take 512, 1024 and 2048 MB only', () => {
    const taken = Array.from({ length: 61 }, (_, i) => 512 * i).filter((memory) => isFargatePair(256, memory));
    assert.deepEqual(taken, [512, 1024, 2048]);
  });

  for (const [cpu, low, high, step] of LIMITS) {
    it(`${cpu} CPU units take ${low} to ${high} MB in whole gigabytes`, () => {
      for (let memory = 512; memory <= 30720; memory += 256) {
        const fits = memory >= low && memory <= high && memory % step === 0;
        assert.equal(isFargatePair(cpu, memory), fits, `${cpu}/${memory}`);
      }
    });
  }

  it('a CPU size that does not exist takes nothing', () => {
    assert.equal(isFargatePair(300, 1024), false);
    assert.match(memoryExpectation(300), /a CPU size of 256, 512, 1024, 2048, 4096/);
  });

  it('a refused pair names the memory variable and what would fit', () => {
    const bad = {
      ...REQUIRED,
      CDK_TASK_CPU_UNITS: '1024',
      CDK_SCHEDULER_TASK_MEMORY_MB: '4096',
    };
    assert.throws(
      () => loadConfig(bad),
      (error: ConfigError) => {
        assert.match(error.message, /CDK_TASK_MEMORY_MB=512: expected with 1024 CPU units Fargate takes 2048 to 8192/);
        assert.match(error.message, /CDK_SCHEDULER_TASK_MEMORY_MB=4096: expected with 256 .* takes 512, 1024, 2048 MB/);
        return error.problems.length === 2;
      },
    );
  });
});
