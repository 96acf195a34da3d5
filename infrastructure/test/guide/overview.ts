import assert from 'node:assert/strict';
import { section } from '../support/sentence.ts';
import { synth } from '../support/synth.ts';
import { all, one } from '../support/template.ts';
import { matrix, plain, scheduled } from '../support/variants.ts';

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
        types.filter((type) => /^AWS::(CloudFront|Amplify|AppRunner)::/.test(type)),
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
  'Cost Optimization: Right-sized resources with autoscaling capabilities': () => {
    one(plain().template('compute'), 'AWS::ApplicationAutoScaling::ScalableTarget');
    const cluster = one(plain().template('database'), 'AWS::RDS::DBCluster').Properties;
    assert.ok(
      cluster.ServerlessV2ScalingConfiguration.MaxCapacity > cluster.ServerlessV2ScalingConfiguration.MinCapacity,
    );
  },
  'Security by Design: Zero-trust networking with least privilege access': () => {
    for (const type of ['database', 'compute', 'scheduled-task'] as const) {
      for (const { id, Properties } of all(scheduled().template(type), 'AWS::EC2::SecurityGroup')) {
        const open = (Properties.SecurityGroupEgress ?? []).filter(
          ({ IpProtocol }: { IpProtocol: string }) => IpProtocol === '-1',
        );
        assert.deepEqual(open, [], `${id} lets everything out`);
      }
    }
  },
  'Infrastructure as Code: All infrastructure defined in CDK TypeScript': [
    'The function that rotates the password is AWS’s own, from its Serverless Application Repository.',
    () => {
      const foreign = scheduled().assembly.stacks.flatMap(({ template }) =>
        Object.values<{ Type: string }>(template.Resources)
          .map(({ Type }) => Type)
          .filter((type) => /^AWS::(CloudFormation::|Serverless::|Lambda::)|^Custom::/.test(type)),
      );
      assert.deepEqual(foreign, ['AWS::Serverless::Application'], 'no code and no template from elsewhere but this');
    },
  ],
  'Multi-Environment: Supports dev, qa, and production environments': () => {
    for (const environment of ['dev', 'qa', 'prd']) {
      const { stackNames } = synth({ CDK_ENVIRONMENT: environment });
      assert.deepEqual(
        stackNames,
        ['network', 'database', 'ecr', 'compute'].map((type) => `millrace-${environment}-${type}`),
      );
    }
  },
});
