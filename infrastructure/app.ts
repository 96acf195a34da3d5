/**
 * Entry point of the CDK CLI: settings in, five stacks out, checked on the way.
 */
import { App } from 'aws-cdk-lib';
import { withEnvFiles } from './config/env-file.ts';
import { ConfigError, loadConfig } from './config/load.ts';
import { applyPolicy } from './policy/policy.ts';
import { buildStacks } from './stacks/build.ts';

try {
  const config = loadConfig(withEnvFiles(import.meta.dirname, process.env));
  const app = new App();
  buildStacks(app, config);
  applyPolicy(app, config);
  app.synth();
} catch (error) {
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  // The list is for a person; a stack trace under it would hide it.
  console.error(error.message);
  process.exitCode = 2;
}
