/** Which image runs: context `appVersion`, the same for both services; and where it comes from. */
import { Annotations } from 'aws-cdk-lib';
import { type IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';

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

/**
 * The repository of our own image, or that of an application's (CDK_APP_IMAGE), which may belong to another account: its policy then
 * has to let this one pull.
 */
export function imageRepository(scope: Construct, ours: IRepository, { appImage }: Config): IRepository {
  const [, account, region, suffix, repositoryName] =
    /^(\d+)\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?\/(.+)$/.exec(appImage ?? '') ?? [];
  if (repositoryName === undefined) {
    return ours;
  }
  const partition = suffix === undefined ? (region?.startsWith('us-gov-') ? 'aws-us-gov' : 'aws') : 'aws-cn';
  const repositoryArn = `arn:${partition}:ecr:${region}:${account}:repository/${repositoryName}`;
  return Repository.fromRepositoryAttributes(scope, 'AppImage', { repositoryArn, repositoryName });
}
