/** Writes the acknowledgements onto the constructs that they name. */
import { type App, CfnResource, Validations } from 'aws-cdk-lib';
import { acknowledgements } from './acknowledgements.ts';

export function acknowledge(app: App): void {
  for (const construct of app.node.findAll()) {
    if (!CfnResource.isCfnResource(construct)) {
      continue;
    }
    const path = construct.node.path;
    for (const { at, id, reason } of acknowledgements) {
      if (at.test(path)) {
        Validations.of(construct).acknowledge({ id, reason });
      }
    }
  }
}
