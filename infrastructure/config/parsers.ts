/**
 * Parsers of one variable each: text in, value out, or what was expected instead.
 * They never look at another variable; combinations are in rules.ts.
 */
import { cronProblem } from './cron.ts';

export interface Parser<T> {
  /** Completes "expected …" in the message of a bad value. */
  readonly expected: string;
  /** Throws Unexpected when the text does not fit. */
  parse(text: string): T;
}

/** `detail` says more than the parser's `expected` can, such as a position. */
export class Unexpected extends Error {}

function parser<T>(expected: string, read: (text: string) => T | undefined): Parser<T> {
  return {
    expected,
    parse(text) {
      const value = read(text);
      if (value === undefined) {
        throw new Unexpected();
      }
      return value;
    },
  };
}

export function oneOf<const T extends string>(...values: T[]): Parser<T> {
  return parser(`one of ${values.join(', ')}`, (text) => values.find((value) => value === text));
}

/** `taken` has the shape but belongs to someone else. */
export function matching(pattern: RegExp, expected: string, taken: readonly string[] = []): Parser<string> {
  return parser(expected, (text) => (pattern.test(text) && !taken.includes(text) ? text : undefined));
}

export function integer(low: number, high: number): Parser<number> {
  return parser(`a whole number from ${low} to ${high}`, (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= low && value <= high ? value : undefined;
  });
}

export function numberOf(...values: number[]): Parser<number> {
  return parser(`one of ${values.join(', ')}`, (text) => values.find((value) => String(value) === text));
}

/** Aurora capacity units come in halves; CloudFormation finds out only at deployment. */
export function capacity(low: number, high: number, alsoZero: boolean): Parser<number> {
  const zero = alsoZero ? ', or 0 to let the database pause' : '';
  return parser(`${low} to ${high} in steps of 0.5${zero}`, (text) => {
    const value = /^\d{1,2}(\.\d)?$/.test(text) ? Number(text) : Number.NaN;
    if (alsoZero && value === 0) {
      return 0;
    }
    return value >= low && value <= high && Number.isInteger(value * 2) ? value : undefined;
  });
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400 };

function seconds(text: string): number {
  const [, count, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  return Number(count) * (SECONDS[unit ?? ''] ?? Number.NaN);
}

/** Both ends and the value are written as the binary reads them: 30s, 15m, 1h, 7d. */
export function duration(low: string, high: string): Parser<string> {
  return parser(`a duration from ${low} to ${high}, such as 30m, 1h or 7d`, (text) =>
    seconds(text) >= seconds(low) && seconds(text) <= seconds(high) ? text : undefined,
  );
}

export const boolean: Parser<boolean> = parser('true or false', (text) =>
  text === 'true' ? true : text === 'false' ? false : undefined,
);

/** Comma-separated, every item as `item` wants it, none empty, none twice. */
export function list(item: RegExp, expected: string): Parser<readonly string[]> {
  return parser(`a comma-separated list of ${expected}, each once`, (text) => {
    const items = text.split(',').map((part) => part.trim());
    return items.every((part) => item.test(part)) && new Set(items).size === items.length ? items : undefined;
  });
}

/** TCP ports, each once. */
export const ports: Parser<readonly number[]> = parser('a comma-separated list of ports from 1 to 65535, each once', (text) => {
  const items = text.split(',').map((part) => part.trim());
  const numbers = items.map(Number);
  const good = items.every((part) => /^[1-9]\d{0,4}$/.test(part)) && numbers.every((port) => port <= 65535);
  return good && new Set(numbers).size === numbers.length ? numbers : undefined;
});

/** Private addresses (RFC 1918, RFC 6598) with a mask in the range, and no bit set behind it. */
export function cidr(widest: number, narrowest: number): Parser<string> {
  const expected = `a private network such as 10.20.0.0/16, with a mask from /${widest} to /${narrowest}`;
  return parser(expected, (text) => {
    const [, address = '', mask = ''] = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text) ?? [];
    const bytes = address.split('.').map(Number);
    const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
    const isInside = Number(mask) >= widest && Number(mask) <= narrowest && bytes.every((byte) => byte <= 255);
    return isInside && value % 2 ** (32 - Number(mask)) === 0 && isPrivate(bytes) ? text : undefined;
  });
}

function isPrivate([first = 0, second = 0]: readonly number[]): boolean {
  return (
    first === 10 ||
    (first === 172 && second >= 16 && second <= 31) ||
    (first === 192 && second === 168) ||
    (first === 100 && second >= 64 && second <= 127)
  );
}

/** One object of JSON: names of variables and their texts. */
export const settings: Parser<Readonly<Record<string, string>>> = parser(
  'an object of JSON, names in capitals and values in quotes, such as {"RESTOCK_CRON":"0 3 * * *"}',
  (text) => {
    try {
      const value: unknown = JSON.parse(text);
      const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
      const entries = isObject ? Object.entries(value) : [];
      const good = entries.every(([name, one]) => /^[A-Z][A-Z0-9_]{0,99}$/.test(name) && typeof one === 'string');
      return isObject && good ? Object.fromEntries(entries) : undefined;
    } catch {
      return undefined;
    }
  },
);

/** `*`, or origins as a browser sends them: scheme, host, port, nothing after. */
export const origins: Parser<string> = parser(
  '* or a comma-separated list of origins such as https://app.example.com (no path)',
  (text) => {
    const items = text.split(',').map((part) => part.trim());
    const good = items.every((part) => /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?$/.test(part));
    return text === '*' || good ? items.join(',') : undefined;
  },
);

/** Each part as the names of the IANA database begin: EST5EDT, Port_of_Spain. */
const ZONE_PART = /^[A-Z][A-Za-z0-9_+-]*$/;

/**
 * Intl takes a zone in any case; the binary looks for a file of that name. What
 * Intl answers is spelt as in the database, unless the name is an alias.
 */
export const timeZone: Parser<string> = parser('an IANA time zone such as UTC or Europe/Berlin', (text) => {
  try {
    const { timeZone: known } = new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions();
    const misspelt = known !== text && known.toLowerCase() === text.toLowerCase();
    return !misspelt && text.split('/').every((part) => ZONE_PART.test(part)) ? text : undefined;
  } catch {
    return undefined;
  }
});

export const cron: Parser<string> = {
  expected: 'a cron expression of 5 or 6 fields, such as "0 2 * * *"',
  parse(text) {
    const problem = cronProblem(text);
    if (problem !== undefined) {
      throw new Unexpected(`position ${problem.position}: ${problem.reason}`);
    }
    return text;
  },
};
