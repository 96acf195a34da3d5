/**
 * AWS WAF in front of the load balancer: a limit for each address, a limit for bodies, and three of AWS's own rule groups.
 *
 * Texts are this API's content: a record may quote HTML, SQL or a path, and a search may look for one. Rules that read bodies and
 * query arguments for such patterns only count, and so do the rule against clients without a User-Agent, the rules on cookies, which
 * the API never reads, and those on lengths, which it limits itself. Nothing runs what a text says: statements have parameters, and
 * answers are JSON. Blocked requests are logged, and many of them ring an alarm.
 */
import { ArnFormat, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { ApplicationLoadBalancer } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { ALARM_PERIOD, type AlarmTopic } from './alarm-topic.ts';
import { createLogGroup } from './log-group.ts';

interface RuleGroup {
  readonly name: string;
  /** Rules of the group that only count. */
  readonly onlyCount: readonly string[];
}

const RULE_GROUPS: readonly RuleGroup[] = [
  {
    name: 'AWSManagedRulesCommonRuleSet',
    onlyCount: [
      'NoUserAgent_HEADER',
      // Blocks from 8 KB on, where a text of 64 KB is normal: the rule `size` below stands in for it.
      'SizeRestrictions_BODY',
      // 2,048 and 1,024 bytes: in UTF-8 and percent-encoded a search of 250 letters is longer. The API takes 8 KiB, and answers 414.
      'SizeRestrictions_QUERYSTRING',
      'SizeRestrictions_URIPATH',
      // A browser sends what every site of the domain has set: an analytics cookie with an address in it is no attack.
      'SizeRestrictions_Cookie_HEADER',
      'CrossSiteScripting_COOKIE',
      'EC2MetaDataSSRF_COOKIE',
      'CrossSiteScripting_BODY',
      'CrossSiteScripting_QUERYARGUMENTS',
      'EC2MetaDataSSRF_BODY',
      'EC2MetaDataSSRF_QUERYARGUMENTS',
      'GenericLFI_BODY',
      'GenericLFI_QUERYARGUMENTS',
      'GenericRFI_BODY',
      'GenericRFI_QUERYARGUMENTS',
      // A search for `app.log` or `config.ini`.
      'RestrictedExtensions_QUERYARGUMENTS',
      // A record whose key is `app.log`. Nothing here is a file.
      'RestrictedExtensions_URIPATH',
    ],
  },
  {
    name: 'AWSManagedRulesKnownBadInputsRuleSet',
    onlyCount: [
      'JavaDeserializationRCE_BODY',
      'JavaDeserializationRCE_QUERYSTRING',
      'Log4JRCE_BODY',
      'Log4JRCE_QUERYSTRING',
    ],
  },
  {
    name: 'AWSManagedRulesSQLiRuleSet',
    onlyCount: [
      'SQLi_BODY',
      'SQLi_COOKIE',
      'SQLi_QUERYARGUMENTS',
      'SQLiExtendedPatterns_BODY',
      'SQLiExtendedPatterns_QUERYARGUMENTS',
    ],
  },
];

/** Answered as the API answers who is over its own limit, so that an honest client waits and comes back. */
const TOO_MANY_KEY = 'too-many';
const TOO_MANY = { type: 'about:blank', title: 'Too Many Requests', status: 429, detail: 'Too many requests from this address in five minutes.' };
/** Seconds. WAF counts again every few seconds; whoever stops is let in after a minute or so. */
const RETRY_AFTER = '60';
/**
 * `Content-Length` of a body that the API refuses anyway, unless it is an import (1 MiB; docs/http.md): 1,100,000 bytes and more.
 * WAF compares no numbers, so this counts digits. A body without a length is the gateway's to stop.
 */
export const TOO_LONG = '^0*(1[1-9][0-9]{5}|[2-9][0-9]{6}|[1-9][0-9]{7,})$';
const IMPORT = '/import';
const TOO_LARGE_KEY = 'too-large';
/** The API's own answer to such a body. */
const TOO_LARGE = { type: 'about:blank', title: 'Content Too Large', status: 413, detail: 'The body is larger than this operation accepts.' };
/** Blocked requests in five minutes that are worth a message: scanners come by every day. */
const BLOCKED = 1000;

export interface WebAclProps {
  readonly config: Config;
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly alarmTopic: AlarmTopic;
}

export class WebAcl extends Construct {
  constructor(scope: Construct, id: string, { config, loadBalancer, alarmTopic }: WebAclProps) {
    super(scope, id);
    const acl = new wafv2.CfnWebACL(this, 'Acl', {
      name: config.baseName,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visibility(config.baseName),
      customResponseBodies: {
        [TOO_LARGE_KEY]: { contentType: 'APPLICATION_JSON', content: JSON.stringify(TOO_LARGE) },
        [TOO_MANY_KEY]: { contentType: 'APPLICATION_JSON', content: JSON.stringify(TOO_MANY) },
      },
      rules: [
        rateRule(config),
        sizeRule(config.baseName),
        ...RULE_GROUPS.map((group, index) => rule(group, index + 2)),
      ],
    });
    new wafv2.CfnWebACLAssociation(this, 'Association', {
      resourceArn: loadBalancer.loadBalancerArn,
      webAclArn: acl.attrArn,
    });
    this.logBlocked(acl, config);
    alarmTopic.alarm(this, 'firewall-blocked', {
      description: `The firewall blocked more than ${BLOCKED} requests in five minutes.`,
      metric: new cloudwatch.Metric({
        namespace: 'AWS/WAFV2',
        metricName: 'BlockedRequests',
        dimensionsMap: { WebACL: config.baseName, Region: Stack.of(this).region, Rule: 'ALL' },
        period: ALARM_PERIOD,
        statistic: 'Sum',
      }),
      threshold: BLOCKED,
    });
  }

  /** AWS writes only to log groups of this prefix. What was let through is in the access logs. */
  private logBlocked(acl: wafv2.CfnWebACL, config: Config): void {
    const logGroup = createLogGroup(this, 'LogGroup', `aws-waf-logs-${config.baseName}`, config);
    new wafv2.CfnLoggingConfiguration(this, 'Logging', {
      resourceArn: acl.attrArn,
      logDestinationConfigs: [
        Stack.of(this).formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: logGroup.logGroupName,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      redactedFields: [{ singleHeader: { Name: 'authorization' } }, { singleHeader: { Name: 'cookie' } }],
      loggingFilter: {
        DefaultBehavior: 'DROP',
        Filters: [
          { Behavior: 'KEEP', Requirement: 'MEETS_ANY', Conditions: [{ ActionCondition: { Action: 'BLOCK' } }] },
        ],
      },
    });
  }
}

function rateRule({ baseName, firewallRate }: Config): wafv2.CfnWebACL.RuleProperty {
  return {
    name: 'rate',
    priority: 0,
    action: {
      block: {
        customResponse: {
          responseCode: 429,
          customResponseBodyKey: TOO_MANY_KEY,
          responseHeaders: [{ name: 'retry-after', value: RETRY_AFTER }],
        },
      },
    },
    statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit: firewallRate } },
    visibilityConfig: visibility(`${baseName}-rate`),
  };
}

function sizeRule(baseName: string): wafv2.CfnWebACL.RuleProperty {
  const asItIs = [{ priority: 0, type: 'NONE' }];
  return {
    name: 'size',
    priority: 1,
    action: { block: { customResponse: { responseCode: 413, customResponseBodyKey: TOO_LARGE_KEY } } },
    statement: {
      andStatement: {
        statements: [
          {
            regexMatchStatement: {
              fieldToMatch: { singleHeader: { Name: 'content-length' } },
              regexString: TOO_LONG,
              textTransformations: asItIs,
            },
          },
          {
            notStatement: {
              statement: {
                byteMatchStatement: {
                  fieldToMatch: { uriPath: {} },
                  positionalConstraint: 'ENDS_WITH',
                  searchString: IMPORT,
                  textTransformations: asItIs,
                },
              },
            },
          },
        ],
      },
    },
    visibilityConfig: visibility(`${baseName}-size`),
  };
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
