/**
 * cdk-nag and the library's own rules. A linter that is only added checks
 * nothing: here its findings are an empty list in every configuration, and a
 * bad fixture proves that they would not be.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type App, CfnResource, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks } from 'cdk-nag';
import { loadConfig } from '../config/load.ts';
import { acknowledgements } from '../policy/acknowledgements.ts';
import { applyPolicy } from '../policy/policy.ts';
import { buildStacks } from '../stacks/build.ts';
import { newApp, REQUIRED, synth } from './support/synth.ts';
import { matrix } from './support/variants.ts';

/** `rule at path`, for every finding that nobody acknowledged. */
function findings(app: App): string[] {
  return new AwsSolutionsChecks(app)
    .validateScope(app)
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
    );
}

interface Report {
  readonly pluginReports: readonly {
    readonly pluginName: string;
    readonly conclusion: string;
    readonly violations: readonly { readonly ruleName: string; readonly severity?: string }[];
  }[];
}

/** Synthesizes, which throws when a check fails, and returns what the checks wrote. */
function synthesize(app: App): { report: Report; failed: boolean } {
  let failed = false;
  try {
    app.synth();
  } catch (error) {
    assert.match(String(error), /Validation failed/);
    failed = true;
  }
  return { report: JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8')), failed };
}

function addBadBucket(app: App): void {
  new s3.Bucket(new Stack(app, 'bad'), 'Open', { bucketName: 'millrace-bad-fixture' });
}

describe('cdk-nag (AwsSolutions)', () => {
  for (const [name, make] of Object.entries(matrix)) {
    it(`finds nothing that is not acknowledged: ${name}`, () => assert.deepEqual(findings(make().app), []));
  }

  it('finds a bad fixture: a bucket without TLS and logs, a group open to the world', () => {
    const app = newApp();
    addBadBucket(app);
    const stack = new Stack(app, 'open');
    const group = new ec2.SecurityGroup(stack, 'Group', { vpc: new ec2.Vpc(stack, 'Vpc') });
    group.addIngressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(22));
    const found = findings(app);
    for (const expected of [
      'AwsSolutions-S1 at bad/Open/Resource',
      'AwsSolutions-S10 at bad/Open/Resource',
      'AwsSolutions-EC23 at open/Group/Resource',
      'AwsSolutions-VPC7 at open/Vpc/Resource',
    ]) {
      assert.ok(found.includes(expected), `${expected} among ${found.join(', ')}`);
    }
  });

  it('fails the synthesis of the real app when one bad bucket is added to it', () => {
    const app = newApp('1.2.3');
    const config = loadConfig(REQUIRED);
    buildStacks(app, config);
    addBadBucket(app);
    applyPolicy(app, config);
    const { report, failed } = synthesize(app);
    assert.ok(failed);
    const rules = report.pluginReports.flatMap(({ violations }) => violations.map(({ ruleName }) => ruleName));
    assert.ok(
      rules.some((rule) => rule.endsWith('AwsSolutions-S10')),
      rules.join(),
    );
  });
});

describe('acknowledgements', () => {
  /** The findings of every configuration when nothing is acknowledged. */
  const raw = new Set(
    Object.values(matrix).flatMap((make) => {
      const { config } = make();
      const app = newApp('1.2.3');
      buildStacks(app, config);
      return findings(app).map((finding) => finding.replace(`at ${config.baseName}-`, 'at '));
    }),
  );

  for (const { id, stack, path, reason } of acknowledgements) {
    it(`still answers a finding: ${id} at ${stack}/${path}`, () => {
      assert.ok(raw.has(`${id} at ${stack}/${path}`));
      assert.ok(reason.length > 40, 'a reason that stands up takes a sentence');
    });
  }

  it('of protection outside production does not cover production', () => {
    const { app, config } = matrix.production?.() ?? synth({ CDK_ENVIRONMENT: 'prd' });
    const cluster = app.node.findAll().find(({ node }) => node.path === `${config.baseName}-database/Cluster/Resource`);
    assert.ok(cluster);
    const acknowledged = cluster.node.metadata.map(({ data }) => JSON.stringify(data)).join();
    assert.match(acknowledged, /RDS6/);
    assert.doesNotMatch(acknowledged, /RDS10/);
  });

  it('of a resource that is gone is an error', () => {
    const config = loadConfig(REQUIRED);
    assert.throws(() => applyPolicy(newApp(), config), /there is no millrace-dev-network\/Vpc\/Resource/);
  });
});

/** What synthesis says of these configurations on purpose: test/beyond/scheduler.test.ts and alarms.test.ts want it to. */
const WANTED = ['Annotation::millrace:no-scheduler', 'Annotation::millrace:no-alarm-address'];

describe('the library’s bundled rules', () => {
  it('are turned on for every synthesis', () => {
    const { context } = JSON.parse(readFileSync(join(import.meta.dirname, '../cdk.json'), 'utf8'));
    assert.equal(context['@aws-cdk/core:validateAgainstDefaultRules'], true);
  });

  for (const [name, make] of Object.entries(matrix)) {
    it(`find nothing, nor does any other check: ${name}`, () => {
      const { report, failed } = synthesize(make().app);
      assert.equal(failed, false);
      const broken = report.pluginReports
        .flatMap(({ violations }) => violations)
        .filter(({ ruleName }) => !WANTED.includes(ruleName));
      assert.deepEqual(broken, []);
    });
  }

  it('fail the synthesis of a bad fixture', () => {
    const app = newApp();
    const stack = new Stack(app, 'bad');
    new CfnResource(stack, 'Bucket', { type: 'AWS::S3::Bucket', properties: { BucketEncription: 'typo' } });
    const { report, failed } = synthesize(app);
    assert.ok(failed);
    assert.match(JSON.stringify(report), /BucketEncription/);
  });
});
