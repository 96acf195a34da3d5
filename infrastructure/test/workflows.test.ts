/** What the workflows do to an environment. Their shape is checked by the linters of .github/lint. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { REVISIONS_KEPT } from '../stacks/ecr.stack.ts';
import { REQUIRED } from './support/synth.ts';
import { runStep, workflow } from './support/workflow-step.ts';

describe('workflows', () => {
  for (const name of ['deploy', 'roll-back']) {
    it(`${name} leaves the number of tasks alone unless told`, () => {
      assert.match(workflow(name), /keepCount:\n {8}description: .+\n {8}default: true\n {8}type: boolean/);
      assert.match(workflow(name), /(KEEP_COUNT|WANTED): \$\{\{ inputs\.keepCount \}\}/);
      assert.match(workflow(name), /run: npm run deploy.* --context "keepCount=\$KEEP_COUNT"$/m);
    });
  }
  it('roll-back changes the services only, with the present code of the infrastructure', () => {
    assert.doesNotMatch(workflow('roll-back'), /^ +ref:/m);
    assert.doesNotMatch(workflow('roll-back'), /npm run deploy --/);
    assert.match(workflow('roll-back'), /npm run deploy:services --/);
  });
  describe('publish goes on where half a publication has stopped', () => {
    const URI = '123456789012.dkr.ecr.us-east-1.amazonaws.com/millrace';
    const publish = (...there: string[]) =>
      runStep({
        workflow: 'publish',
        words: 'is_there()',
        env: { URI, VERSION: '1.2.3', GITHUB_REPOSITORY: 'owner/millrace', THERE: there.join(' ') },
        programs: {
          aws: 'case "$*" in *describe-images*) case " $THERE " in *" ${*##*imageTag=} "*) ;; *) exit 1 ;; esac ;; esac',
          gh: '',
          docker: '',
          sha256sum: '',
        },
      });
    const pushed = (calls: string[]) => calls.filter((call) => /^docker (push|buildx)/.test(call));
    const push = (tag: string) => `docker push ${URI}:${tag}`;
    const list = `docker buildx imagetools create --tag ${URI}:1.2.3 ${URI}:1.2.3-amd64 ${URI}:1.2.3-arm64`;

    it('nothing is there: both images, then the version', () => {
      const { status, calls } = publish();
      assert.equal(status, 0);
      assert.deepEqual(pushed(calls), [push('1.2.3-amd64'), push('1.2.3-arm64'), list]);
      const at = (words: string) => calls.findIndex((call) => call.includes(words));
      assert.ok(at('sha256sum --check') > 0 && at('sha256sum --check') < at('docker load'), 'checked before it is loaded');
      assert.ok(at('gh attestation verify') > 0 && at('gh attestation verify') < at('docker load'), 'and its signature, too');
    });
    it('one image is there: it is not pushed again, since its tag cannot move', () => {
      const { status, calls } = publish('1.2.3-amd64');
      assert.equal(status, 0);
      assert.deepEqual(pushed(calls), [push('1.2.3-arm64'), list]);
    });
    it('both images are there: the version', () => {
      assert.deepEqual(pushed(publish('1.2.3-amd64', '1.2.3-arm64').calls), [list]);
    });
    it('all is there: nothing', () => {
      const { status, calls } = publish('1.2.3', '1.2.3-amd64', '1.2.3-arm64');
      assert.equal(status, 0);
      assert.deepEqual(pushed(calls), []);
    });
    it('an image without a good signature is not pushed', () => {
      const { status, calls } = runStep({
        workflow: 'publish',
        words: 'is_there()',
        env: { URI, VERSION: '1.2.3', GITHUB_REPOSITORY: 'owner/millrace' },
        programs: { aws: 'case "$*" in *describe-images*) exit 1 ;; esac', gh: '[ "$1" != attestation ]', docker: '', sha256sum: '' },
      });
      assert.notEqual(status, 0);
      assert.deepEqual(pushed(calls), []);
    });
  });
  it('the environment is the one that was chosen, whatever the settings say', () => {
    const action = readFileSync(join(import.meta.dirname, '../../.github/actions/infrastructure/action.yml'), 'utf8');
    assert.match(action, /echo "CDK_ENVIRONMENT=\$ENVIRONMENT" >>"\$GITHUB_ENV"/);
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
  it('no install script runs where a role may be taken', () => {
    const folder = join(import.meta.dirname, '../../.github');
    const installs = (text: string) => text.split('\n').filter((line) => /\bnpm (--\S+ \S+ )?(ci|install|i)\b|\bnpx\b|\.\/dev /.test(line));
    for (const file of readdirSync(join(folder, 'workflows'))) {
      for (const job of jobsWithIdentity(readFileSync(join(folder, 'workflows', file), 'utf8'))) {
        assert.deepEqual(installs(job), [], file);
      }
    }
    const action = readFileSync(join(folder, 'actions/infrastructure/action.yml'), 'utf8');
    assert.deepEqual(installs(action).map((line) => line.trim()), ['npm ci --ignore-scripts --no-audit --no-fund']);
  });
  it('production is not deployed while AWS Backup leaves Aurora out', () => {
    const text = workflow('deploy');
    const check = text.indexOf('ResourceTypeOptInPreference.Aurora');
    assert.ok(check > 0 && check < text.indexOf('npm run deploy:ecr'));
    assert.match(text, /if: inputs\.environment == 'prd'\n/);
    const opted = (answer: string) =>
      runStep({ workflow: 'deploy', words: 'ResourceTypeOptInPreference.Aurora', programs: { aws: `echo ${answer}` } }).status;
    assert.deepEqual([opted('true'), opted('false'), opted('null')], [0, 1, 1]);
  });
  it('deploy keeps the last ten revisions of both services, after it has seen the new one answer', () => {
    const text = workflow('deploy');
    assert.ok(text.indexOf('name: Forget old revisions') > text.indexOf('name: The service answers with that version'));
    const { status, calls } = runStep({
      workflow: 'deploy',
      words: 'deregister-task-definition',
      env: { API: 'millrace-dev', SCHEDULER: 'millrace-scheduler-dev' },
      programs: { aws: 'case "$*" in *"--family-prefix millrace-dev "*) printf "one\ttwo\n" ;; esac' },
    });
    assert.equal(status, 0);
    const list = 'aws ecs list-task-definitions --family-prefix';
    const forget = 'aws ecs deregister-task-definition --query taskDefinition.status --task-definition';
    assert.deepEqual(calls.sort(), [
      `${forget} one`,
      `${forget} two`,
      `${list} millrace-dev --sort DESC --query taskDefinitionArns[10:] --output text`,
      `${list} millrace-scheduler-dev --sort DESC --query taskDefinitionArns[10:] --output text`,
    ]);
    assert.ok(text.includes(`[${REVISIONS_KEPT}:]`), 'as many as there are images of');
    const runbook = readFileSync(join(import.meta.dirname, '../docs/runbook.md'), 'utf8');
    assert.match(runbook, /^aws ecs list-task-definitions --family-prefix millrace-dev .*\[10:\].* deregister-task-definition/m);
  });
  it('a first deployment asks for CDK_SERVICE_DESIRED_COUNT tasks, since there is no number to keep', () => {
    const kept = (stack: string, wanted: string) =>
      runStep({
        workflow: 'deploy',
        words: 'KEEP_COUNT=$WANTED',
        env: { STACK: 'millrace-dev-compute', WANTED: wanted },
        programs: { aws: `printf '${stack}'` },
      }).exported;
    assert.deepEqual(kept('', 'true'), ['KEEP_COUNT=false']);
    assert.deepEqual(kept('millrace-dev-compute\n', 'true'), ['KEEP_COUNT=true']);
    assert.deepEqual(kept('millrace-dev-compute\n', 'false'), ['KEEP_COUNT=false']);
    const text = workflow('deploy');
    assert.ok(text.indexOf('KEEP_COUNT=$WANTED') < text.indexOf('keepCount=$KEEP_COUNT'));
    assert.match(text, /WANTED: \$\{\{ inputs\.keepCount \}\}/);
  });
  it('every name comes from the settings of the environment, and from nowhere else', () => {
    const folder = join(import.meta.dirname, '../../.github');
    const { CDK_APP_NAME, ...env } = { ...process.env, ...REQUIRED };
    const printed = execFileSync('npm', ['run', '--silent', 'names'], {
      cwd: join(import.meta.dirname, '..'),
      env: { ...env, CDK_APP_NAME: 'shop', CDK_TAG_ENV: 'development' },
      encoding: 'utf8',
    });
    const lines = ['app=shop', 'base=shop-dev', 'scheduler=shop-scheduler-dev', 'tagApp=shop', 'tagEnv=development', ''];
    assert.deepEqual(printed.split('\n'), lines);
    const action = readFileSync(join(folder, 'actions/infrastructure/action.yml'), 'utf8');
    assert.match(action, /CDK_ENVIRONMENT="\$ENVIRONMENT" npm run --silent names >>"\$GITHUB_OUTPUT"/);
    for (const name of ['base', 'scheduler', 'tagApp', 'tagEnv']) {
      assert.ok(action.includes(`steps.names.outputs.${name} }}`), name);
      assert.ok(printed.includes(`${name}=`), name);
    }
    for (const file of readdirSync(join(folder, 'workflows'))) {
      assert.doesNotMatch(readFileSync(join(folder, 'workflows', file), 'utf8'), /vars\.APP_NAME|'millrace'/, file);
    }
  });
  it('tear-down goes on when something did not go, and says what is left in any case', () => {
    const destroy = (npm: string) => runStep({ workflow: 'tear-down', words: 'npm run destroy', programs: { npm } });
    assert.deepEqual([destroy('').status, destroy('').calls.length], [0, 1]);
    assert.equal(destroy('[ "$(wc -l <"$CALLS")" -ge 2 ]').status, 0, 'the second attempt takes the rest');
    assert.deepEqual([destroy('exit 1').status, destroy('exit 1').calls.length], [1, 3]);
    assert.match(workflow('tear-down'), /name: What is left\n {8}if: always\(\)/);
    const left = (stacks: string) =>
      runStep({
        workflow: 'tear-down',
        words: 'These stacks are left',
        env: { BASE: 'millrace-dev', TAG_APP: 'shop', TAG_ENV: 'development' },
        programs: { aws: `case "$1" in cloudformation) printf '${stacks}' ;; *) echo arn:of:a:log-group ;; esac` },
      });
    assert.equal(left('').status, 0);
    assert.match(left('').calls.join('\n'), /Key=App,Values=shop Key=Env,Values=development/);
    assert.match(left('').calls.join('\n'), /starts_with\(StackName, 'millrace-dev-'\)/);
    const unknown = runStep({ workflow: 'tear-down', words: 'These stacks are left', env: { BASE: '' }, programs: { aws: '' } });
    assert.deepEqual([unknown.status, unknown.calls], [1, []], 'nothing known is not nothing left');
    assert.match(left('').text, /arn:of:a:log-group/);
    assert.equal(left('millrace-dev-network\tDELETE_FAILED\n').status, 1);
    assert.match(left('millrace-dev-network\tDELETE_FAILED\n').text, /millrace-dev-network\tDELETE_FAILED/);
  });
});

/** The jobs of a workflow that may take an identity, each with the workflow's own permissions. */
function jobsWithIdentity(text: string): string[] {
  const [head = '', jobs = ''] = text.split(/^jobs:\n/m);
  return jobs.split(/^(?= {2}\w)/m).filter((job) => /id-token: write/.test(/^ {4}permissions:/m.test(job) ? job : head));
}

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
