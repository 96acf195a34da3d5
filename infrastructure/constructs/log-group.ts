/** Log groups with a fixed name and an end. */
import { RemovalPolicy } from 'aws-cdk-lib';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';

/** Kept one month in production, one week elsewhere. */
export function createLogGroup(scope: Construct, id: string, logGroupName: string, config: Config): LogGroup {
  return new LogGroup(scope, id, {
    logGroupName,
    retention: config.isProduction ? RetentionDays.ONE_MONTH : RetentionDays.ONE_WEEK,
    removalPolicy: config.isProduction ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
}
