/**
 * cdk-nag's AwsSolutions rules over the whole app: a finding that is not
 * acknowledged fails the synthesis, and with it the deployment.
 */
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { Config } from '../config/config.ts';
import { type Acknowledgement, acknowledgements } from './acknowledgements.ts';

function acknowledge(app: App, config: Config, { stack, path, id, reason }: Acknowledgement): void {
  const whole = `${config.stackName(stack)}/${path}`;
  const resource = app.node.findAll().find((construct) => construct.node.path === whole);
  if (resource === undefined) {
    throw new Error(`policy/acknowledgements.ts: there is no ${whole}`);
  }
  Validations.of(resource).acknowledge({ id, reason });
}

export function applyPolicy(app: App, config: Config): void {
  for (const entry of acknowledgements) {
    if (entry.when?.(config) ?? true) {
      acknowledge(app, config, entry);
    }
  }
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}
