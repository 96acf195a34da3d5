/** Which image runs: context `appVersion`, the same for both services. */
import { Annotations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';

const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

export interface ImageVersion {
  readonly tag: string;
  /** Undefined for `latest`: the binary then reports the version it was built as. */
  readonly appVersion: string | undefined;
}

export function imageVersion(scope: Construct): ImageVersion {
  const given: unknown = scope.node.tryGetContext('appVersion');
  if (given === undefined || given === '') {
    Annotations.of(scope).addWarningV2(
      'millrace:app-version',
      'No image version given, so `latest` is deployed and a roll-back would not change the image. ' +
        'Give one: npm run deploy -- --context appVersion=1.2.3',
    );
    return { tag: 'latest', appVersion: undefined };
  }
  if (typeof given !== 'string' || !TAG.test(given)) {
    throw new Error(`appVersion=${String(given)}: expected an image tag such as 1.2.3`);
  }
  return { tag: given, appVersion: given };
}
