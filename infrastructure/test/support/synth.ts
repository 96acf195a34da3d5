/**
 * Synthesizes the app under many configurations, each once, in this process:
 * most of a synthesis is loading the library.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Config, StackType } from '../../config/config.ts';
import { type Environment, loadConfig } from '../../config/load.ts';
import { applyPolicy } from '../../policy/policy.ts';
import { buildStacks } from '../../stacks/build.ts';

export const REQUIRED: Environment = {
  CDK_ENVIRONMENT: 'dev',
  CDK_HOSTED_ZONE_ID: 'Z1234567890ABC',
  CDK_HOSTED_ZONE_NAME: 'example.com',
  CDK_DOMAIN_NAME: 'millrace-api',
  CDK_CERTIFICATE_ARN: 'arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-4000-8000-000000000000',
  CDK_ACCOUNT: '123456789012',
  CDK_REGION: 'us-east-1',
};

/** The feature flags that `npm run synth` uses: cdk.json says them once. */
const CONTEXT: Record<string, unknown> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../cdk.json'), 'utf8'),
).context;

export interface Variant {
  readonly env: Environment;
  /** What `--context appVersion=…` gives. */
  readonly appVersion?: string;
  /** What further `--context name=value` give. */
  readonly context?: Readonly<Record<string, string>>;
}

const SCRATCH = mkdtempSync(join(tmpdir(), 'millrace-infrastructure-'));
process.on('exit', () => rmSync(SCRATCH, { recursive: true, force: true }));
let outputs = 0;

export function newApp(appVersion?: string, context: Variant['context'] = {}): App {
  outputs += 1;
  return new App({ outdir: join(SCRATCH, String(outputs)), context: { ...CONTEXT, appVersion, ...context } });
}

/** The synthesized stacks of one configuration. */
export class Synthesized {
  readonly app: App;
  readonly config: Config;
  private readonly templates = new Map<StackType, Template>();

  constructor({ env, appVersion = '1.2.3', context }: Variant) {
    this.config = loadConfig({ ...REQUIRED, ...env });
    this.app = newApp(appVersion === '' ? undefined : appVersion, context);
    buildStacks(this.app, this.config);
    applyPolicy(this.app, this.config);
  }

  /** CDK keeps what it synthesized; asking again costs nothing. */
  get assembly(): ReturnType<App['synth']> {
    return this.app.synth();
  }

  get stackNames(): string[] {
    return this.assembly.stacks.map(({ stackName }) => stackName);
  }

  template(type: StackType): Template {
    let template = this.templates.get(type);
    if (template === undefined) {
      const stack = this.assembly.getStackByName(this.config.stackName(type));
      template = Template.fromJSON(stack.template);
      this.templates.set(type, template);
    }
    return template;
  }
}

/** What synthesis warned of. */
export function warnings({ assembly }: Synthesized): string[] {
  return assembly.stacks.flatMap(({ messages }) => messages.map(({ entry }) => String(entry.data)));
}

const made = new Map<string, Synthesized>();

/** `REQUIRED` with `env` on top; the same question gets the same answer. */
export function synth(env: Environment = {}, appVersion?: string, context?: Variant['context']): Synthesized {
  const key = JSON.stringify([Object.entries(env).sort(), appVersion, context]);
  let one = made.get(key);
  if (one === undefined) {
    one = new Synthesized({ env, appVersion, context });
    made.set(key, one);
  }
  return one;
}
