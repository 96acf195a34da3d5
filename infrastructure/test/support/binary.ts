/** The binary's own table of settings, as `millrace config --json` prints it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
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

/**
 * Starts one role with these settings and no other, until it says the first
 * thing or ends; then it is stopped. Status 2 means that a setting was refused.
 */
export async function start(
  path: string,
  role: string,
  env: Readonly<Record<string, string>>,
): Promise<{ status: number | null; text: string }> {
  const process = spawn(path, [role], { env: { ...env }, stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 });
  const ended = once(process, 'exit');
  let text = '';
  for await (const chunk of process.stderr) {
    text += chunk;
    // What is refused is said in several lines, and the process ends by itself.
    if (text.startsWith('{') && text.includes('\n')) {
      process.kill('SIGKILL');
    }
  }
  const [status] = await ended;
  return { status, text };
}

export function settingsOf(path: string): readonly Setting[] {
  // An empty environment: the table is what counts, not the values of this shell.
  return JSON.parse(execFileSync(path, ['config', '--json'], { encoding: 'utf8', env: {}, timeout: 10_000 }));
}
