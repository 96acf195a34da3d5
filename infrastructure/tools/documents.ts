/**
 * Everything in the documentation that follows from the code: `npm run docs`
 * writes it, and test/docs.test.ts fails when it has not been written.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Variable, variables } from '../config/variables.ts';
import { guide } from '../test/guide/all.ts';
import { left } from '../test/guide/left.ts';
import { production } from '../test/support/variants.ts';
import { monthlyCost, total } from './cost.ts';
import { diagram } from './diagram.ts';
import { PRICES, PRICES_AS_OF } from './prices.ts';
import { SCENARIOS } from './scenarios.ts';

const PACKAGE = join(import.meta.dirname, '..');
const table = Object.values<Variable<unknown>>(variables);

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}

function markdownTable(head: string[], rows: string[][]): string {
  return [row(...head), `|${head.map(() => '---').join('|')}|`, ...rows.map((cells) => row(...cells))].join('\n');
}

/** Replaces what stands between `<!-- BEGIN name -->` and `<!-- END name -->`. */
function fill(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- BEGIN ${name} -->`, `<!-- END ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) {
    throw new Error(`no place for ${name}`);
  }
  return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
}

function fallbackOf({ fallback, required }: Variable<unknown>): string {
  if (fallback === undefined) {
    return required ? 'required' : '–';
  }
  if (fallback.startsWith('$CDK_DEFAULT_')) {
    return 'that of the CLI';
  }
  return fallback.startsWith('$') ? `as \`${fallback.slice(1)}\`` : `\`${fallback}\``;
}

function variableTable(): string {
  return markdownTable(
    ['variable', 'what it is', 'default', 'what it takes'],
    table.map((variable) => [`\`${variable.name}\``, variable.about, fallbackOf(variable), variable.parser.expected]),
  );
}

/** A sentence as it reads in a table cell; code stays code. */
function quoted(says: string): string {
  return /[`#]/.test(says) || !/[${}*]/.test(says) ? says.replace(/^#+ /, '') : `\`${says}\``;
}

function sentenceTables(): string {
  return Object.entries(guide)
    .map(([file, sentences]) => {
      const rows = sentences.map(({ section, says, note }) => [section, quoted(says), note ?? '']);
      return `### \`infrastructure/test/guide/${file}\`\n\n${markdownTable(['guide: section', 'guide: sentence (and name of the test)', 'how we read it'], rows)}`;
    })
    .join('\n\n');
}

function leftTable(): string {
  const rows = left.map(({ section, says, why }) => [section, quoted(says), why]);
  return markdownTable(['guide: section', 'guide: sentence', 'why no test of a template'], rows);
}

/** `describe` and `it` names of a test file, as they are written there. */
export function testNames(file: string): [group: string, name: string][] {
  const source = readFileSync(join(PACKAGE, 'test', file), 'utf8');
  const names: [string, string][] = [];
  let group = '';
  for (const [, kind, name = ''] of source.matchAll(/^ *(describe|it)\(\s*'((?:[^'\\]|\\.)*)'/gm)) {
    if (kind === 'describe') {
      group = name;
    } else {
      names.push([group, name]);
    }
  }
  return names;
}

/** Files below test/. */
export function beyondFiles(): string[] {
  return readdirSync(join(PACKAGE, 'test/beyond'))
    .sort()
    .map((name) => `beyond/${name}`);
}

function beyondTable(): string {
  return markdownTable(['where', 'what holds (name of the test in `infrastructure/test/beyond/`)'], beyondFiles().flatMap(testNames));
}

const money = (dollars: number): string => `$${dollars.toFixed(2)}`;

function costTables(): string {
  const priced = SCENARIOS.map((scenario) => ({ ...scenario, lines: monthlyCost(scenario.make(), scenario.use) }));
  const summary = markdownTable(
    ['environment', 'a month', 'what is assumed'],
    priced.map(({ title, about, lines }) => [title, `**${money(total(lines))}**`, about]),
  );
  const details = priced.map(
    ({ title, lines }) =>
      `### ${title}\n\n${markdownTable(
        ['what', 'how much', 'a month'],
        [
          ...lines.map(({ what, how, dollars }) => [what, how, money(dollars)]),
          ['**total**', '', `**${money(total(lines))}**`],
        ],
      )}`,
  );
  return [summary, ...details].join('\n\n');
}

function priceTable(): string {
  return markdownTable(
    [`price (us-east-1, ${PRICES_AS_OF})`, 'US dollars'],
    Object.entries(PRICES).map(([name, price]) => [`\`${name}\``, String(price)]),
  );
}

/** Required variables with an example to overwrite; all others as comments that show their default. */
export function envExample(): string {
  const lines = table.map(({ name, about, parser, required, fallback, example }) => {
    const must = required && fallback === undefined;
    const value = fallback !== undefined && !fallback.startsWith('$') ? fallback : (example ?? '');
    const text = /^$|[ #]/.test(value) && !/^["']/.test(value) ? `"${value}"` : value;
    return `# ${about}: ${parser.expected}\n${must ? '' : '#'}${name}=${must ? text : text || fallback}\n`;
  });
  return `# Copy to .env (or .env.dev, .env.qa, .env.prd) and edit; neither is ever committed.
# What is commented out shows its default or an example.

${lines.join('\n')}`;
}

/** Path below the package → the text that should stand there. */
export function documents(): Record<string, string> {
  const read = (path: string) => readFileSync(join(PACKAGE, path), 'utf8');
  let overview = read('../docs/infrastructure.md');
  overview = fill(overview, 'variables', variableTable());
  overview = fill(overview, 'sentences', sentenceTables());
  overview = fill(overview, 'left', leftTable());
  overview = fill(overview, 'beyond', beyondTable());
  let cost = read('docs/cost.md');
  cost = fill(cost, 'costs', costTables());
  cost = fill(cost, 'prices', priceTable());
  return {
    '../docs/infrastructure.md': overview,
    'docs/cost.md': cost,
    'docs/stacks.svg': diagram(production()),
    '.env.example': envExample(),
  };
}
