/** Compares what a container is given with what the binary takes. */
import type { Setting } from './binary.ts';

export type Role = 'api' | 'scheduler';

export interface Given {
  readonly role: Role;
  readonly environment: Readonly<Record<string, string>>;
  /** Names only: the values are not ours to know. */
  readonly secrets: readonly string[];
  /** Names of CDK_APP_SETTINGS: what they mean only the application's folder knows. */
  readonly application: readonly string[];
}

/** The guide gives the scheduler the same database secrets as the API; it ignores this one. */
const IGNORED_BY_SCHEDULER = ['DB_HOST_READ_ONLY'];

const UNITS: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, KiB: 1024, MiB: 1024 ** 2 };

/** A number with its unit; a duration without one counts seconds. */
export function amount(text: string, type: string): number {
  const [, digits, unit] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? [];
  if (digits === undefined) {
    return Number.NaN;
  }
  return Number(digits) * (unit === '' ? (type === 'duration' ? 1e3 : 1) : (UNITS[unit ?? ''] ?? Number.NaN));
}

/** Whether a value fits the type and rule that the table states. */
function fits({ type, rule = '' }: Setting, value: string): boolean {
  switch (type) {
    case 'integer':
    case 'bytes':
    case 'duration': {
      const [low = '', high = ''] = rule.split('..');
      const found = amount(value, type);
      return rule === '' ? !Number.isNaN(found) : found >= amount(low, type) && found <= amount(high, type);
    }
    case 'boolean':
      return value === 'true' || value === 'false';
    case 'choice':
      return rule === '' || rule.split('|').includes(value);
    default:
      return true;
  }
}

function find(table: readonly Setting[], name: string): Setting | undefined {
  return table.find((setting) => setting.name === name || setting.aliases.includes(name));
}

function problemsOfName(table: readonly Setting[], { role }: Given, name: string): string[] {
  const setting = find(table, name);
  if (setting === undefined) {
    return [`${role}: the binary has no setting ${name}`];
  }
  if (role === 'scheduler' && IGNORED_BY_SCHEDULER.includes(name)) {
    return [];
  }
  return setting.roles.includes(role) ? [] : [`${role}: ${name} is for ${setting.roles.join(', ')} only`];
}

function problemsOfValue(table: readonly Setting[], { role }: Given, name: string, value: string): string[] {
  const setting = find(table, name);
  if (setting === undefined) {
    return [];
  }
  if (setting.secret) {
    return [`${role}: ${name} is secret and stands in a plain variable`];
  }
  return fits(setting, value) ? [] : [`${role}: ${name}=${value} is not ${setting.type} ${setting.rule}`];
}

/** Everything that is wrong with what a container is given; empty when nothing is. */
export function settingsProblems(table: readonly Setting[], given: Given): string[] {
  const names = [...Object.keys(given.environment), ...given.secrets].filter((name) => !given.application.includes(name));
  return [
    ...names.flatMap((name) => problemsOfName(table, given, name)),
    ...Object.entries(given.environment).flatMap(([name, value]) => problemsOfValue(table, given, name, value)),
  ];
}
