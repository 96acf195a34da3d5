/** The repository that both services take their one image from. */
import { CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { BaseStack } from './base.stack.ts';

/** What an update leaves to roll back to; the deploy workflow and the runbook deregister what is older. */
export const REVISIONS_KEPT = 10;
/** An image for each of two architectures, the list of both, and its signature, which older registries keep under a tag of its own. */
const IMAGES_OF_A_VERSION = 5;
/** A revision whose image has expired is none to roll back to. */
export const IMAGES_KEPT = REVISIONS_KEPT * IMAGES_OF_A_VERSION;

export class EcrStack extends BaseStack {
  readonly repository: ecr.Repository;

  constructor(scope: Construct, config: Config) {
    super(scope, 'ecr', config, 'Container image repository');
    this.repository = new ecr.Repository(this, 'Repository', {
      repositoryName: config.repositoryName,
      imageScanOnPush: true,
      encryption: ecr.RepositoryEncryption.AES_256,
      // A tag that cannot move is what makes "the previous revision" the previous image.
      imageTagMutability: config.isProduction ? ecr.TagMutability.IMMUTABLE : ecr.TagMutability.MUTABLE,
      removalPolicy: config.isProduction ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      // Otherwise CloudFormation cannot delete a repository that still has images.
      emptyOnDelete: !config.isProduction,
      lifecycleRules: [
        { rulePriority: 1, tagStatus: ecr.TagStatus.UNTAGGED, maxImageAge: Duration.days(1) },
        { rulePriority: 2, tagStatus: ecr.TagStatus.ANY, maxImageCount: IMAGES_KEPT },
      ],
    });
    this.export('RepositoryUri', this.repository.repositoryUri);
    this.export('RepositoryName', this.repository.repositoryName);
    this.export('RepositoryArn', this.repository.repositoryArn);
  }

  private export(name: string, value: string): void {
    new CfnOutput(this, name, { value, exportName: `${this.stackName}-${name}` });
  }
}
