/** Beyond the guide: what WAF blocks, and what it lets through. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { TOO_LONG } from '../../constructs/web-acl.ts';
import { MANAGED_RULES } from '../support/managed-rules.ts';
import { synth } from '../support/synth.ts';
import { alarm, all, type Json, none, one } from '../support/template.ts';
import { plain, production } from '../support/variants.ts';

/** What the API takes. */
const HTTP = readFileSync(join(import.meta.dirname, '../../../docs/http.md'), 'utf8');

describe('firewall', () => {
  it('in prd only, with AWS’s common, known-bad-inputs and SQL injection rules', () => {
    none(plain().template('compute'), 'AWS::WAFv2::WebACL');
    const acl = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    const managed = acl.Rules.filter(({ Statement }: Json) => Statement.ManagedRuleGroupStatement !== undefined);
    const groups = managed.map(({ Statement }: Json) => Statement.ManagedRuleGroupStatement.Name);
    assert.deepEqual(groups, [
      'AWSManagedRulesCommonRuleSet',
      'AWSManagedRulesKnownBadInputsRuleSet',
      'AWSManagedRulesSQLiRuleSet',
    ]);
    assert.equal(acl.Scope, 'REGIONAL');
    assert.deepEqual(acl.DefaultAction, { Allow: {} });
    assert.ok(managed.every(({ OverrideAction }: Json) => JSON.stringify(OverrideAction) === '{"None":{}}'));
    const association = one(production().template('compute'), 'AWS::WAFv2::WebACLAssociation').Properties;
    assert.match(JSON.stringify(association.ResourceArn), /LoadBalancer/);
  });
  it('lets texts through that quote HTML, SQL or a path, and clients without a User-Agent', () => {
    const { Rules } = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    const counted = Rules.flatMap(
      ({ Statement }: Json) => Statement.ManagedRuleGroupStatement?.RuleActionOverrides ?? [],
    );
    assert.ok(counted.every(({ ActionToUse }: Json) => JSON.stringify(ActionToUse) === '{"Count":{}}'));
    const names = counted.map(({ Name }: Json) => Name).sort();
    // All that reads what is content here, or what the API does not read at all, whatever AWS adds to its groups.
    const content = Object.values(MANAGED_RULES)
      .flat()
      .filter((name) => /_(BODY|QUERYARGUMENTS|QUERYSTRING|COOKIE)$|^SizeRestrictions_/.test(name));
    assert.ok(content.length >= 20, `${content.length} rules`);
    assert.deepEqual(names, [...content, 'NoUserAgent_HEADER', 'RestrictedExtensions_URIPATH'].sort());
  });
  it('the API reads no cookie, and takes longer targets than the firewall would', () => {
    const gateway = join(import.meta.dirname, '../../../gateway');
    const code = readdirSync(gateway).map((file) => readFileSync(join(gateway, file), 'utf8'));
    assert.ok(code.length > 30 && code.every((text) => !/\bcookie\b/i.test(text)));
    assert.match(HTTP, /^\| target \| .*up to 8 KiB \|.*414: longer/m);
  });
  it('names only rules that their group has: WAF ignores a misspelt one', () => {
    const { Rules } = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    for (const { Statement } of Rules) {
      const { Name, RuleActionOverrides } = Statement.ManagedRuleGroupStatement ?? { RuleActionOverrides: [] };
      for (const { Name: rule } of RuleActionOverrides) {
        assert.ok(MANAGED_RULES[Name]?.includes(rule), `${Name}: ${rule}`);
      }
    }
  });
  it('answers 429, as the API would, to an address that sends more than CDK_FIREWALL_RATE requests in five minutes', () => {
    const acl = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    const [rate] = acl.Rules;
    assert.deepEqual(rate.Statement, { RateBasedStatement: { AggregateKeyType: 'IP', Limit: 10_000 } });
    const { ResponseCode, CustomResponseBodyKey, ResponseHeaders } = rate.Action.Block.CustomResponse;
    assert.equal(ResponseCode, 429);
    assert.equal(JSON.parse(acl.CustomResponseBodies[CustomResponseBodyKey].Content).status, 429);
    assert.deepEqual(ResponseHeaders, [{ Name: 'retry-after', Value: '60' }]);
    const busy = synth({ CDK_ENVIRONMENT: 'prd', CDK_FIREWALL_RATE: '200000' });
    const [raised] = one(busy.template('compute'), 'AWS::WAFv2::WebACL').Properties.Rules;
    assert.equal(raised.Statement.RateBasedStatement.Limit, 200_000);
  });
  it('answers 413, as the API would, to a body that is too long for anything but an import', () => {
    const { CustomResponseBodies, Rules } = one(production().template('compute'), 'AWS::WAFv2::WebACL').Properties;
    const { Action, Statement } = Rules.find(({ Name }: Json) => Name === 'size');
    const { ResponseCode, CustomResponseBodyKey } = Action.Block.CustomResponse;
    assert.equal(ResponseCode, 413);
    assert.equal(JSON.parse(CustomResponseBodies[CustomResponseBodyKey].Content).status, 413);
    const [length, notImport] = Statement.AndStatement.Statements;
    assert.deepEqual(length.RegexMatchStatement.FieldToMatch, { SingleHeader: { Name: 'content-length' } });
    const { FieldToMatch, PositionalConstraint, SearchString } = notImport.NotStatement.Statement.ByteMatchStatement;
    assert.deepEqual([FieldToMatch, PositionalConstraint, SearchString], [{ UriPath: {} }, 'ENDS_WITH', '/import']);
  });
  it('lets every length through that the API accepts', () => {
    const [, limit, unit] = /^\| body \| (\d+) (MiB); 16 MiB for an import \|/m.exec(HTTP) ?? [];
    const most = Number(limit) * { MiB: 1024 * 1024 }[unit as 'MiB'];
    const tooLong = new RegExp(TOO_LONG);
    for (const length of ['', '0', '8192', '999999', '1000000', String(most), `00${most}`]) {
      assert.doesNotMatch(length, tooLong);
    }
    for (const length of ['1100000', '2000000', '9999999', '16777216', '100000000', '0001100000']) {
      assert.match(length, tooLong);
    }
  });
  it('logs what it blocks, without credentials, and rings when that is much', () => {
    const template = production().template('compute');
    const logging = one(template, 'AWS::WAFv2::LoggingConfiguration').Properties;
    const [group] = all(template, 'AWS::Logs::LogGroup').filter(({ Properties }) =>
      Properties.LogGroupName.startsWith('aws-waf-logs-'),
    );
    assert.ok(group !== undefined && JSON.stringify(logging.LogDestinationConfigs).includes(group.id));
    assert.deepEqual(
      logging.RedactedFields.map(({ SingleHeader }: Json) => SingleHeader.Name),
      ['authorization', 'cookie'],
    );
    assert.equal(logging.LoggingFilter.DefaultBehavior, 'DROP');
    assert.deepEqual(logging.LoggingFilter.Filters[0].Conditions, [{ ActionCondition: { Action: 'BLOCK' } }]);
    const { Dimensions, MetricName } = alarm(template, 'millrace-prd-firewall-blocked');
    assert.equal(MetricName, 'BlockedRequests');
    assert.deepEqual(Dimensions.map(({ Name }: Json) => Name).sort(), ['Region', 'Rule', 'WebACL']);
  });
});
