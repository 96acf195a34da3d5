/**
 * Every variable of the deployment, once: name, default, what is accepted, what
 * it is for. The loader, the messages, .env.example and the table in
 * docs/infrastructure.md all come from here.
 */
import { FARGATE_MEMORY } from './fargate.ts';
import type { Parser } from './parsers.ts';
import * as is from './parsers.ts';
import { RESERVED_WORDS } from './reserved-words.ts';

export interface Variable<T> {
  readonly name: string;
  readonly about: string;
  readonly parser: Parser<T>;
  readonly required: boolean;
  /** Text, or `$NAME`: the value of another variable (or of the CDK CLI's own). */
  readonly fallback?: string;
  /** How the other variable's text becomes this one's. */
  readonly adapt?: (text: string) => string;
  /** What .env.example shows; the default otherwise. */
  readonly example?: string;
}

function required<T>(name: string, parser: Parser<T>, example: string, about: string): Variable<T> {
  return { name, about, parser, required: true, example };
}

function withDefault<T>(
  name: string,
  parser: Parser<T>,
  fallback: string,
  about: string,
  example?: string,
): Variable<T> {
  return { name, about, parser, required: true, fallback, example };
}

function optional<T>(
  name: string,
  parser: Parser<T>,
  example: string,
  about: string,
  fallback?: string,
): Variable<T | undefined> {
  return { name, about, parser, required: false, example, fallback };
}

