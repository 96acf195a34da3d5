/**
 * What only shows when two variables are seen together. Each rule names the
 * variable to change and what would be right, and is checked against the rules
 * of AWS or CDK that no linter looks at.
 */
import { isFargatePair, memoryExpectation } from './fargate.ts';
import { COLLECTOR_HEALTH_PORT, COLLECTOR_PORT } from './ports.ts';
import type { Values } from './variables.ts';

/** One thing that is wrong: which variable, and what was expected of it. */
export interface Problem {
  readonly name: string;
  readonly found?: string;
  readonly expected: string;
}

type Partly = Partial<Values>;
type Rule = (values: Partly) => Problem[];

function problem(name: string, found: string | number | undefined, expected: string): Problem[] {
  return [{ name, found: found === undefined ? undefined : String(found), expected }];
}

function fargatePair(memoryName: string, memory: number | undefined, cpu: number | undefined): Problem[] {
  if (memory === undefined || cpu === undefined || isFargatePair(cpu, memory)) {
    return [];
  }
  return problem(memoryName, memory, `with ${cpu} CPU units Fargate takes ${memoryExpectation(cpu)} MB`);
}

function capacityOrder({ databaseMinCapacity: min, databaseMaxCapacity: max }: Partly): Problem[] {
  if (min === undefined || max === undefined || max > min) {
    return [];
  }
  const equal = max === min ? ' (equal is refused by CDK)' : '';
  return problem('CDK_DATABASE_MAX_CAPACITY', max, `more than CDK_DATABASE_MIN_CAPACITY, which is ${min}${equal}`);
}

function autoPause({ databaseAutoPauseSeconds: seconds, databaseMinCapacity: min }: Partly): Problem[] {
  if (seconds === undefined || min === undefined || min === 0) {
    return [];
  }
  return problem(
    'CDK_DATABASE_AUTO_PAUSE_SECONDS',
    seconds,
    `unset, or CDK_DATABASE_MIN_CAPACITY=0: a database of at least ${min} ACU never pauses`,
  );
}

function minimumCount({ serviceMinCapacity: min, serviceMaxCapacity: max }: Partly): Problem[] {
  return min === undefined || max === undefined || min <= max
    ? []
    : problem('CDK_SERVICE_MIN_CAPACITY', min, `at most CDK_SERVICE_MAX_CAPACITY, which is ${max}`);
}

/** Below the minimum is fine: scaling lifts it. */
function desiredCount({ serviceDesiredCount: desired, serviceMaxCapacity: max }: Partly): Problem[] {
  return desired === undefined || max === undefined || desired <= max
    ? []
    : problem('CDK_SERVICE_DESIRED_COUNT', desired, `at most CDK_SERVICE_MAX_CAPACITY, which is ${max}`);
}

/** A load balancer takes a certificate of its own region and account only. */
function certificateRegion({ certificateArn, region }: Partly): Problem[] {
  return certificateArn === undefined || region === undefined || certificateArn.split(':')[3] === region
    ? []
    : problem('CDK_CERTIFICATE_ARN', certificateArn, `a certificate in ${region}, the region deployed to`);
}

function certificateAccount({ certificateArn, account }: Partly): Problem[] {
  return certificateArn === undefined || account === undefined || certificateArn.split(':')[4] === account
    ? []
    : problem('CDK_CERTIFICATE_ARN', certificateArn, `a certificate of account ${account}`);
}

type VpcList = 'vpcSubnetsPublic' | 'vpcSubnetsPrivate' | 'vpcZones';

/** An imported VPC is described whole, so that no call to AWS is needed. */
function importedVpcList(key: VpcList, name: string): Rule {
  return ({ vpcId, [key]: list }) => {
    if (vpcId !== undefined && list === undefined) {
      return problem(name, undefined, 'a value, because CDK_VPC_ID names an existing VPC');
    }
    return vpcId === undefined && list !== undefined
      ? problem(name, list.join(','), 'unset, or CDK_VPC_ID naming the VPC it belongs to')
      : [];
  };
}

