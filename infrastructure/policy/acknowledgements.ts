/**
 * Findings of cdk-nag that we keep, each with the reason. An entry names one
 * finding on one resource, under the one condition where it appears;
 * test/policy.test.ts fails when an entry no longer answers a finding.
 */
import type { Config, StackType } from '../config/config.ts';

export interface Acknowledgement {
  readonly stack: StackType;
  /** The resource's path below its stack. */
  readonly path: string;
  readonly id: string;
  readonly reason: string;
  /** Everywhere, unless told. */
  readonly when?: (config: Config) => boolean;
}

const AWS_POLICY = 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/';
const outsideProduction = (config: Config) => !config.isProduction;

/** Both services are built alike, so each finding about one is a finding about the other. */
function ofService(stack: StackType, id: string): Acknowledgement[] {
  return [
    {
      stack,
      path: `${id}/Task/Resource`,
      id: 'AwsSolutions-ECS2',
      reason:
        'The plain variables are settings (port, log level, cron) and none is secret: what is secret comes from ' +
        'Secrets Manager and Parameter Store, which test/settings.test.ts checks against the list of the binary.',
    },
    {
      stack,
      path: `${id}/Task/ExecutionRole/DefaultPolicy/Resource`,
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'ecr:GetAuthorizationToken knows no resource but *; every other statement names its resource.',
    },
    {
      stack,
      path: `${id}/Task/TaskRole/DefaultPolicy/Resource`,
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'The actions of ECS Exec (ssmmessages, outside production) and of X-Ray know no resource but *.',
      when: (config) => outsideProduction(config) || config.xray,
    },
    {
      stack,
      path: 'Rotation/Machine/Resource',
      id: 'AwsSolutions-SF1',
      reason:
        'A standard state machine of one step that runs once a month: its execution history, kept by the service ' +
        'for 90 days, says all that a log would, and a failure raises an alarm.',
    },
    {
      stack,
      path: 'Rotation/Machine/Resource',
      id: 'AwsSolutions-SF2',
      reason: 'One call to one service leaves nothing to trace.',
    },
  ];
}

export const acknowledgements: readonly Acknowledgement[] = [
  {
    stack: 'network',
    path: 'Vpc/Resource',
    id: 'AwsSolutions-VPC7',
    reason:
      'The guide makes flow logs optional, and they are paid by volume: CDK_VPC_FLOW_LOGS=true turns them on. ' +
      'Without them the security groups still let through nothing but what they name.',
    when: (config) => !config.vpcFlowLogs && config.vpcId === undefined,
  },
  {
    stack: 'database',
    path: 'Cluster/MonitoringRole/Resource',
    id: `${AWS_POLICY}AmazonRDSEnhancedMonitoringRole]`,
    reason:
      'Enhanced monitoring wants this policy of AWS; it can write to the log group RDSOSMetrics and nothing else.',
  },
  {
    stack: 'database',
    path: 'Backup/Plan/Database/Role/Resource',
    id: `${AWS_POLICY}AWSBackupServiceRolePolicyForBackup]`,
    reason:
      'AWS Backup keeps this policy in step with what it backs up; a copy of ours would go stale and a backup fail.',
    when: (config) => config.isProduction,
  },
  {
    stack: 'database',
    path: 'Cluster/Resource',
    id: 'AwsSolutions-RDS6',
    reason:
      'The services sign in with a password that is rotated every 30 days over verified TLS. Nobody would use a ' +
      'second way in, so it stays closed.',
  },
  {
    stack: 'database',
    path: 'Cluster/Resource',
    id: 'AwsSolutions-RDS10',
    reason: 'The guide has development environments destroyed regularly; production is protected.',
    when: outsideProduction,
  },
  {
    stack: 'database',
    path: 'Cluster/Secret/Resource',
    id: 'AwsSolutions-SMG4',
    reason:
      'Without NAT no function in the VPC reaches Secrets Manager, and the endpoint that would do costs more than is saved: outside ' +
      'production the password is changed by hand, as the runbook says.',
    when: (config) => !config.vpcNat,
  },
  {
    stack: 'database',
    path: 'ReadOnlySecret/Resource',
    id: 'AwsSolutions-SMG4',
    reason: 'It holds the host name of the read replica and no credential: there is nothing to rotate.',
    when: (config) => config.databaseReadReplica,
  },
  {
    stack: 'compute',
    path: 'Endpoint/LoadBalancer/SecurityGroup/Resource',
    id: 'AwsSolutions-EC23',
    reason: 'A public API: the load balancer answers the internet on 443, and on 80 only to redirect there.',
  },
  {
    stack: 'compute',
    path: 'Endpoint/AccessLogs/Bucket/Resource',
    id: 'AwsSolutions-S1',
    reason: 'The bucket holds access logs; logging who reads the log would need another such bucket, without end.',
    when: (config) => config.isProduction,
  },
  {
    stack: 'compute',
    path: 'Endpoint/LoadBalancer/Resource',
    id: 'AwsSolutions-ELB2',
    reason: 'Access logs are kept in production. Elsewhere their bucket would not be empty when the stack is deleted, and stop it.',
    when: outsideProduction,
  },
  ...ofService('compute', 'Api'),
  ...ofService('scheduled-task', 'Scheduler').map((entry) => ({
    ...entry,
    when: (config: Config) => config.hasScheduledTasks && (entry.when?.(config) ?? true),
  })),
];
