/**
 * What only shows when two variables are seen together. Each rule names the
 * variable to change and what would be right, and is checked against the rules
 * of AWS or CDK that no linter looks at.
 */
import { isFargatePair, memoryExpectation } from './fargate.ts';
import type { Values } from './variables.ts';

/** One thing that is wrong: which variable, and what was expected of it. */
export interface Problem {
  readonly name: string;
  readonly found?: string;
  readonly expected: string;
}

/** Values that failed on their own are missing here: no second complaint about them. */
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

function serviceCounts(values: Partly): Problem[] {
  const { serviceMinCapacity: min, serviceMaxCapacity: max, serviceDesiredCount: desired } = values;
  const problems: Problem[] = [];
  if (min !== undefined && max !== undefined && min > max) {
    problems.push(...problem('CDK_SERVICE_MIN_CAPACITY', min, `at most CDK_SERVICE_MAX_CAPACITY, which is ${max}`));
  }
  if (desired !== undefined && max !== undefined && desired > max) {
    problems.push(
      ...problem('CDK_SERVICE_DESIRED_COUNT', desired, `at most CDK_SERVICE_MAX_CAPACITY, which is ${max}`),
    );
  }
  return problems;
}

/** A load balancer takes a certificate of its own region and account only. */
function certificatePlace({ certificateArn, region, account }: Partly): Problem[] {
  const [, , , certificateRegion, certificateAccount] = certificateArn?.split(':') ?? [];
  const problems: Problem[] = [];
  if (certificateArn !== undefined && region !== undefined && certificateRegion !== region) {
    problems.push(...problem('CDK_CERTIFICATE_ARN', certificateArn, `a certificate in ${region}, the region deployed to`));
  }
  if (certificateArn !== undefined && account !== undefined && certificateAccount !== account) {
    problems.push(...problem('CDK_CERTIFICATE_ARN', certificateArn, `a certificate of account ${account}`));
  }
  return problems;
}

/** An imported VPC is described whole, so that no call to AWS is needed. */
function importedVpc(values: Partly): Problem[] {
  const parts = [
    ['CDK_VPC_SUBNETS_PUBLIC', values.vpcSubnetsPublic],
    ['CDK_VPC_SUBNETS_PRIVATE', values.vpcSubnetsPrivate],
    ['CDK_VPC_AZS', values.vpcZones],
  ] as const;
  if (values.vpcId === undefined) {
    return parts.flatMap(([name, list]) =>
      list === undefined ? [] : problem(name, list.join(','), 'unset, or CDK_VPC_ID naming the VPC it belongs to'),
    );
  }
  const zones = values.vpcZones?.length;
  return parts.flatMap(([name, list]) => {
    if (list === undefined) {
      return problem(name, undefined, 'a value, because CDK_VPC_ID names an existing VPC');
    }
    if (name === 'CDK_VPC_AZS') {
      return list.length >= 2 ? [] : problem(name, list.join(','), 'two zones or more: load balancer and database need them');
    }
    return zones === undefined || list.length === zones
      ? []
      : problem(name, list.join(','), `one subnet for each of the ${zones} zones in CDK_VPC_AZS`);
  });
}

function zoneRegion({ vpcZones, region }: Partly): Problem[] {
  const strange = vpcZones?.filter((zone) => region !== undefined && !zone.startsWith(region)) ?? [];
  return strange.length === 0 ? [] : problem('CDK_VPC_AZS', strange.join(','), `zones of ${region}`);
}

function backupCopy({ backupCopyRegion, region, environment }: Partly): Problem[] {
  if (environment !== 'prd' || backupCopyRegion === undefined || backupCopyRegion !== region) {
    return [];
  }
  return problem('CDK_BACKUP_COPY_REGION', backupCopyRegion, 'another region than CDK_REGION: a copy beside the original is none');
}

/** The record's whole name must fit into DNS. */
function recordLength({ domainName, hostedZoneName }: Partly): Problem[] {
  if (domainName === undefined || hostedZoneName === undefined) {
    return [];
  }
  const whole = `${domainName}.${hostedZoneName}`;
  return whole.length <= 253 ? [] : problem('CDK_DOMAIN_NAME', domainName, 'a name that with its zone has at most 253 characters');
}

/** With a port of its own the sidecar and the application would fight for it. */
function daemonPort({ xray, appPort }: Partly): Problem[] {
  return xray && appPort === 2000
    ? problem('CDK_APP_PORT', appPort, 'another port than 2000, which the X-Ray daemon (CDK_XRAY) listens on')
    : [];
}

export const rules: readonly Rule[] = [
  (v) => fargatePair('CDK_TASK_MEMORY_MB', v.taskMemoryMb, v.taskCpuUnits),
  (v) => fargatePair('CDK_SCHEDULER_TASK_MEMORY_MB', v.schedulerTaskMemoryMb, v.schedulerTaskCpuUnits),
  capacityOrder,
  autoPause,
  serviceCounts,
  certificatePlace,
  importedVpc,
  zoneRegion,
  backupCopy,
  recordLength,
  daemonPort,
];
