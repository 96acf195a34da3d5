/** What the templates say of the image against the file that it is built from. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { container, environment } from './support/template.ts';
import { scheduled } from './support/variants.ts';

const DOCKERFILE = resolve(import.meta.dirname, '../../compose/Dockerfile');
const skip = existsSync(DOCKERFILE) ? false : 'there is no compose/Dockerfile here';

describe('the image', () => {
  const lines = existsSync(DOCKERFILE) ? readFileSync(DOCKERFILE, 'utf8') : '';

  for (const type of ['compute', 'scheduled-task'] as const) {
    const task = () => container(scheduled().template(type));

    it(`${type}: holds the certificates of RDS where the container looks for them`, { skip }, () => {
      const { DB_SSL_ROOT_CERT } = environment(scheduled().template(type));
      assert.ok(lines.includes(`/image${DB_SSL_ROOT_CERT}`), DB_SSL_ROOT_CERT);
    });
    it(`${type}: is built for the user that runs it`, { skip }, () => {
      assert.match(lines, new RegExp(`^USER ${task().User}(:|$)`, 'm'));
    });
    it(`${type}: starts the binary that the container's command is a word for, and asks it for its health`, {
      skip,
    }, () => {
      const [, binary] = /^ENTRYPOINT \["([^"]+)"\]$/m.exec(lines) ?? [];
      assert.equal(task().EntryPoint, undefined);
      assert.deepEqual(task().HealthCheck.Command, ['CMD', binary, 'health']);
    });
  }
});
