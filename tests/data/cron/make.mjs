// Writes next.json: the ticks that another cron library gives for many expressions, zones and moments.
//
//     cd "$(mktemp -d)" && npm install croner@11.0.1 cronosjs@1.7.1 && node .../tests/data/cron/make.mjs > next.json
//
// croner computes every row. Where its rules are not those of scheduler/cron.h the row says what was done about it:
//   asked     what croner was given instead: for it a step, or a wildcard of seconds, makes no fixed times, so that lists
//             of the same values are written out; and a day field that begins with * only restricts nothing when it is
//             nothing else, so that "both have to fit" is asked for with a +.
//   left_out  what croner runs right after a gap, as Vixie cron does; here it is skipped. croner's own match() tells
//             these ticks: their local time does not fit the expression.
// cronosjs computes the rows of fixed times too, where it can; this program fails when the two differ.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'x.js'));
const { Cron } = require('croner');
const { CronosExpression } = require('cronosjs');
const version = (name) => {
  const file = require.resolve(name).replace(new RegExp(`(node_modules/${name}/).*`), '$1package.json');
  return `${name} ${require(file).version}`;
};

const NEXT = 5;
const LIMITS = [[0, 59], [0, 59], [0, 23]];

function expand(field, [low, high]) {
  if (!/[*/]/.test(field)) {
    return field;
  }
  const values = new Set();
  for (const entry of field.split(',')) {
    const [range, step = '1'] = entry.split('/');
    const [from, to = from] = range === '*' ? [low, high] : range.split('-').map(Number);
    for (let value = from; value <= to; value += Number(step)) {
      values.add(value);
    }
  }
  return [...values].sort((a, b) => a - b).join(',');
}

const fieldsOf = (cron) => (cron.split(' ').length === 6 ? cron.split(' ') : ['0', ...cron.split(' ')]);
const isPaced = ([, minute, hour]) => minute.startsWith('*') || hour.startsWith('*');

function askedOf(cron) {
  if (cron.startsWith('@')) {
    return cron;
  }
  const fields = fieldsOf(cron);
  const [day, weekday] = [fields[3], fields[5]];
  const asked = isPaced(fields) ? [...fields] : fields.map((f, i) => (i < 3 ? expand(f, LIMITS[i]) : f));
  if (day !== '*' && weekday !== '*' && (day.startsWith('*') || weekday.startsWith('*'))) {
    asked[5] = `+${weekday}`;
  }
  return asked.join(' ') === fields.join(' ') ? cron : asked.join(' ');
}

const text = (date) => date.toISOString().replace('.000', '');

function second(cron, zone, after) {
  const options = { timezone: zone, missingHour: 'skip', skipRepeatedHour: true };
  return CronosExpression.parse(cron, options).nextNDates(new Date(after), NEXT).map(text);
}

/** cronosjs knows changes of whole hours, and repeats what is not at a fixed time in its own way. */
function compare(row) {
  const steady = ['UTC', 'Asia/Kolkata'].includes(row.zone);
  if (row.cron.startsWith('@') || row.asked?.includes('+') || (!steady && (row.zone.includes('Lord') || isPaced(fieldsOf(row.cron))))) {
    return 0;
  }
  const other = second(row.cron, row.zone, row.after);
  if (other.join() !== row.next.join()) {
    throw new Error(`${JSON.stringify(row)}\nbut cronosjs: ${other.join()}`);
  }
  return 1;
}

function row(cron, zone, after) {
  const asked = askedOf(cron);
  const job = new Cron(asked, { timezone: zone, fixedTimeRule: 'no-wildcard' });
  const next = [];
  const leftOut = [];
  for (let at = new Date(after); next.length < NEXT; ) {
    at = job.nextRun(at);
    if (at === null) {
      break;
    }
    (job.match(at) ? next : leftOut).push(text(at));
  }
  return {
    cron, zone, after: text(new Date(after)), next,
    ...(asked === cron ? {} : { asked }),
    ...(leftOut.length === 0 ? {} : { left_out: leftOut }),
  };
}

