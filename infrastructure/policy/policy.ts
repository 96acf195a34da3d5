/** cdk-nag's AwsSolutions rules over the whole app; a finding fails the synthesis. */
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { acknowledge } from './acknowledge.ts';

export function applyPolicy(app: App): void {
  acknowledge(app);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}
