/**
 * The rules of AWS's groups, by the names of its documentation ("Baseline rule groups", "Use-case specific rule groups"), found
 * again in public templates that are deployed. In an account: aws wafv2 describe-managed-rule-group, see the runbook.
 */
const each = (name: string, ...parts: string[]): string[] => parts.map((part) => `${name}_${part}`);

export const MANAGED_RULES: Readonly<Record<string, readonly string[]>> = {
  AWSManagedRulesCommonRuleSet: [
    'NoUserAgent_HEADER',
    'UserAgent_BadBots_HEADER',
    ...each('SizeRestrictions', 'QUERYSTRING', 'Cookie_HEADER', 'BODY', 'URIPATH'),
    ...each('EC2MetaDataSSRF', 'BODY', 'COOKIE', 'URIPATH', 'QUERYARGUMENTS'),
    ...each('GenericLFI', 'QUERYARGUMENTS', 'URIPATH', 'BODY'),
    ...each('RestrictedExtensions', 'URIPATH', 'QUERYARGUMENTS'),
    ...each('GenericRFI', 'QUERYARGUMENTS', 'BODY', 'URIPATH'),
    ...each('CrossSiteScripting', 'COOKIE', 'QUERYARGUMENTS', 'BODY', 'URIPATH'),
  ],
  AWSManagedRulesKnownBadInputsRuleSet: [
    ...each('JavaDeserializationRCE', 'HEADER', 'BODY', 'URIPATH', 'QUERYSTRING'),
    'Host_localhost_HEADER',
    'PROPFIND_METHOD',
    'ExploitablePaths_URIPATH',
    ...each('Log4JRCE', 'HEADER', 'QUERYSTRING', 'BODY', 'URIPATH'),
  ],
  AWSManagedRulesSQLiRuleSet: [
    ...each('SQLi', 'QUERYARGUMENTS', 'BODY', 'COOKIE', 'URIPATH'),
    ...each('SQLiExtendedPatterns', 'QUERYARGUMENTS', 'BODY'),
  ],
};
