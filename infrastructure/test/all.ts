/**
 * Every test file in one process, where a configuration that two of them look
 * at is synthesized once: `node --test` alone starts a process for each file.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' });
for (const name of files.filter((file) => file.endsWith('.test.ts')).sort()) {
  await import(join(import.meta.dirname, name));
}
