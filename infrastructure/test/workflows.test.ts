/** What the workflows do to an environment. Their shape is checked by the linters of .github/lint. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
  it('publish keeps what is there and signs it all the same', () => {
    const text = workflow('publish');
    assert.ok(text.indexOf('exit 0') < text.indexOf('id: image'), 'the tag that is there already ends one step only');
    assert.match(text, /attest-build-provenance@\S+\n {8}with:\n {10}subject-name: .+\n {10}subject-digest: .+\n {10}push-to-registry: true/);
    assert.match(text, /gh attestation verify "millrace-\$VERSION-image-\$architecture\.tar\.gz"[\s\S]+docker load/);
    assert.match(text, /attestations: write/);
  });
  it('a release is attested before it is published', () => {
    const text = workflow('release');
    assert.ok(text.indexOf('attest-build-provenance') > 0);
    assert.ok(text.indexOf('attest-build-provenance') < text.indexOf('gh release create'));
    assert.match(text, /subject-path: release\/\*/);
    assert.match(text, /contents: write\n {6}id-token: write\n {6}attestations: write/);
  });
  it('production is not deployed while AWS Backup leaves Aurora out', () => {
    const text = workflow('deploy');
    const check = text.indexOf('ResourceTypeOptInPreference.Aurora');
    assert.ok(check > 0 && check < text.indexOf('npm run deploy:ecr'));
    assert.match(text, /if: inputs\.environment == 'prd'\n[\s\S]+test "\$opted" = true \|\| \{.+exit 1; \}/);
  });
  it('tear-down says what is left, also when it stopped', () => {
    assert.match(workflow('tear-down'), /name: What is left\n {8}if: always\(\)/);
  });
});

describe('actions of others', () => {
  const PINNED = join(import.meta.dirname, '../../.github/pinned');
  const digest = 'a'.repeat(40);
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-pinned-'));
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

  /** Whether `.github/pinned` lets a file with this line through. */
  function isPinned(line: string): boolean {
    const file = join(scratch, 'workflow.yml');
    writeFileSync(file, `steps:\n${line}\n`);
    try {
      execFileSync(PINNED, [file], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  }

  it('are named by digests before a role is taken or a release made: the check fails until they are', () => {
    for (const line of [
      `      - uses: actions/checkout@${digest}`,
      `      - uses: actions/checkout@${digest} # v4`,
      `    - uses: owner/name/folder@${digest} # v4`,
      '      - uses: ./.github/actions/infrastructure',
      '    uses: ./.github/workflows/publish.yml',
      '      # - uses: actions/checkout@v4',
    ]) {
      assert.ok(isPinned(line), line);
    }
    for (const line of [
      '      - uses: actions/checkout@v4',
      '      - uses: actions/checkout@main',
      '      - uses: actions/checkout',
      `      - uses: actions/checkout@${digest.slice(1)}`,
      `      - uses: actions/checkout@v4 # ${digest}`,
      '    uses: owner/name/.github/workflows/x.yml@v1',
    ]) {
      assert.ok(!isPinned(line), line);
    }
  });
  it('are checked first, in every job that may take a role or publish', () => {
    const folder = join(import.meta.dirname, '../../.github/workflows');
    for (const file of readdirSync(folder)) {
      const text = readFileSync(join(folder, file), 'utf8');
      const takesRole = text.indexOf('aws-actions/configure-aws-credentials');
      assert.ok(takesRole < 0 || (text.indexOf('.github/pinned') > 0 && text.indexOf('.github/pinned') < takesRole), file);
    }
    const action = readFileSync(join(import.meta.dirname, '../../.github/actions/infrastructure/action.yml'), 'utf8');
    assert.ok(action.indexOf('.github/pinned') > 0 && action.indexOf('.github/pinned') < action.indexOf('aws-actions/'));
    const release = workflow('release');
    assert.ok(release.indexOf('.github/pinned') > 0 && release.indexOf('.github/pinned') < release.indexOf('ci:'));
    assert.match(release, /needs: version\n {4}uses: \.\/\.github\/workflows\/ci\.yml/);
  });
});