function subnetPerZone(key: VpcList, name: string): Rule {
  return ({ vpcZones: zones, [key]: list }) =>
    zones === undefined || list === undefined || list.length === zones.length
      ? []
      : problem(name, list.join(','), `one subnet for each of the ${zones.length} zones in CDK_VPC_AZS`);
}

/** A public subnet has a route from the internet: nothing else belongs into it. */
function apart({ vpcSubnetsPublic, vpcSubnetsPrivate }: Partly): Problem[] {
  const both = vpcSubnetsPrivate?.filter((id) => vpcSubnetsPublic?.includes(id)) ?? [];
  return both.length === 0
    ? []
    : problem('CDK_VPC_SUBNETS_PRIVATE', both.join(','), 'subnets that are not in CDK_VPC_SUBNETS_PUBLIC as well');
}

function enoughZones({ vpcZones: zones }: Partly): Problem[] {
  return zones === undefined || zones.length >= 2
    ? []
    : problem('CDK_VPC_AZS', zones.join(','), 'two zones or more: load balancer and database need them');
}

function zoneRegion({ vpcZones, region }: Partly): Problem[] {
  const strange = vpcZones?.filter((zone) => region !== undefined && !zone.startsWith(region)) ?? [];
  return strange.length === 0 ? [] : problem('CDK_VPC_AZS', strange.join(','), `zones of ${region}`);
}

function backupCopy({ backupCopyRegion, region, environment }: Partly): Problem[] {
  if (environment !== 'prd' || backupCopyRegion === undefined || backupCopyRegion !== region) {
    return [];
  }
  return problem(
    'CDK_BACKUP_COPY_REGION',
    backupCopyRegion,
    'another region than CDK_REGION: a copy in the same region is lost with it',
  );
}

/** The record's whole name must fit into DNS. */
function recordLength({ domainName, hostedZoneName }: Partly): Problem[] {
  if (domainName === undefined || hostedZoneName === undefined) {
    return [];
  }
  const whole = `${domainName}.${hostedZoneName}`;
  return whole.length <= 253
    ? []
    : problem('CDK_DOMAIN_NAME', domainName, 'a name that with its zone has at most 253 characters');
}

/** With a port of its own the sidecar and the application would fight for it. */
function collectorPort({ xray, appPort }: Partly): Problem[] {
  return xray && (appPort === COLLECTOR_PORT || appPort === COLLECTOR_HEALTH_PORT)
    ? problem(
        'CDK_APP_PORT',
        appPort,
        `another port than ${COLLECTOR_PORT} and ${COLLECTOR_HEALTH_PORT}, which the collector (CDK_XRAY) listens on`,
      )
    : [];
}

/** Production's tasks stay where nothing routes to them; an existing VPC has the way out that it has. */
function withoutNat({ vpcNat, environment, vpcId }: Partly): Problem[] {
  if (vpcNat !== false) {
    return [];
  }
  if (environment === 'prd') {
    return problem('CDK_VPC_NAT', 'false', 'true in prd, whose tasks run in private subnets');
  }
  return vpcId === undefined ? [] : problem('CDK_VPC_NAT', 'false', 'unset with CDK_VPC_ID: an existing VPC has its own way out');
}

/** The key of another region cannot be used; one of another account can, if its policy says so. */
function keyRegion({ kmsKey, region }: Partly): Problem[] {
  return kmsKey === undefined || region === undefined || kmsKey.split(':')[3] === region
    ? []
    : problem('CDK_KMS_KEY_ARN', kmsKey, `a key in ${region}, the region deployed to`);
}

/** ECS pulls from any region, but pays for it with every start of a task. */
function imageRegion({ appImage, region }: Partly): Problem[] {
  return appImage === undefined || region === undefined || appImage.split('.')[3] === region
    ? []
    : problem('CDK_APP_IMAGE', appImage, `a repository in ${region}, the region deployed to`);
}

