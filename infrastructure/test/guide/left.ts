/**
 * What else the guide says, and why no template can make it true. With the
 * sentences of this folder these are all that state something; docs.test.ts
 * wants the runbook to hold what is said here to be there.
 */
export interface Left {
  readonly section: string;
  readonly says: string;
  readonly why: string;
  /** Words of the runbook that take it up. */
  readonly runbook?: string;
}

const BINARY = 'The binary does, and its own tests check it';
const HABIT = 'A habit of people.';

export const left: readonly Left[] = [
  {
    section: 'Read Replica Support',
    says: 'Application creates a read-only TypeORM data source using the replica endpoint',
    why: `${BINARY}: the readers among its actors connect to \`DB_HOST_READ_ONLY\`.`,
  },
  {
    section: 'Read Replica Support',
    says: 'Falls back to primary host if `DB_HOST_READ_ONLY` is not provided',
    why: `${BINARY}.`,
  },
  {
    section: 'Prerequisites',
    says: 'AWS CLI configured with appropriate credentials',
    why: 'Before the first deployment, by hand.',
    runbook: 'aws sts get-caller-identity',
  },
  {
    section: 'Step-by-Step Deployment',
    says: 'Check AWS Console for created resources',
    why: 'The runbook has commands for it.',
    runbook: 'aws cloudformation describe-stacks',
  },
  {
    section: 'Performance Considerations',
    says: 'Database ACUs: 1 ACU = 2 GB RAM + proportional CPU and networking',
    why: 'A property of Aurora; the alarm on connections is derived from it.',
  },
  {
    section: 'Performance Considerations',
    says: 'Health Checks: Ensure adequate memory for application startup and health check responsiveness',
    why: 'The image’s tests start it within 512 MB and a quarter of a CPU, the smallest task there is.',
  },
  {
    section: 'Scheduled Task Costs',
    says: 'Production: Only enable when scheduled tasks are actually needed',
    why: HABIT,
    runbook: '## Turn something off',
  },
  {
    section: 'Cost Monitoring',
    says: 'AWS Cost Explorer, CloudWatch billing metrics',
    why: 'Both belong to the account and see the tags of every resource.',
  },
  {
    section: 'Troubleshooting',
    says: 'Check CloudFormation events in AWS Console',
    why: 'When a deployment fails.',
    runbook: 'aws cloudformation describe-stack-events',
  },
  {
    section: 'Troubleshooting',
    says: 'Verify environment variables are correctly set',
    why: 'Synthesis refuses wrong ones, all at once; a container that is refused one ends with status 2.',
    runbook: 'exit code 2',
  },
  {
    section: 'Troubleshooting',
    says: 'Ensure existing resources (VPC, certificates) are accessible',
    why: 'Only AWS knows.',
    runbook: 'of a certificate, hosted zone, subnet or VPC',
  },
  { section: 'Troubleshooting', says: 'Check ECS service events', why: 'By hand.', runbook: 'services[0].events' },
  {
    section: 'Troubleshooting',
    says: 'Review CloudWatch logs for error messages',
    why: 'By hand.',
    runbook: 'aws logs filter-log-events',
  },
  {
    section: 'Troubleshooting',
    says: 'Verify database connectivity and credentials',
    why: 'An alarm rings, and the log has the reason.',
    runbook: '`api-database-lost`',
  },
  {
    section: 'Best Practices',
    says: 'Environment-Specific Values, Resource Sizing: start small, Cost Monitoring, Validation: test in development first',
    why: HABIT,
  },
  {
    section: 'Best Practices',
    says: 'Local Testing, Progressive Deployment: dev → qa → production, Scheduled Task Management',
    why: HABIT,
  },
  {
    section: 'Best Practices',
    says: 'Access Control: Use IAM roles instead of access keys where possible',
    why: 'Tasks have roles and no keys; how people sign in to AWS is theirs.',
  },
  {
    section: 'Best Practices',
    says: 'Network Segmentation: Maintain strict security group rules',
    why: 'They are strict (Network Security), and the tests keep them so.',
  },
  {
    section: 'Best Practices',
    says: 'Regular Updates: Keep CDK and AWS CLI updated',
    why: '`package.json` pins the CDK; the tests judge a newer one.',
  },
  {
    section: 'Best Practices',
    says: 'Monitoring before production, Documentation kept updated, Cost Optimization monthly',
    why: 'The first deployment brings alarms and dashboard; pages are generated; the rest is a habit.',
  },
  {
    section: 'Best Practices',
    says: 'Backup Testing: Regularly test backup and recovery procedures',
    why: HABIT,
    runbook: 'Practise this twice a year',
  },
  {
    section: 'Best Practices',
    says: 'Version Control: Tag infrastructure releases for rollback capability, Code Reviews',
    why: HABIT,
  },
];
