/**
 * Reads `.env` and `.env.<environment>` beside this package. The process's own
 * environment wins over `.env.<environment>`, and that over `.env`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import type { Environment } from './load.ts';

function readIfThere(path: string): Environment {
  return existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
}

export function withEnvFiles(directory: string, env: Environment): Environment {
  const common = readIfThere(join(directory, '.env'));
  const environment = env.CDK_ENVIRONMENT || common.CDK_ENVIRONMENT;
  const own = environment ? readIfThere(join(directory, `.env.${environment}`)) : {};
  return { ...common, ...own, ...env };
}
