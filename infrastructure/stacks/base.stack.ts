/** What the five stacks have in common: name, place, protection. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Config, StackType } from '../config/config.ts';

export class BaseStack extends Stack {
  protected readonly config: Config;

  constructor(scope: Construct, type: StackType, config: Config, description: string) {
    const props: StackProps = {
      description,
      env: { account: config.account, region: config.region },
      terminationProtection: config.isProduction,
    };
    super(scope, config.stackName(type), props);
    this.config = config;
  }
}
