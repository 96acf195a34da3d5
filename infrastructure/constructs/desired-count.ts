/**
 * How many API tasks a deployment asks for. CDK_SERVICE_DESIRED_COUNT is the
 * initial count, but CloudFormation sets a count that stands in the template at
 * every change of the service: one that scaled to eight tasks would be put back
 * to two in the middle of its traffic. `--context keepCount=true` leaves the
 * count out of the template, and ECS then keeps what runs.
 */
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';

export function desiredCount(scope: Construct, config: Config): number | undefined {
  const keep: unknown = scope.node.tryGetContext('keepCount');
  if (keep === undefined || keep === '' || String(keep) === 'false') {
    return config.serviceDesiredCount;
  }
  if (String(keep) !== 'true') {
    throw new Error(`keepCount=${String(keep)}: expected true or false`);
  }
  return undefined;
}
