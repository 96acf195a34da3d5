/** AWS WAF before the load balancer, with three of AWS's own rule groups. */
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';

interface RuleGroup {
  readonly name: string;
  /** Rules of the group that only count, and why. */
  readonly onlyCount: readonly string[];
}

const RULE_GROUPS: readonly RuleGroup[] = [
  // Bodies over 8 KB are normal here: an import has up to 16 MiB, and the API has limits of its own.
  { name: 'AWSManagedRulesCommonRuleSet', onlyCount: ['SizeRestrictions_BODY'] },
  { name: 'AWSManagedRulesKnownBadInputsRuleSet', onlyCount: [] },
  { name: 'AWSManagedRulesSQLiRuleSet', onlyCount: [] },
];

export class WebAcl extends Construct {
  constructor(scope: Construct, id: string, name: string, resourceArn: string) {
    super(scope, id);
    const acl = new wafv2.CfnWebACL(this, 'Acl', {
      name,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visibility(name),
      rules: RULE_GROUPS.map(rule),
    });
    new wafv2.CfnWebACLAssociation(this, 'Association', { resourceArn, webAclArn: acl.attrArn });
  }
}

function rule({ name, onlyCount }: RuleGroup, priority: number): wafv2.CfnWebACL.RuleProperty {
  return {
    name,
    priority,
    overrideAction: { none: {} },
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name,
        ruleActionOverrides: onlyCount.map((counted) => ({ name: counted, actionToUse: { count: {} } })),
      },
    },
    visibilityConfig: visibility(name),
  };
}

function visibility(metricName: string): wafv2.CfnWebACL.VisibilityConfigProperty {
  return { metricName, cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true };
}
