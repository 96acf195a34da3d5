/** Beyond the guide: the way in. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { synth, type Synthesized } from '../support/synth.ts';
import { all, attributes, type Json, one } from '../support/template.ts';
import { everything, plain, production, replica, scheduled } from '../support/variants.ts';

describe('load balancer', () => {
  const balancer = (which = plain()) =>
    attributes(
      one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties.LoadBalancerAttributes,
    );

  it('TLS 1.3 policy, by a name that AWS has', () => {
    const https = all(plain().template('compute'), 'AWS::ElasticLoadBalancingV2::Listener').find(
      ({ Properties }) => Properties.Port === 443,
    );
    assert.equal(https?.Properties.SslPolicy, 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06');
  });
  it('a task is healthy only when it answers 200', () => {
    const { Matcher, HealthCheckProtocol } = one(
      plain().template('compute'),
      'AWS::ElasticLoadBalancingV2::TargetGroup',
    ).Properties;
    assert.deepEqual([Matcher, HealthCheckProtocol ?? 'HTTP'], [{ HttpCode: '200' }, 'HTTP']);
  });
  it('another port gets another target group with a name of its own', () => {
    const name = (which: Synthesized) =>
      one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.Name;
    assert.equal(name(plain()), 'millrace-dev-3000');
    assert.equal(name(synth({ CDK_APP_PORT: '8080' })), 'millrace-dev-8080');
  });
  it('with a read replica a client returns to the task that it wrote to', () => {
    const sticky = (which: Synthesized) =>
      attributes(
        one(which.template('compute'), 'AWS::ElasticLoadBalancingV2::TargetGroup').Properties.TargetGroupAttributes,
      );
    assert.equal(sticky(replica())['stickiness.enabled'], 'true');
    assert.equal(sticky(replica())['stickiness.type'], 'lb_cookie');
    assert.equal(sticky(replica())['stickiness.lb_cookie.duration_seconds'], '300');
    assert.equal(sticky(plain())['stickiness.enabled'], 'false');
  });
  it('drops invalid headers', () =>
    assert.equal(balancer()['routing.http.drop_invalid_header_fields.enabled'], 'true'));
  it('deletion protection in prd only', () => {
    assert.equal(balancer(production())['deletion_protection.enabled'], 'true');
    assert.equal(balancer()['deletion_protection.enabled'], 'false');
  });
  it('in prd access logs go to a private, encrypted bucket with a lifetime', () => {
    const template = production().template('compute');
    const bucket = one(template, 'AWS::S3::Bucket');
    assert.equal(balancer(production())['access_logs.s3.enabled'], 'true');
    assert.deepEqual(balancer(production())['access_logs.s3.bucket'], { Ref: bucket.id });
    assert.ok(Object.values(bucket.Properties.PublicAccessBlockConfiguration).every((blocked) => blocked === true));
    const [encryption] = bucket.Properties.BucketEncryption.ServerSideEncryptionConfiguration;
    assert.equal(encryption.ServerSideEncryptionByDefault.SSEAlgorithm, 'AES256');
    const policy = JSON.stringify(one(template, 'AWS::S3::BucketPolicy').Properties);
    assert.match(policy, /logdelivery\.elasticloadbalancing\.amazonaws\.com/);
    assert.match(policy, /aws:SecureTransport/);
    assert.match(policy, /\/alb\/AWSLogs\//);
  });
  it('no bucket outside prd, because one that is not empty stops the deletion of the stacks', () => {
    for (const make of [plain, everything, scheduled]) {
      for (const { template } of make().assembly.stacks) {
        const types = Object.values<Json>(template.Resources).map(({ Type }) => Type);
        assert.ok(!types.includes('AWS::S3::Bucket'));
      }
    }
    assert.equal(balancer()['access_logs.s3.enabled'] ?? 'false', 'false');
  });
  it('in prd the bucket of access logs survives its stack', () => {
    const bucket = one(production().template('compute'), 'AWS::S3::Bucket');
    assert.equal(bucket.DeletionPolicy, 'Retain');
    assert.equal(bucket.Properties.LifecycleConfiguration.Rules[0].ExpirationInDays, 90);
  });
});
