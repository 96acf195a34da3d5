/** Runs the script of one step of a workflow, with programs in its way that write down how they were called. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const WORKFLOWS = join(import.meta.dirname, '../../../.github/workflows');

export const workflow = (name: string): string => readFileSync(join(WORKFLOWS, `${name}.yml`), 'utf8');

/** The lines of the `run: |` that holds these words. */
export function scriptOf(name: string, words: string): string {
  const scripts = [...workflow(name).matchAll(/^( +)(?:- )?run: \|\n((?:\1 +.*\n|\n)+)/gm)].map(([, , lines = '']) => lines);
  const [script, ...others] = scripts.filter((lines) => lines.includes(words));
  if (script === undefined || others.length > 0) {
    throw new Error(`one step of ${name}.yml with ${words}, and not ${others.length + (script === undefined ? 0 : 1)}`);
  }
  return script;
}

export interface Step {
  readonly workflow: string;
  readonly words: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Program → what it does, in shell, after its call was written down. */
  readonly programs: Readonly<Record<string, string>>;
}

interface Outcome {
  readonly status: number | null;
  readonly calls: string[];
  readonly text: string;
  /** The lines of GITHUB_ENV: what later steps find in their environment. */
  readonly exported: string[];
}

/** As GitHub runs it: `bash -e`. Returns the calls, one a line. */
export function runStep({ workflow: name, words, env = {}, programs }: Step): Outcome {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-step-'));
  try {
    const calls = join(folder, 'calls');
    const exported = join(folder, 'exported');
    writeFileSync(calls, '');
    writeFileSync(exported, '');
    for (const [program, action] of Object.entries(programs)) {
      writeFileSync(join(folder, program), `#!/bin/sh\necho "${program} $*" >>"$CALLS"\n${action}\n`);
      chmodSync(join(folder, program), 0o755);
    }
    const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', scriptOf(name, words)], {
      cwd: folder,
      env: { PATH: [folder, process.env.PATH].join(delimiter), CALLS: calls, GITHUB_ENV: exported, ...env },
      encoding: 'utf8',
    });
    const lines = (path: string) => readFileSync(path, 'utf8').split('\n').filter(Boolean);
    return { status, calls: lines(calls), text: stdout + stderr, exported: lines(exported) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
