/**
 * Every test file in one process, where a configuration that two of them look
 * at is synthesized once: `node --test` alone starts a process for each file.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'));
for (const name of files.sort()) {
  await import(join(import.meta.dirname, name));
}
