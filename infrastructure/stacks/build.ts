/** The five stacks of one environment, in the order in which they depend on each other. */
import { type App, type Stack, Tags } from 'aws-cdk-lib';
import type { Config } from '../config/config.ts';
import { ComputeStack } from './compute.stack.ts';
import { DatabaseStack } from './database.stack.ts';
import { EcrStack } from './ecr.stack.ts';
import { NetworkStack } from './network.stack.ts';
import { ScheduledTaskStack } from './scheduled-task.stack.ts';

/** Network → database → ECR → compute → scheduled task; each waits for the one before. */
function chain(...stacks: Stack[]): void {
  stacks.slice(1).forEach((stack, i) => {
    stack.addStackDependency(stacks[i] as Stack);
  });
}

function tag(app: App, config: Config): void {
  const tags = Tags.of(app);
  tags.add('App', config.tagApp);
  tags.add('Env', config.tagEnv);
  tags.add('OU', config.tagOu);
  tags.add('Owner', config.tagOwner);
}

export function buildStacks(app: App, config: Config): Stack[] {
  const network = new NetworkStack(app, config);
  const { vpc, hostedZone, certificate, alarmTopic } = network;
  const database = new DatabaseStack(app, { config, vpc, alarmTopic });
  const { repository } = new EcrStack(app, config);
  const compute = new ComputeStack(app, { config, vpc, hostedZone, certificate, alarmTopic, database, repository });
  const stacks: Stack[] = [network, database, repository.stack, compute];
  if (config.hasScheduledTasks) {
    const { cluster } = compute;
    stacks.push(new ScheduledTaskStack(app, { config, vpc, alarmTopic, database, repository, cluster }));
  }
  chain(...stacks);
  tag(app, config);
  return stacks;
}
