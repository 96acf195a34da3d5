/** The configurations that the tests look at; each is synthesized once. */
import { type Synthesized, synth } from './synth.ts';

const CRON = { CDK_SCHEDULE_TASK_CLEANUP_CRON: '0 2 * * *' };

/** Nothing set that need not be. */
export const plain = (): Synthesized => synth();
/** With a cron, so that all five stacks are there. */
export const scheduled = (): Synthesized => synth(CRON);
export const production = (): Synthesized => synth({ CDK_ENVIRONMENT: 'prd', ...CRON });
export const replica = (): Synthesized => synth({ CDK_DATABASE_READ_REPLICA: 'true', ...CRON });
export const pausing = (): Synthesized => synth({ CDK_DATABASE_MIN_CAPACITY: '0', ...CRON });
/** The name with which every other name is the guide's own. */
export const guideNames = (): Synthesized =>
  synth({
    CDK_APP_NAME: 'nestjs-playground',
    CDK_DOMAIN_NAME: 'nestjs-playground-api',
    CDK_DATABASE_READ_REPLICA: 'true',
    ...CRON,
  });
export const existingVpc = (): Synthesized =>
  synth({
    CDK_VPC_ID: 'vpc-0123456789abcdef0',
    CDK_VPC_SUBNETS_PUBLIC: 'subnet-00000000000000001,subnet-00000000000000002',
    CDK_VPC_SUBNETS_PRIVATE: 'subnet-00000000000000003,subnet-00000000000000004',
    CDK_VPC_AZS: 'us-east-1a,us-east-1b',
    ...CRON,
  });
/** The least that an environment can cost: no NAT, and a database that sleeps. */
export const frugal = (): Synthesized => synth({ CDK_VPC_NAT: 'false', CDK_DATABASE_MIN_CAPACITY: '0', ...CRON });
/** Everything that a setting can turn on. */
export const everything = (environment: 'dev' | 'prd' = 'dev'): Synthesized =>
  synth({
    CDK_ENVIRONMENT: environment,
    CDK_DATABASE_READ_REPLICA: 'true',
    CDK_DATABASE_MIN_CAPACITY: '0',
    CDK_VPC_FLOW_LOGS: 'true',
    CDK_XRAY: 'true',
    CDK_ALARM_EMAIL: 'oncall@example.com',
    CDK_ARM64: 'true',
    CDK_SPOT: 'true',
    CDK_ECR_SHARED: 'true',
    CDK_APP_JWT_ROTATION: 'true',
    CDK_APP_JWT_PER_ENVIRONMENT: 'true',
    CDK_APP_IMAGE: '210987654321.dkr.ecr.us-east-1.amazonaws.com/team/shop',
    CDK_APP_SETTINGS: '{"RESTOCK_CRON":"0 3 * * *"}',
    CDK_KMS_KEY_ARN: 'arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000',
    CDK_BACKUP_LOCK: 'governance',
    CDK_VPC_CIDR: '172.20.0.0/18',
    CDK_SCHEDULER_EGRESS_PORTS: '443,8443',
    CDK_SCHEDULE_TASK_AGGREGATE_CRON: '15 * * * *',
    CDK_SCHEDULE_TASK_REPORT_CRON: '0 6 * * MON',
    CDK_SCHEDULE_TASK_MAINTENANCE_CRON: '30 3 * * SUN',
    CDK_SCHEDULE_TIMEZONE: 'Europe/Berlin',
    ...CRON,
  });

/** Every configuration above, by name. */
export const matrix: Readonly<Record<string, () => Synthesized>> = {
  plain,
  scheduled,
  production,
  replica,
  pausing,
  guideNames,
  existingVpc,
  frugal,
  everything: () => everything(),
  'everything in prd': () => everything('prd'),
};
