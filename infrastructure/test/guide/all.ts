/** Every sentence, in the order of the guide. */
import type { Sentence } from '../support/sentence.ts';
import * as compute from './compute.ts';
import * as database from './database.ts';
import * as deployment from './deployment.ts';
import * as ecr from './ecr.ts';
import * as monitoring from './monitoring.ts';
import * as network from './network.ts';
import { overview } from './overview.ts';
import * as scheduled from './scheduled-task.ts';
import * as variables from './variables.ts';

/** File (below test/guide/) → its sentences. */
export const guide: Readonly<Record<string, readonly Sentence[]>> = {
  'overview.ts': overview,
  'network.ts': [...network.network, ...network.networkSecurity],
  'database.ts': [
    ...database.database,
    ...database.readReplica,
    ...database.databaseCost,
    ...database.connectionDetails,
    ...database.dataSecurity,
    ...database.databaseCosts,
  ],
  'ecr.ts': [...ecr.ecr, ...ecr.images],
  'compute.ts': [
    ...compute.compute,
    ...compute.computeDefaults,
    ...compute.injected,
    ...compute.applicationSecurity,
    ...compute.computeCosts,
    ...compute.networkCosts,
  ],
  'scheduled-task.ts': [
    ...scheduled.scheduledTask,
    ...scheduled.scheduledTaskNotes,
    ...scheduled.scheduledTaskCosts,
    ...scheduled.scheduledTaskIssues,
  ],
  'deployment.ts': [
    ...deployment.deployment,
    ...deployment.order,
    ...deployment.strategy,
    ...deployment.organization,
    ...deployment.healthCheckFailures,
    ...deployment.debugging,
  ],
  'variables.ts': [...variables.sizing, ...variables.prefix, ...variables.variableRows, ...variables.tagging],
  'monitoring.ts': [
    ...monitoring.applicationMonitoring,
    ...monitoring.infrastructureMonitoring,
    ...monitoring.alerting,
    ...monitoring.backups,
    ...monitoring.recovery,
  ],
};