// The calendar: ends of months and years, leap days (2100 has none), days and days of the week.
const CALENDAR = [
  '0 0 L * *', '0 0 1,L * *', '30 12 31 * *', '0 0 29 2 *', '59 23 28-31 2 *', '0 0 30 4,6,9,11 *', '0 0 1 1 *',
  '59 59 23 31 12 *', '0 0 13 * FRI', '0 0 * * FRI', '0 0 1,15 * MON-WED', '0 6 * * MON', '0 0 */2 * MON', '0 0 15 * */3',
  '0 0 * * 7', '0 0 * * 5-7', '0 0 L 2 *', '0 0 L 2 SUN', '0 12 */10 jan,Jul *', '0 0 31 1-12/2 *', '*/20 * L DEC *',
  '15,45 8-18 * * MON-FRI', '10-50/20 */6 1-7 * *', '30 0 0 29 FEB *', '@hourly', '@daily', '@weekly', '@monthly', '@yearly',
];
const DATES = [
  '2023-12-31T23:59:59Z', '2024-02-28T23:30:00Z', '2027-02-28T12:00:00Z', '2028-02-29T00:00:00Z', '2096-02-29T00:00:00Z', '2099-12-31T12:34:56Z',
];

// Changes of clocks: gap and overlap of each zone, asked from before, from within and from right after.
const CHANGES = {
  'Europe/Berlin': ['2024-03-31T01:00:00Z', '2024-10-27T01:00:00Z', '2026-03-29T01:00:00Z', '2026-10-25T01:00:00Z'],
  'America/New_York': ['2024-03-10T07:00:00Z', '2024-11-03T06:00:00Z', '2025-03-09T07:00:00Z', '2025-11-02T06:00:00Z'],
  'Australia/Lord_Howe': ['2024-04-06T15:00:00Z', '2024-10-05T15:30:00Z', '2025-04-05T15:00:00Z', '2025-10-04T15:30:00Z'],
};
const CLOCKS = [
  '30 2 * * *', '30 1 * * *', '0 2 * * *', '0 3 * * *', '15 2 * * *', '45 1 * * *', '30 1,2,14 * * *', '0 1-3 * * *',
  '*/15 1-3 * * *', '0 */2 * * *', '0 0-23/2 * * *', '30 * * * *', '0 * * * *', '*/5 * * * *', '* * * * *', '10,40 2 * * *',
  '0-59/20 1-2 * * *', '*/20 30 2 * * *', '*/30 * * * * *', '0 30 1 * * *', '59 59 1 * * *', '30 2 * * SUN', '0 0 * * *', '@hourly', '@daily',
];
const OFFSETS = [-24 * 60, -61, -20, 0, 10, 45];

// Expressions by chance, the same in every run.
let seed = 20240229;
const below = (limit) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * limit);
};
const oneOf = (list) => list[below(list.length)];

function anyField(low, high) {
  const value = () => low + below(high - low + 1);
  const range = () => [value(), value()].sort((a, b) => a - b).join('-');
  const step = () => 1 + below(high);
  const forms = [() => '*', () => '*', () => `*/${step()}`, () => `${value()}`, range, () => `${range()}/${step()}`, () => `${value()},${range()}`];
  return oneOf(forms)();
}

function anyRow() {
  const cron = [anyField(0, 59), anyField(0, 23), anyField(1, 28), anyField(1, 12), anyField(0, 6)];
  const zone = oneOf(['UTC', 'Asia/Kolkata', ...Object.keys(CHANGES)]);
  const after = Date.UTC(2024, 0, 1) + below(6 * 366 * 86400) * 1000;
  return row((below(4) === 0 ? [anyField(0, 59), ...cron] : cron).join(' '), zone, after);
}

function rows() {
  const list = [];
  for (const cron of CALENDAR) {
    DATES.forEach((date) => list.push(row(cron, 'UTC', date)));
    list.push(row(cron, 'Asia/Kolkata', '2024-02-27T18:29:59Z'), row(cron, 'America/New_York', '2027-12-31T12:00:00Z'));
  }
  CLOCKS.forEach((cron, c) => {
    for (const [zone, changes] of Object.entries(CHANGES)) {
      changes.forEach((change, i) => {
        // Two moments around each change are enough, and other ones for the next expression.
        for (const n of [0, 3]) {
          list.push(row(cron, zone, Date.parse(change) + OFFSETS[(c + i + n) % OFFSETS.length] * 60000));
        }
      });
    }
  });
  for (let i = 0; i < 200; i += 1) {
    list.push(anyRow());
  }
  return list;
}

const all = rows();
const compared = all.map(compare).reduce((a, b) => a + b);
const head = {
  about: 'The first ticks after a moment, made by make.mjs beside this file, which says what `asked` and `left_out` mean.',
  made_by: `${version('croner')}, fixedTimeRule "no-wildcard"`,
  compared_with: `${version('cronosjs')}: the same in the ${compared} rows that it can compute`,
};
const lines = all.map((r) => `    ${JSON.stringify(r)}`);
process.stdout.write(`${JSON.stringify(head, null, 2).slice(0, -2)},\n  "rows": [\n${lines.join(',\n')}\n  ]\n}\n`);
