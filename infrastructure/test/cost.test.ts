/** docs/cost.md: what it is made of. That the page is up to date is checked in docs.test.ts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { monthlyCost, total } from '../tools/cost.ts';
import { PRICES, PRICES_AS_OF } from '../tools/prices.ts';
import { SCENARIOS } from '../tools/scenarios.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '..', path), 'utf8');
const of = (title: string) => {
  const { make, use } = SCENARIOS.find((scenario) => scenario.title === title) as (typeof SCENARIOS)[number];
  return Object.fromEntries(monthlyCost(make(), use).map(({ what, dollars }) => [what, dollars]));
};
const cents = (dollars = Number.NaN) => Math.round(dollars * 100);

describe('cost', () => {
  it('dev, qa and production are priced', () => {
    const titles = SCENARIOS.map(({ title }) => title);
    for (const environment of ['dev', 'qa', 'production']) {
      assert.ok(
        titles.some((title) => title.startsWith(environment)),
        environment,
      );
    }
  });
  it('every price is used, and its date stated', () => {
    const source = read('tools/cost.ts');
    const unused = Object.keys(PRICES).filter((name) => !new RegExp(`PRICES\\.${name}\\b`).test(source));
    assert.deepEqual(unused, []);
    assert.ok(read('docs/cost.md').includes(`| price (us-east-1, ${PRICES_AS_OF}) |`));
    assert.match(PRICES_AS_OF, /\b20\d\d$/);
  });
  it('is what one gets by hand: production', () => {
    const cost = of('production');
    assert.equal(cents(cost['Fargate: API']), cents(2 * 730 * (1 * 0.04048 + 2 * 0.004445)));
    assert.equal(cents(cost['Fargate: scheduler']), cents(730 * (0.25 * 0.04048 + 0.5 * 0.004445)));
    assert.equal(cents(cost['Aurora: capacity']), cents(730 * 2 * 0.12));
    assert.equal(cents(cost['NAT gateway']), cents(2 * 730 * 0.045 + 50 * 0.045));
    assert.equal(cents(cost['Public IPv4 addresses']), cents(4 * 730 * 0.005));
    assert.equal(cents(cost['Load balancer']), cents(730 * (0.0225 + 2 * 0.008)));
    assert.equal(cents(cost.Backups), cents(5 * 50 * 0.021));
    assert.equal(cents(cost['Copies in another region']), cents(35 * 50 * 0.021 + 30 * 50 * 0.02));
    assert.equal(cents(cost.Dashboards), 300);
    assert.equal(cents(cost.WAF), cents(5 + 5 + 100 * 0.6));
  });
  it('asleep, neither task nor database costs anything but its storage', () => {
    const cost = of('dev, asleep');
    assert.deepEqual([cost['Fargate: API'], cost['Aurora: capacity'], cost.WAF], [0, 0, undefined]);
    assert.equal(cents(cost['Aurora: storage and I/O']), 10);
  });
  it('an environment that sleeps costs under 30 dollars without NAT, and the table says so', () => {
    const dollars = Object.values(of('dev at least cost, asleep')).reduce((sum, one) => sum + one, 0);
    assert.ok(dollars < 30, `$${dollars}`);
    assert.ok(read('docs/cost.md').includes(`| dev at least cost, asleep | **$${dollars.toFixed(2)}** |`));
  });
  it('without NAT a task pays for an address of its own while it runs', () => {
    const [asleep, awake] = [of('dev at least cost, asleep'), of('dev at least cost, working hours')];
    assert.equal(cents(asleep['Public IPv4 addresses']), cents(2 * 730 * 0.005));
    assert.equal(cents(awake['Public IPv4 addresses']), cents((2 * 730 + 176) * 0.005));
  });
  it('is read from the templates: a reader is paid like the writer', () => {
    const [one, two] = [of('production'), of('production with a read replica')];
    assert.equal(cents(two['Aurora: capacity']), 2 * cents(one['Aurora: capacity']));
    assert.ok((two.Secrets ?? 0) > (one.Secrets ?? 0));
  });
  it('adds up', () => {
    for (const { make, use } of SCENARIOS) {
      const lines = monthlyCost(make(), use);
      assert.ok(lines.every(({ dollars }) => dollars >= 0));
      assert.equal(
        total(lines),
        lines.map(({ dollars }) => dollars).reduce((a, b) => a + b, 0),
      );
    }
  });
});
