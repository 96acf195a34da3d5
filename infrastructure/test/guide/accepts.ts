/** Ranges: which values a variable takes and which it refuses, by name. */
import assert from 'node:assert/strict';
import { ConfigError, type Environment, loadConfig } from '../../config/load.ts';
import { REQUIRED } from '../support/synth.ts';

interface Beside {
  readonly with: Environment;
}

function split(values: (string | Beside)[]): [string[], Environment] {
  const texts = values.filter((value) => typeof value === 'string');
  const beside = values.find((value) => typeof value !== 'string');
  return [texts, beside?.with ?? {}];
}

function problemsOf(env: Environment): string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ name }) => name);
  }
}

export function accepts(name: string, ...values: (string | Beside)[]): void {
  const [texts, beside] = split(values);
  for (const text of texts) {
    assert.deepEqual(problemsOf({ ...REQUIRED, ...beside, [name]: text }), [], `${name}=${text}`);
  }
}

/** Refused by this variable alone: no other is named. */
export function refuses(name: string, ...values: (string | Beside)[]): void {
  const [texts, beside] = split(values);
  for (const text of texts) {
    assert.deepEqual(problemsOf({ ...REQUIRED, ...beside, [name]: text }), [name], `${name}=${text}`);
  }
}
