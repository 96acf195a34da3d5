/**
 * Environment variables in, one checked Config out; or every problem at once.
 */
import { type Config, derive } from './config.ts';
import { Unexpected } from './parsers.ts';
import { type Problem, rules } from './rules.ts';
import { type Values, type Variable, variables } from './variables.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(`Configuration: ${problems.length} problem(s)\n${problems.map(line).join('\n')}`);
    this.problems = problems;
  }
}

function line({ name, found, expected }: Problem): string {
  return found === undefined
    ? `  ${name} is not set: expected ${expected}`
    : `  ${name}=${found}: expected ${expected}`;
}

/** An empty variable is an unset one: `.env` files are full of `NAME=`. */
function textOf(env: Environment, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === '' ? undefined : text;
}

function textOrFallback(env: Environment, variable: Variable<unknown>): string | undefined {
  const text = textOf(env, variable.name);
  const fallback = variable.fallback;
  if (text !== undefined || fallback === undefined) {
    return text;
  }
  if (!fallback.startsWith('$')) {
    return fallback;
  }
  const other = fallback.slice(1);
  const known = Object.values<Variable<unknown>>(variables).find(({ name }) => name === other);
  const followed = known === undefined ? textOf(env, other) : textOrFallback(env, known);
  return followed === undefined ? undefined : (variable.adapt?.(followed) ?? followed);
}

/** What follows from a bad value is as bad: one complaint is enough. */
function followsBadOne({ name, fallback }: Variable<unknown>, env: Environment, problems: readonly Problem[]): boolean {
  return textOf(env, name) === undefined && problems.some((problem) => `$${problem.name}` === fallback);
}

function parse(variable: Variable<unknown>, env: Environment, problems: Problem[]): unknown {
  const { name, parser } = variable;
  if (followsBadOne(variable, env, problems)) {
    return undefined;
  }
  const found = textOrFallback(env, variable);
  if (found === undefined) {
    if (variable.required) {
      problems.push({ name, expected: parser.expected });
    }
    return undefined;
  }
  try {
    return parser.parse(found);
  } catch (error) {
    if (!(error instanceof Unexpected)) {
      throw error;
    }
    const detail = error.message === '' ? '' : ` (${error.message})`;
    problems.push({ name, found, expected: parser.expected + detail });
    return undefined;
  }
}

/** Prefixes that are ours alone; the CDK CLI sets variables under `CDK_` too. */
const OURS = /^CDK_(ALARM|APP|BACKUP|CERTIFICATE|DATABASE|DOMAIN|ECR|HOSTED|KMS|SCHEDULE|SCHEDULER|SERVICE|TAG|TASK|VPC)_/;

/** A misspelt name would otherwise be a default that nobody asked for. */
function unknownNames(env: Environment): Problem[] {
  const known = new Set(Object.values<Variable<unknown>>(variables).map(({ name }) => name));
  return Object.keys(env)
    .filter((name) => OURS.test(name) && !known.has(name))
    .map((name) => ({ name, found: env[name], expected: 'no variable of this name (it may be misspelt); see .env.example' }));
}

function brokenRules(values: Partial<Values>, problems: readonly Problem[]): Problem[] {
  const bad = new Set(problems.map(({ name }) => name));
  return rules
    .filter(({ reads }) => reads.every((key) => !bad.has(variables[key].name)))
    .flatMap(({ check }) => check(values));
}

export function loadConfig(env: Environment): Config {
  const problems = unknownNames(env);
  const values: Record<string, unknown> = {};
  for (const [key, variable] of Object.entries<Variable<unknown>>(variables)) {
    values[key] = parse(variable, env, problems);
  }
  problems.push(...brokenRules(values as Partial<Values>, problems));
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
  return derive(values as unknown as Values);
}
