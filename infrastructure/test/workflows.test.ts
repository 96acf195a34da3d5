/** What the workflows do to an environment. Their shape is checked by the linters of .github/lint. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const workflow = (name: string) =>
  readFileSync(join(import.meta.dirname, '../../.github/workflows', `${name}.yml`), 'utf8');

describe('workflows', () => {
  for (const name of ['deploy', 'roll-back']) {
    it(`${name} leaves the number of tasks alone unless told`, () => {
      assert.match(workflow(name), /keepCount:\n {8}description: .+\n {8}default: true\n {8}type: boolean/);
      assert.match(workflow(name), /KEEP_COUNT: \$\{\{ inputs\.keepCount \}\}/);
      assert.match(workflow(name), /run: npm run deploy.* --context "keepCount=\$KEEP_COUNT"$/m);
    });
  }
  it('roll-back changes the services only, with the present code of the infrastructure', () => {
    assert.doesNotMatch(workflow('roll-back'), /^ +ref:/m);
    assert.doesNotMatch(workflow('roll-back'), /npm run deploy --/);
    assert.match(workflow('roll-back'), /npm run deploy:services --/);
  });
  it('publish goes on where half a publication has stopped', () => {
    const loop = workflow('publish').split('for architecture in')[1] ?? '';
    assert.match(loop, /is_there "\$VERSION-\$architecture" \|\| continue[\s\S]+docker push/);
    assert.match(workflow('publish'), /! is_there "\$VERSION" \|\| exit 0/);
  });
  it('the environment is the one that was chosen, whatever the settings say, and nothing is run while installing', () => {
    const action = readFileSync(join(import.meta.dirname, '../../.github/actions/infrastructure/action.yml'), 'utf8');
    assert.match(action, /echo "CDK_ENVIRONMENT=\$ENVIRONMENT" >>"\$GITHUB_ENV"/);
    assert.match(action, /npm ci --ignore-scripts/);
    for (const name of ['deploy', 'roll-back', 'tear-down']) {
      const uses = workflow(name).match(/uses: \.\/\.github\/actions\/infrastructure\n.+\n {10}environment: \$\{\{ inputs\.environment \}\}/g);
      assert.equal(uses?.length, workflow(name).match(/actions\/infrastructure$/gm)?.length, name);
    }
  });
  it('tear-down says what is left, also when it stopped', () => {
    assert.match(workflow('tear-down'), /name: What is left\n {8}if: always\(\)/);
  });
});
