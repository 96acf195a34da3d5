/** The binary's own table of settings, as `millrace config --json` prints it. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface Setting {
  readonly name: string;
  readonly aliases: readonly string[];
  /** integer, bytes, duration, boolean, choice, text or secret. */
  readonly type: string;
  /** `least..most` or `one|of|these`, by type. */
  readonly rule?: string;
  readonly default: string;
  readonly roles: readonly string[];
  readonly secret: boolean;
}

const PROJECT = resolve(import.meta.dirname, '../../..');
const PLACES = ['build/release/millrace', 'build/dev/millrace'].map((path) => join(PROJECT, path));

/** `MILLRACE_BIN`, else the release build, else the development build. */
export const binary: string | undefined = process.env.MILLRACE_BIN ?? PLACES.find((path) => existsSync(path));

export const whyNot = 'no binary: build it, or name one in MILLRACE_BIN (build/release and build/dev are looked at)';

export function settingsOf(path: string): readonly Setting[] {
  // An empty environment: the table is what counts, not the values of this shell.
  return JSON.parse(execFileSync(path, ['config', '--json'], { encoding: 'utf8', env: {}, timeout: 10_000 }));
}
