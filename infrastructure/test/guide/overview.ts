import assert from 'node:assert/strict';
import { section } from '../support/sentence.ts';
import { all, none } from '../support/template.ts';
import { matrix, plain, production, scheduled } from '../support/variants.ts';
import { synth } from '../support/synth.ts';

export const overview = section('Architecture Overview', {
  'The infrastructure is organized into five logical stacks': () => {
    assert.deepEqual(
      scheduled().stackNames,
      ['network', 'database', 'ecr', 'compute', 'scheduled-task'].map((type) => `millrace-dev-${type}`),
    );
  },
  'This infrastructure provisions only backend/API components.': () => {
    for (const { template } of scheduled().assembly.stacks) {
      const types = Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type);
      assert.deepEqual(
        types.filter((type) => /CloudFront|Amplify|S3::BucketPolicy.*Website/.test(type)),
        [],
      );
    }
    const bucket = all(scheduled().template('compute'), 'AWS::S3::Bucket');
    assert.ok(bucket.every(({ Properties }) => Properties.WebsiteConfiguration === undefined));
  },
  'Serverless First: Minimize operational overhead with managed services': () => {
    for (const make of Object.values(matrix)) {
      for (const { template } of make().assembly.stacks) {
        const types = Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type);
        assert.deepEqual(
          types.filter((type) => /EC2::Instance$|AutoScaling::AutoScalingGroup/.test(type)),
          [],
        );
      }
    }
    const instances = all(plain().template('database'), 'AWS::RDS::DBInstance');
    assert.ok(instances.every(({ Properties }) => Properties.DBInstanceClass === 'db.serverless'));
  },
  'Multi-Environment: Supports dev, qa, and production environments': () => {
    for (const environment of ['dev', 'qa', 'prd']) {
      assert.equal(synth({ CDK_ENVIRONMENT: environment }).stackNames[0], `millrace-${environment}-network`);
    }
  },
  'ECS Fargate (No Load Balancer) Background Jobs': () => {
    none(production().template('scheduled-task'), 'AWS::ElasticLoadBalancingV2::LoadBalancer');
  },
});
