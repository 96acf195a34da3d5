/**
 * The names that a workflow needs, from the settings of its environment: one `name=value` a line, as GITHUB_OUTPUT takes them.
 * A second variable with the same name in it would be forgotten one day, and a workflow would look where nothing is.
 */
import { join } from 'node:path';
import { withEnvFiles } from '../config/env-file.ts';
import { loadConfig } from '../config/load.ts';

const { appName, baseName, schedulerName, tagApp, tagEnv } = loadConfig(
  withEnvFiles(join(import.meta.dirname, '..'), process.env),
);

for (const [name, value] of Object.entries({ app: appName, base: baseName, scheduler: schedulerName, tagApp, tagEnv })) {
  console.log(`${name}=${value}`);
}