/** What the containers are given already; the deployment decides it by settings of its own. */
const OURS = /^(NODE_ENV|APP_|CORS_|DB_|GATEWAY_|JWT_|LOGGING_|METRICS_|OTEL_|SCHEDULE_|SHUTDOWN_|TRUST_PROXY_)/;

function appSettingNames({ appSettings }: Partly): Problem[] {
  const ours = Object.keys(appSettings ?? {}).filter((name) => OURS.test(name));
  return ours.length === 0 ? [] : problem('CDK_APP_SETTINGS', ours.join(','), 'names that are not settings of Millrace itself');
}

function appSettingSecrets({ appSettings }: Partly): Problem[] {
  const secret = Object.keys(appSettings ?? {}).filter((name) => /SECRET|PASS|TOKEN|_KEY$/.test(name));
  return secret.length === 0
    ? []
    : problem('CDK_APP_SETTINGS', secret.join(','), 'nothing secret: it stands in the task definition for everyone to read');
}

/** A rule is asked only when every value that it reads was good on its own. */
export const rules: readonly { readonly reads: readonly (keyof Values)[]; readonly check: Rule }[] = [
  {
    reads: ['taskMemoryMb', 'taskCpuUnits'],
    check: (v) => fargatePair('CDK_TASK_MEMORY_MB', v.taskMemoryMb, v.taskCpuUnits),
  },
  {
    reads: ['schedulerTaskMemoryMb', 'schedulerTaskCpuUnits'],
    check: (v) => fargatePair('CDK_SCHEDULER_TASK_MEMORY_MB', v.schedulerTaskMemoryMb, v.schedulerTaskCpuUnits),
  },
  { reads: ['databaseMinCapacity', 'databaseMaxCapacity'], check: capacityOrder },
  { reads: ['databaseMinCapacity', 'databaseAutoPauseSeconds'], check: autoPause },
  { reads: ['serviceMinCapacity', 'serviceMaxCapacity'], check: minimumCount },
  { reads: ['serviceDesiredCount', 'serviceMaxCapacity'], check: desiredCount },
  { reads: ['certificateArn', 'region'], check: certificateRegion },
  { reads: ['certificateArn', 'account'], check: certificateAccount },
  { reads: ['vpcId', 'vpcSubnetsPublic'], check: importedVpcList('vpcSubnetsPublic', 'CDK_VPC_SUBNETS_PUBLIC') },
  { reads: ['vpcId', 'vpcSubnetsPrivate'], check: importedVpcList('vpcSubnetsPrivate', 'CDK_VPC_SUBNETS_PRIVATE') },
  { reads: ['vpcId', 'vpcZones'], check: importedVpcList('vpcZones', 'CDK_VPC_AZS') },
  { reads: ['vpcZones', 'vpcSubnetsPublic'], check: subnetPerZone('vpcSubnetsPublic', 'CDK_VPC_SUBNETS_PUBLIC') },
  { reads: ['vpcZones', 'vpcSubnetsPrivate'], check: subnetPerZone('vpcSubnetsPrivate', 'CDK_VPC_SUBNETS_PRIVATE') },
  { reads: ['vpcSubnetsPublic', 'vpcSubnetsPrivate'], check: apart },
  { reads: ['vpcZones'], check: enoughZones },
  { reads: ['vpcZones', 'region'], check: zoneRegion },
  { reads: ['environment', 'region', 'backupCopyRegion'], check: backupCopy },
  { reads: ['domainName', 'hostedZoneName'], check: recordLength },
  { reads: ['xray', 'appPort'], check: collectorPort },
  { reads: ['vpcNat', 'environment', 'vpcId'], check: withoutNat },
  { reads: ['kmsKey', 'region'], check: keyRegion },
  { reads: ['appImage', 'region'], check: imageRegion },
  { reads: ['appSettings'], check: appSettingNames },
  { reads: ['appSettings'], check: appSettingSecrets },
];
