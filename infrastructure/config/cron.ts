/**
 * Checks a cron expression with the rules of `millrace scheduler`, so that a
 * bad one is refused here and not by a service that will not start.
 *
 * Five fields (minute hour day month day-of-week) or six (seconds first); `*`,
 * lists, ranges, steps, names (JAN, MON), `L` for the last day of the month,
 * `@hourly @daily @weekly @monthly @yearly`; Sunday is 0 and 7. A tick that can
 * never come (`0 0 30 2 *`) is refused too.
 *
 * This is a check, not a schedule: nothing here computes a next time. The
 * registry's cron libraries accept more than the binary does (`W`, `#`, `?`)
 * and say nothing about a tick that never comes.
 */

/** Where an expression is wrong (in characters, 1 is the first), and why. */
export interface CronProblem {
  readonly position: number;
  readonly reason: string;
}

interface Field {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  /** Names count from `low`. */
  readonly names?: readonly string[];
  /** Only a day of the month knows `L`. */
  readonly last?: true;
}

const SECOND: Field = { name: 'second', low: 0, high: 59 };
const MONTHS = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ');
const FIVE: readonly Field[] = [
  { name: 'minute', low: 0, high: 59 },
  { name: 'hour', low: 0, high: 23 },
  { name: 'day', low: 1, high: 31, last: true },
  { name: 'month', low: 1, high: 12, names: MONTHS },
  { name: 'day-of-week', low: 0, high: 7, names: 'SUN MON TUE WED THU FRI SAT'.split(' ') },
];
const MACROS = ['@hourly', '@daily', '@weekly', '@monthly', '@yearly'];
/** February counts 29: a tick every four years still comes. */
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const LAST = -1;

class Refused extends Error {
  readonly position: number;
  constructor(position: number, reason: string) {
    super(reason);
    this.position = position;
  }
}

interface Part {
  readonly text: string;
  /** 1 is the first character of the whole expression. */
  readonly at: number;
}

/** Cuts `text` at every `separator` and remembers where each piece stood. */
function cut(part: Part, separator: string): Part[] {
  let at = part.at;
  return part.text.split(separator).map((text) => {
    const piece = { text, at };
    at += text.length + separator.length;
    return piece;
  });
}

function numberOf(part: Part, field: Field): number {
  // ASCII only: toUpperCase() makes an I of a dotless one.
  const named = /^[A-Za-z]{3}$/.test(part.text) ? (field.names?.indexOf(part.text.toUpperCase()) ?? -1) : -1;
  if (named >= 0) {
    return field.low + named;
  }
  if (!/^\d{1,2}$/.test(part.text)) {
    const what = part.text === '' ? 'nothing' : `"${part.text}"`;
    const names = field.names ? ` or ${field.names[0]}–${field.names.at(-1)}` : '';
    throw new Refused(part.at, `${field.name}: expected ${field.low}–${field.high}${names}, found ${what}`);
  }
  const value = Number(part.text);
  if (value < field.low || value > field.high) {
    throw new Refused(part.at, `${field.name}: ${value} is not within ${field.low}–${field.high}`);
  }
  return value;
}

function stepOf(part: Part | undefined, field: Field): number {
  if (part === undefined) {
    return 1;
  }
  const step = /^\d{1,2}$/.test(part.text) ? Number(part.text) : 0;
  if (step < 1 || step > field.high) {
    throw new Refused(part.at, `${field.name}: expected a step of 1–${field.high}, found "${part.text}"`);
  }
  return step;
}

/** One entry of a list: `*`, `5`, `L`, `1-5`, `*` or a range with `/step`. */
function entryValues(entry: Part, field: Field): number[] {
  const [body, stepPart, extra] = cut(entry, '/');
  if (body === undefined || extra !== undefined) {
    throw new Refused(extra?.at ?? entry.at, `${field.name}: only one step is allowed`);
  }
  if (field.last && body.text.toUpperCase() === 'L' && stepPart === undefined) {
    return [LAST];
  }
  const [from, to, third] = cut(body, '-');
  if (third !== undefined) {
    throw new Refused(third.at, `${field.name}: a range has two ends`);
  }
  let low = field.low;
  let high = field.high;
  if (body.text !== '*') {
    low = numberOf(from as Part, field);
    high = to === undefined ? low : numberOf(to, field);
    if (high < low) {
      throw new Refused((to as Part).at, `${field.name}: the range ${body.text} runs backwards`);
    }
    if (to === undefined && stepPart !== undefined) {
      throw new Refused(stepPart.at, `${field.name}: a step needs * or a range before it`);
    }
  }
  const step = stepOf(stepPart, field);
  return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step);
}

function fieldValues(part: Part, field: Field): Set<number> {
  return new Set(cut(part, ',').flatMap((entry) => entryValues(entry, field)));
}

/** As in Vixie cron a day field that starts with `*` restricts nothing. */
function restricts(part: Part): boolean {
  return !part.text.startsWith('*');
}

/** A day that none of the months has, with no day of the week to save it. */
function refuseImpossible(day: Part, month: Part, weekday: Part, field: Field, monthField: Field): void {
  const days = fieldValues(day, field);
  const months = fieldValues(month, monthField);
  if (restricts(weekday) || days.has(LAST)) {
    return;
  }
  const longest = Math.max(...[...months].map((m) => LONGEST[m - 1] ?? 0));
  if (Math.min(...days) > longest) {
    const names = MONTHS.filter((_, i) => months.has(i + 1)).join(', ');
    throw new Refused(day.at, `this tick never comes: no day ${day.text} in ${names}`);
  }
}

function check(expression: string): void {
  const macro = /^[ \t]*(@.*?)[ \t]*$/s.exec(expression)?.[1];
  if (macro !== undefined) {
    if (!MACROS.includes(macro.replace(/[A-Z]/g, (letter) => letter.toLowerCase()))) {
      throw new Refused(expression.indexOf('@') + 1, `expected one of ${MACROS.join(' ')}`);
    }
    return;
  }
  const parts: Part[] = [...expression.matchAll(/[^ \t]+/g)].map((m) => ({ text: m[0], at: m.index + 1 }));
  if (parts.length !== 5 && parts.length !== 6) {
    throw new Refused(
      expression.length - ([...expression].at(-1)?.length ?? 0) + 1,
      `expected 5 fields (minute hour day month day-of-week) or 6 (seconds first), found ${parts.length}`,
    );
  }
  const fields = parts.length === 6 ? [SECOND, ...FIVE] : FIVE;
  fields.forEach((field, i) => {
    fieldValues(parts[i] as Part, field);
  });
  const [day, month, weekday] = parts.slice(-3) as [Part, Part, Part];
  const [dayField, monthField] = fields.slice(-3) as [Field, Field];
  refuseImpossible(day, month, weekday, dayField, monthField);
}

/** undefined when `millrace scheduler` would take the expression. */
export function cronProblem(expression: string): CronProblem | undefined {
  try {
    check(expression);
    return undefined;
  } catch (error) {
    if (error instanceof Refused) {
      // A character beyond the basic plane is two of a string's units.
      const before = [...expression.slice(0, error.position - 1)].length;
      return { position: before + 1, reason: error.message };
    }
    throw error;
  }
}
