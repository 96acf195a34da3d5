/** Questions to ask of a synthesized template. */
import assert from 'node:assert/strict';
import type { Template } from 'aws-cdk-lib/assertions';

/** The stacks with a service. */
export const SERVICES = ['compute', 'scheduled-task'] as const;
export type ServiceType = (typeof SERVICES)[number];

/** CloudFormation is untyped JSON; tests look into it with optional chaining. */
export type Json = any;

export interface Resource {
  readonly id: string;
  readonly Type: string;
  readonly Properties: Json;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly DependsOn?: string[];
}

export function all(template: Template, type: string): Resource[] {
  return Object.entries(template.findResources(type)).map(([id, resource]) => ({ id, ...(resource as Json) }));
}

export function one(template: Template, type: string): Resource {
  const found = all(template, type);
  assert.equal(found.length, 1, `one ${type}, found ${found.map(({ id }) => id).join(', ') || 'none'}`);
  return found[0] as Resource;
}

export function none(template: Template, type: string): void {
  assert.deepEqual(
    all(template, type).map(({ id }) => id),
    [],
    `no ${type}`,
  );
}

/** The application's container of the one task definition. */
export function container(template: Template): Json {
  const task = one(template, 'AWS::ECS::TaskDefinition');
  return task.Properties.ContainerDefinitions.find(({ Name }: Json) => Name === 'millrace');
}

/** The plain variables of the application's container. */
export function environment(template: Template): Record<string, string> {
  return Object.fromEntries(container(template).Environment.map(({ Name, Value }: Json) => [Name, Value]));
}

/** Name → `ValueFrom` as one line of text, with references spelt out as JSON. */
export function secrets(template: Template): Record<string, string> {
  return Object.fromEntries(
    container(template).Secrets.map(({ Name, ValueFrom }: Json) => [Name, JSON.stringify(ValueFrom)]),
  );
}

export function alarmNames(template: Template): string[] {
  return all(template, 'AWS::CloudWatch::Alarm').map(({ Properties }) => Properties.AlarmName);
}

export function alarm(template: Template, name: string): Json {
  const found = all(template, 'AWS::CloudWatch::Alarm').find(({ Properties }) => Properties.AlarmName === name);
  assert.ok(found, `alarm ${name}; there are ${alarmNames(template).join(', ')}`);
  return found.Properties;
}

export function attributes(list: Json[]): Record<string, string> {
  return Object.fromEntries(list.map(({ Key, Value }) => [Key, Value]));
}

/** Every statement of every policy of a template, roles' inline policies included. */
export function statements(template: Template): Json[] {
  const documents = [
    ...all(template, 'AWS::IAM::Policy').map(({ Properties }) => Properties.PolicyDocument),
    ...all(template, 'AWS::IAM::Role').flatMap(({ Properties }) =>
      (Properties.Policies ?? []).map(({ PolicyDocument }: Json) => PolicyDocument),
    ),
  ];
  return documents.flatMap(({ Statement }) => Statement);
}

/** A single value or a list of them, as IAM and CloudFormation like to alternate. */
export function listOf<T>(value: T | T[] | undefined): T[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