const APP_NAME = is.matching(
  /^(?!.*--)(?!internal(-|$)|aws|ssm)[a-z][a-z0-9-]{0,18}[a-z0-9]$/,
  'lower-case letters, digits and single hyphens, 2 to 20 characters, starting with a letter ' +
    '(load balancer names end at 32) and not with internal-, aws or ssm (load balancers and parameters may not)',
);
const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/;
const LABEL = is.matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'one label below the zone, such as millrace-api (the zone is added)',
);
const CERTIFICATE = is.matching(
  /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[0-9A-Za-z-]+$/,
  'an ARN like arn:aws:acm:us-east-1:123456789012:certificate/…',
);
const ACCOUNT = is.matching(/^\d{12}$/, '12 digits');
const REGION = is.matching(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region name such as us-east-1');
const SUBNETS = is.list(/^subnet-[0-9a-f]{8,17}$/, 'subnet ids such as subnet-0123456789abcdef0');
const IDENTIFIER = /^[a-z][a-z0-9_]{0,62}$/;
const DATABASE_NAME = is.matching(
  IDENTIFIER,
  'a PostgreSQL name: a-z, 0-9 and _, starting with a letter, up to 63; no reserved word, nor admin, rdsadmin, template0, template1',
  [...RESERVED_WORDS, 'admin', 'rdsadmin', 'template0', 'template1'],
);
const DATABASE_USER = is.matching(
  /^(?!pg_)[a-z][a-z0-9_]{0,62}$/,
  'a PostgreSQL role: a-z, 0-9 and _, starting with a letter, up to 63; no reserved word, nor admin, rdsadmin, public, none, pg_…',
  [...RESERVED_WORDS, 'admin', 'rdsadmin', 'public', 'none'],
);
/** The range is the binary's own, which test/settings.test.ts compares. */
export const JWT_LIFE = { low: '1s', high: '30d' };
const CPU = is.numberOf(...FARGATE_MEMORY.keys());
const MEMORY = is.integer(512, 30720);
const TAG = is.matching(
  /^(?!aws:)[\p{L}\p{N} _.:/=+@-]{1,256}$/iu,
  '1 to 256 letters, digits, spaces and _.:/=+-@, not starting with aws:',
);
const ECR_REPOSITORY = is.matching(
  /^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\/[a-z0-9]+([._/-][a-z0-9]+)*$/,
  'a repository of ECR such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/shop, without a tag',
);
const KMS_KEY = is.matching(
  /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[0-9A-Za-z-]+$/,
  'an ARN like arn:aws:kms:us-east-1:123456789012:key/…',
);
const EMAIL = is.matching(/^[^@\s]+@[^@\s]+\.[^@\s]+$/, 'an e-mail address');

export const variables = {
  environment: required('CDK_ENVIRONMENT', is.oneOf('dev', 'qa', 'prd'), 'dev', 'environment name'),
  account: optional('CDK_ACCOUNT', ACCOUNT, '123456789012', 'AWS account id', '$CDK_DEFAULT_ACCOUNT'),
  region: optional('CDK_REGION', REGION, 'us-east-1', 'AWS region', '$CDK_DEFAULT_REGION'),

  hostedZoneId: required(
    'CDK_HOSTED_ZONE_ID',
    is.matching(/^Z[A-Z0-9]{5,31}$/, 'a zone id such as Z1234567890ABC'),
    'Z1234567890ABC',
    'Route 53 zone id',
  ),
  hostedZoneName: required(
    'CDK_HOSTED_ZONE_NAME',
    is.matching(DOMAIN, 'a domain name such as example.com'),
    'example.com',
    'Route 53 zone name',
  ),
  domainName: required('CDK_DOMAIN_NAME', LABEL, 'millrace-api', 'application subdomain'),
  certificateArn: required(
    'CDK_CERTIFICATE_ARN',
    CERTIFICATE,
    'arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-4000-8000-000000000000',
    'ACM certificate of the load balancer, in its region',
  ),

  vpcId: optional(
    'CDK_VPC_ID',
    is.matching(/^vpc-[0-9a-f]{8,17}$/, 'a VPC id such as vpc-0123456789abcdef0'),
    'vpc-0123456789abcdef0',
    'an existing VPC; unset: the network stack creates one',
  ),
  vpcSubnetsPublic: optional(
    'CDK_VPC_SUBNETS_PUBLIC',
    SUBNETS,
    'subnet-00000000000000001,subnet-00000000000000002',
    'its public subnets, in the order of the zones',
  ),
  vpcSubnetsPrivate: optional(
    'CDK_VPC_SUBNETS_PRIVATE',
    SUBNETS,
    'subnet-00000000000000003,subnet-00000000000000004',
    'its private subnets (with a way out through NAT), in the order of the zones',
  ),
  vpcZones: optional(
    'CDK_VPC_AZS',
    is.list(/^[a-z]{2}(-[a-z]+)+-\d[a-z]$/, 'zones such as us-east-1a'),
    'us-east-1a,us-east-1b',
    'its availability zones, two or more',
  ),
  vpcCidr: withDefault(
    'CDK_VPC_CIDR',
    is.cidr(16, 20),
    '10.0.0.0/16',
    'addresses of the new VPC; they must not overlap with networks that you connect it to',
  ),
  vpcNat: withDefault(
    'CDK_VPC_NAT',
    is.boolean,
    'true',
    'false, outside prd: no NAT gateway; tasks run in public subnets, where only the load balancer reaches them',
  ),

  appName: withDefault('CDK_APP_NAME', APP_NAME, 'millrace', 'application name, which every other name starts with'),
  appPort: withDefault('CDK_APP_PORT', is.integer(1, 65535), '3000', 'application port'),
  loggingLevel: withDefault('CDK_APP_LOGGING_LEVEL', is.oneOf('debug', 'info', 'warn', 'error'), 'info', 'log level'),
  corsAllowedOrigin: withDefault('CDK_APP_CORS_ALLOWED_ORIGIN', is.origins, '*', 'CORS allowed origins'),
  jwtExpiresIn: withDefault(
    'CDK_APP_JWT_EXPIRES_IN',
    is.duration(JWT_LIFE.low, JWT_LIFE.high),
    '1h',
    'JWT token expiration',
  ),
  jwtRotation: withDefault(
    'CDK_APP_JWT_ROTATION',
    is.boolean,
    'false',
    'true while you change the JWT secret: the API also accepts tokens of /<app name>/jwt-secret-previous',
  ),

  jwtPerEnvironment: withDefault(
    'CDK_APP_JWT_PER_ENVIRONMENT',
    is.boolean,
    'false',
    'name the JWT secret /<app name>/<environment>/jwt-secret, for environments that share an account and a region',
  ),
  appImage: optional(
    'CDK_APP_IMAGE',
    ECR_REPOSITORY,
    '123456789012.dkr.ecr.us-east-1.amazonaws.com/shop',
    "repository with your application's image (FROM millrace, COPY your folder to /app); unset: the ecr stack's",
  ),
  appSettings: optional(
    'CDK_APP_SETTINGS',
    is.settings,
    `'{"RESTOCK_CRON":"0 3 * * *"}'`,
    "variables that your application's folder names; no secrets",
  ),

  databaseName: {
    ...withDefault('CDK_DATABASE_NAME', DATABASE_NAME, '$CDK_APP_NAME', 'database name', 'millrace'),
    // With the guide's application name this is the guide's database name, nestjs_playground.
    adapt: (text: string) => text.replaceAll('-', '_'),
  },
  databaseUsername: withDefault('CDK_DATABASE_USERNAME', DATABASE_USER, 'postgres', 'database username'),
  databaseMinCapacity: withDefault('CDK_DATABASE_MIN_CAPACITY', is.capacity(0.5, 16, true), '0.5', 'least Aurora ACUs'),
  databaseMaxCapacity: withDefault('CDK_DATABASE_MAX_CAPACITY', is.capacity(1, 16, false), '1', 'most Aurora ACUs'),
  databaseReadReplica: withDefault('CDK_DATABASE_READ_REPLICA', is.boolean, 'false', 'enable read replica'),
  databaseAutoPauseSeconds: optional(
    'CDK_DATABASE_AUTO_PAUSE_SECONDS',
    is.integer(300, 86400),
    '300',
    'idle seconds before the database pauses; only with CDK_DATABASE_MIN_CAPACITY=0, where the default is 300',
  ),
  databaseEngineVersion: withDefault(
    'CDK_DATABASE_ENGINE_VERSION',
    is.matching(/^17\.\d{1,2}$/, 'a minor version of PostgreSQL 17 that Aurora offers, such as 17.5'),
    '17.5',
    'version of Aurora PostgreSQL; AWS raises it only when this setting does',
  ),
  kmsKey: optional(
    'CDK_KMS_KEY_ARN',
    KMS_KEY,
    'arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000',
    "your key for the database, its secrets and its backups; unset: AWS's key",
  ),
  backupLock: withDefault(
    'CDK_BACKUP_LOCK',
    is.oneOf('none', 'governance', 'compliance'),
    'none',
    'in prd: nobody deletes a backup within its 35 days; compliance: from the fourth day on nobody can remove the lock either',
  ),
  backupCopyRegion: optional(
    'CDK_BACKUP_COPY_REGION',
    REGION,
    'us-west-2',
    'region for copies of the backups of prd; unset: us-west-2, or us-east-1 for an environment in us-west-2',
  ),

  taskMemoryMb: withDefault('CDK_TASK_MEMORY_MB', MEMORY, '512', 'API task memory (MB)'),
  taskCpuUnits: withDefault('CDK_TASK_CPU_UNITS', CPU, '256', 'API task CPU units'),
  serviceDesiredCount: withDefault('CDK_SERVICE_DESIRED_COUNT', is.integer(0, 100), '0', 'initial API task count'),
  serviceMinCapacity: withDefault('CDK_SERVICE_MIN_CAPACITY', is.integer(0, 100), '0', 'auto scaling minimum'),
  serviceMaxCapacity: withDefault('CDK_SERVICE_MAX_CAPACITY', is.integer(1, 100), '4', 'auto scaling maximum'),

  cleanupCron: optional('CDK_SCHEDULE_TASK_CLEANUP_CRON', is.cron, '"0 2 * * *"', 'when the cleanup job runs'),
  aggregateCron: optional('CDK_SCHEDULE_TASK_AGGREGATE_CRON', is.cron, '"15 * * * *"', 'when the aggregate job runs'),
  reportCron: optional('CDK_SCHEDULE_TASK_REPORT_CRON', is.cron, '"0 6 * * MON"', 'when the report job runs'),
  maintenanceCron: optional(
    'CDK_SCHEDULE_TASK_MAINTENANCE_CRON',
    is.cron,
    '"30 3 * * SUN"',
    'when the maintenance job runs',
  ),
  scheduleTimezone: optional('CDK_SCHEDULE_TIMEZONE', is.timeZone, 'UTC', 'time zone of the cron expressions'),
  scheduler: withDefault(
    'CDK_SCHEDULER',
    is.oneOf('auto', 'true'),
    'auto',
    'whether there is a scheduler; auto: if a cron, CDK_APP_IMAGE or CDK_SCHEDULER_EGRESS_PORTS is set',
  ),
  schedulerEgressPorts: optional(
    'CDK_SCHEDULER_EGRESS_PORTS',
    is.ports,
    '8443,9200',
    'TCP ports, besides 443, on which the scheduler may push',
  ),
  schedulerTaskMemoryMb: withDefault('CDK_SCHEDULER_TASK_MEMORY_MB', MEMORY, '512', 'scheduler memory (MB)'),
  schedulerTaskCpuUnits: withDefault('CDK_SCHEDULER_TASK_CPU_UNITS', CPU, '256', 'scheduler CPU units'),

  tagApp: withDefault('CDK_TAG_APP', TAG, '$CDK_APP_NAME', 'tag App', 'millrace'),
  tagEnv: withDefault('CDK_TAG_ENV', TAG, '$CDK_ENVIRONMENT', 'tag Env', 'dev'),
  tagOu: withDefault('CDK_TAG_OU', TAG, 'engineering', 'tag OU'),
  tagOwner: withDefault('CDK_TAG_OWNER', TAG, 'team@example.com', 'tag Owner'),

  ecrShared: withDefault(
    'CDK_ECR_SHARED',
    is.boolean,
    'false',
    'true where environments share the account: the image repository has the environment in its name',
  ),
  vpcFlowLogs: withDefault('CDK_VPC_FLOW_LOGS', is.boolean, 'false', 'log the network traffic of the VPC'),
  xray: withDefault(
    'CDK_XRAY',
    is.boolean,
    'false',
    'record one trace in a hundred in X-Ray, through an OpenTelemetry collector beside the application',
  ),
  firewallRate: withDefault(
    'CDK_FIREWALL_RATE',
    is.integer(100, 100_000_000),
    '10000',
    'in prd: requests in five minutes from one address before the firewall answers 429; raise it where workers share an address',
  ),
  alarmEmail: optional('CDK_ALARM_EMAIL', EMAIL, 'oncall@example.com', 'address that alarms go to'),
  arm64: withDefault('CDK_ARM64', is.boolean, 'false', 'run on Graviton (the image must be built for arm64)'),
  spot: withDefault('CDK_SPOT', is.boolean, 'false', 'run on Fargate Spot; in prd the first task stays on demand'),
};

export type Variables = typeof variables;
/** The parsed value of every variable, under its key. */
export type Values = { readonly [K in keyof Variables]: Variables[K] extends Variable<infer T> ? T : never };
