/**
 * What the stacks read: the variables' values and what follows from them.
 */
import type { Values } from './variables.ts';

export type StackType = 'network' | 'database' | 'ecr' | 'compute' | 'scheduled-task';

/** Job name → cron expression, only for jobs that have one. */
export type Crons = Readonly<Partial<Record<'CLEANUP' | 'AGGREGATE' | 'REPORT' | 'MAINTENANCE', string>>>;

export interface Config extends Values {
  readonly isProduction: boolean;
  readonly hasScheduledTasks: boolean;
  readonly crons: Crons;
  /** The API's public name. */
  readonly fullDomainName: string;
  /** `${appName}-${environment}`: cluster, API service, load balancer, task family. */
  readonly baseName: string;
  /** `${appName}-scheduler-${environment}`: the scheduler's service and task family. */
  readonly schedulerName: string;
  readonly repositoryName: string;
  readonly jwtSecretParameter: string;
  /** Read only while the secret is being changed (CDK_APP_JWT_ROTATION). */
  readonly jwtSecretPreviousParameter: string;
  /** Set when the database may pause. */
  readonly autoPauseSeconds: number | undefined;
  readonly backupRegion: string;
  stackName(type: StackType): string;
}

function backupRegionOf(values: Values): string {
  return values.backupCopyRegion ?? (values.region === 'us-west-2' ? 'us-east-1' : 'us-west-2');
}

function cronsOf(values: Values): Crons {
  const all = {
    CLEANUP: values.cleanupCron,
    AGGREGATE: values.aggregateCron,
    REPORT: values.reportCron,
    MAINTENANCE: values.maintenanceCron,
  };
  return Object.fromEntries(Object.entries(all).filter(([, cron]) => cron !== undefined));
}

/** The jobs of an application's own image are not known here; that there may be some is reason enough. */
function needsScheduler({ scheduler, appImage, schedulerEgressPorts }: Values, crons: Crons): boolean {
  const isNeeded = Object.keys(crons).length > 0 || appImage !== undefined || schedulerEgressPorts !== undefined;
  return scheduler === 'true' || isNeeded;
}

export function derive(values: Values): Config {
  const { appName, environment } = values;
  const crons = cronsOf(values);
  const baseName = `${appName}-${environment}`;
  const secrets = values.jwtPerEnvironment ? `/${appName}/${environment}` : `/${appName}`;
  return {
    ...values,
    isProduction: environment === 'prd',
    hasScheduledTasks: needsScheduler(values, crons),
    crons,
    fullDomainName: `${values.domainName}.${values.hostedZoneName}`,
    baseName,
    schedulerName: `${appName}-scheduler-${environment}`,
    repositoryName: values.ecrShared ? baseName : appName,
    jwtSecretParameter: `${secrets}/jwt-secret`,
    jwtSecretPreviousParameter: `${secrets}/jwt-secret-previous`,
    autoPauseSeconds: values.databaseMinCapacity === 0 ? (values.databaseAutoPauseSeconds ?? 300) : undefined,
    backupRegion: backupRegionOf(values),
    stackName: (type) => `${baseName}-${type}`,
  };
}
