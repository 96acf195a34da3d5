import assert from 'node:assert/strict';
import { IMAGES_KEPT, REVISIONS_KEPT } from '../../stacks/ecr.stack.ts';
import { section } from '../support/sentence.ts';
import { synth } from '../support/synth.ts';
import { container, one } from '../support/template.ts';
import { guideNames, plain, production } from '../support/variants.ts';

const repository = (which = plain()) => one(which.template('ecr'), 'AWS::ECR::Repository');

export const ecr = section('ECR Stack', {
  'Purpose: Manages the Amazon Elastic Container Registry (ECR) for storing and scanning application container images.':
    () => {
      assert.deepEqual(repository().Properties.ImageScanningConfiguration, { ScanOnPush: true });
      const image = JSON.stringify(container(plain().template('compute')).Image);
      assert.match(
        image,
        new RegExp(`ImportValue":"millrace-dev-ecr:[^"]*${repository().id}`),
        'the tasks run what is stored here',
      );
    },
  'ECR Repository: `${appName}` (named per environment)': [
    'Each environment has its own; `CDK_ECR_SHARED=true` puts the environment into the name where several share an account.',
    () => {
      assert.equal(repository(guideNames()).Properties.RepositoryName, 'nestjs-playground');
      assert.equal(repository(synth({ CDK_ECR_SHARED: 'true' })).Properties.RepositoryName, 'millrace-dev');
    },
  ],
  'Image Scanning: Enabled on push for vulnerability detection': () =>
    assert.deepEqual(repository().Properties.ImageScanningConfiguration, { ScanOnPush: true }),
  'Tag Mutability: Mutable tags for development workflows': [
    'Immutable in production, so that the previous revision is the previous image.',
    () => {
      assert.equal(repository().Properties.ImageTagMutability, 'MUTABLE');
      assert.equal(repository(production()).Properties.ImageTagMutability, 'IMMUTABLE');
    },
  ],
  'Removal Policy: Retain in production, destroy in non-prod environments': () => {
    assert.equal(repository(production()).DeletionPolicy, 'Retain');
    assert.equal(repository().DeletionPolicy, 'Delete');
    assert.equal(repository().Properties.EmptyOnDelete, true, 'images would keep it from being deleted');
    assert.ok(!repository(production()).Properties.EmptyOnDelete);
  },
  'Outputs: Exports repository URI, name, and ARN for use in other stacks': () => {
    const outputs = plain().template('ecr').toJSON().Outputs;
    for (const name of ['RepositoryUri', 'RepositoryName', 'RepositoryArn']) {
      assert.deepEqual(outputs[name].Export, { Name: `millrace-dev-ecr-${name}` });
    }
  },
});

export const images = section('Application Images', {
  'ECR repository with image versioning': () => {
    assert.equal(repository(production()).Properties.ImageTagMutability, 'IMMUTABLE');
  },
  'Multiple image tags for rollback capability': () => {
    const policy = JSON.parse(repository().Properties.LifecyclePolicy.LifecyclePolicyText);
    assert.deepEqual(
      policy.rules.map((rule: { selection: { tagStatus: string; countNumber: number } }) => [
        rule.selection.tagStatus,
        rule.selection.countNumber,
      ]),
      [
        ['untagged', 1],
        ['any', IMAGES_KEPT],
      ],
    );
    // The images of every revision that is kept: amd64, arm64, the list of both, and a signature.
    assert.ok(IMAGES_KEPT >= REVISIONS_KEPT * 4);
  },
});
