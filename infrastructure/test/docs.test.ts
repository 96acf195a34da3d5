/** The documentation says what is so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { contents } from '../tools/diagram.ts';
import { beyondFiles, documents, testNames } from '../tools/documents.ts';
import { left } from './guide/left.ts';
import type { Synthesized } from './support/synth.ts';
import { all, one } from './support/template.ts';
import { everything, production, replica } from './support/variants.ts';

const PACKAGE = join(import.meta.dirname, '..');
const PAGES = ['README.md', 'docs/runbook.md', 'docs/cost.md', '../docs/infrastructure.md'];
const read = (path: string) => readFileSync(join(PACKAGE, path), 'utf8');

describe('generated pages are up to date (npm run docs)', () => {
  for (const [path, text] of Object.entries(documents())) {
    it(path, () => assert.equal(read(path), text));
  }
});

/** GitHub's anchors: lower case, no punctuation, hyphens for spaces. */
function anchors(page: string): Set<string> {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('links lead somewhere', () => {
  for (const path of PAGES) {
    it(path, () => {
      for (const [, target = ''] of read(path).matchAll(/\]\(([^)]+)\)/g)) {
        if (target.startsWith('http')) {
          continue;
        }
        const [file = '', anchor] = target.split('#');
        const page = file === '' ? path : join(dirname(path), file);
        assert.ok(existsSync(join(PACKAGE, page)), `${path}: ${target}`);
        assert.ok(anchor === undefined || anchors(read(page)).has(anchor), `${path}: ${target}`);
      }
    });
  }
});

describe('the runbook', () => {
  const runbook = read('docs/runbook.md');

  it('has a row for every alarm, and none for an alarm that is not there', () => {
    const which = everything('prd');
    const real = which.assembly.stacks.flatMap(({ template }) =>
      Object.values<{ Type: string; Properties: { AlarmName: string } }>(template.Resources)
        .filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
        .map(({ Properties }) => Properties.AlarmName.replace(`${which.config.baseName}-`, '')),
    );
    const table = runbook.slice(runbook.indexOf('| alarm |'), runbook.indexOf('### Database event'));
    const rows = table.split('\n').flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)]);
    assert.deepEqual(rows.map(([, name]) => name).sort(), real.sort());
  });

  it('has the headings that messages of events point at', () => {
    for (const { template } of production().assembly.stacks) {
      for (const [, heading] of JSON.stringify(template).matchAll(/See the runbook, (?:\\+")+([A-Za-z ]+)\\/g)) {
        assert.match(runbook, new RegExp(`^### ${heading}$`, 'm'));
      }
    }
    const told = production().assembly.stacks.flatMap(({ template }) =>
      Object.values<{ Type: string; Properties: { Name: string } }>(template.Resources)
        .filter(({ Type, Properties }) => Type === 'AWS::Events::Rule' && !Properties.Name.endsWith('-restart'))
        .map(({ Properties }) => Properties.Name.replace('millrace-prd-', '')),
    );
    assert.ok(told.length >= 5, told.join());
    for (const name of told) {
      assert.ok(runbook.includes(`\`${name}\``), name);
    }
  });

  it('names npm scripts and settings that there are', () => {
    const { scripts } = JSON.parse(read('package.json'));
    for (const path of PAGES) {
      for (const [, script = ''] of read(path).matchAll(/npm run ([a-z:]+)/g)) {
        assert.ok(script in scripts, `${path}: npm run ${script}`);
      }
    }
    const names = new Set([...read('.env.example').matchAll(/^#?(CDK_[A-Z0-9_]+)=/gm)].map(([, name]) => name));
    for (const path of PAGES) {
      for (const [, name = ''] of read(path).matchAll(/`(CDK_(?!DEFAULT_)[A-Z0-9_]+)[=`]/g)) {
        assert.ok(names.has(name), `${path}: ${name}`);
      }
    }
  });

  it('takes up what the guide leaves to people', () => {
    for (const { says, runbook: words } of left) {
      assert.ok(words === undefined || runbook.includes(words), `${says}: ${words}`);
    }
  });

  it('restores a database that is what the stack makes: what a command leaves out is a default of AWS', () => {
    const restore = runbook.slice(runbook.indexOf('## Restore the database'), runbook.indexOf('## Rotate secrets'));
    const line = (words: string) => restore.split('\n').find((text) => text.includes(words)) ?? '';
    const database = production().template('database');
    const instance = one(database, 'AWS::RDS::DBInstance').Properties;
    const made = line('aws rds create-db-instance');
    const options: Record<string, string | undefined> = {
      AutoMinorVersionUpgrade: instance.AutoMinorVersionUpgrade === false ? '--no-auto-minor-version-upgrade' : undefined,
      CACertificateIdentifier: `--ca-certificate-identifier ${instance.CACertificateIdentifier}`,
      DBClusterIdentifier: '--db-cluster-identifier millrace-prd-restored',
      DBInstanceClass: `--db-instance-class ${instance.DBInstanceClass}`,
      EnablePerformanceInsights: instance.EnablePerformanceInsights === true ? '--enable-performance-insights' : undefined,
      Engine: `--engine ${instance.Engine}`,
      MonitoringInterval: `--monitoring-interval ${instance.MonitoringInterval}`,
      MonitoringRoleArn: '--monitoring-role-arn MONITORING-ROLE-ARN',
      PerformanceInsightsRetentionPeriod: `--performance-insights-retention-period ${instance.PerformanceInsightsRetentionPeriod}`,
      PubliclyAccessible: instance.PubliclyAccessible === false ? '--no-publicly-accessible' : undefined,
    };
    // One instance is always the first to take over, and names and tags are given afterwards.
    for (const property of Object.keys(instance).filter((name) => !['PromotionTier', 'Tags'].includes(name))) {
      assert.ok(options[property] !== undefined && made.includes(options[property]), property);
    }
    const cluster = one(database, 'AWS::RDS::DBCluster').Properties;
    const whole = line('aws rds restore-db-cluster-to-point-in-time') + line('aws rds modify-db-cluster --db-cluster-identifier millrace-prd-restored');
    for (const option of [
      `--backup-retention-period ${cluster.BackupRetentionPeriod}`,
      `--enable-cloudwatch-logs-exports ${cluster.EnableCloudwatchLogsExports}`,
      cluster.CopyTagsToSnapshot ? '--copy-tags-to-snapshot' : 'nothing',
      cluster.DeletionProtection ? '--deletion-protection' : 'nothing',
      '--db-subnet-group-name',
      '--vpc-security-group-ids',
      '--db-cluster-parameter-group-name',
      '--serverless-v2-scaling-configuration',
    ]) {
      assert.ok(whole.includes(option), option);
    }
  });
  it('turns off in the order in which CloudFormation lets go: who imports first', () => {
    const { scripts } = JSON.parse(read('package.json'));
    assert.match(scripts['deploy:services'], / --exclusively '\*-compute' '\*-scheduled-task'$/);
    const importers = (which: Synthesized, needle: string) =>
      which.assembly.stacks
        .filter(({ template }) => new RegExp(`ImportValue":"[^"]*${needle}`).test(JSON.stringify(template)))
        .map(({ stackName }) => stackName);
    assert.deepEqual(importers(replica(), 'ReadOnlySecret'), ['millrace-dev-compute', 'millrace-dev-scheduled-task']);
    const off = runbook.slice(runbook.indexOf('## Turn something off'), runbook.indexOf('## Scale to zero'));
    assert.ok(off.indexOf('delete-stack --stack-name millrace-dev-scheduled-task') < off.indexOf('npm run deploy --'));
    assert.ok(off.indexOf('npm run deploy:services') < off.lastIndexOf('npm run deploy --'));
  });

  it('has no command that the rehearsal would pass over, and excuses none that is not there', (context) => {
    assert.deepEqual([...new Set([...runbook.matchAll(/^ *```(.*)$/gm)].map(([, language]) => language))].sort(), ['', 'bash']);
    assert.doesNotMatch(runbook, /\\$/m, 'a command is one line');
    const script = 'import runbook as r; known = [c for _, c in r.commands()]; used = {r.excuse(c) for c in known}; print(len(known), set(r.EXCUSED) - used)';
    const python = spawnSync('python3', ['-B', '-c', script], { cwd: join(PACKAGE, 'rehearsal'), encoding: 'utf8' });
    if (python.error !== undefined) {
      context.skip('there is no python3');
      return;
    }
    const [, count, unused] = /^(\d+) (.*)$/m.exec(python.stdout) ?? [];
    assert.ok(Number(count) > 80, python.stderr);
    assert.equal(unused, 'set()');
  });

  it('has every section that an environment needs', () => {
    for (const heading of [
      'Deploy',
      'Verify',
      'Update',
      'Roll back',
      'Restore the database',
      'Rotate secrets',
      'Scale to zero, and back',
      'Tear down',
      'When an alarm rings',
    ]) {
      assert.match(runbook, new RegExp(`^## ${heading}$`, 'm'));
    }
  });

  it('tears down what production protects', () => {
    for (const { template } of production().assembly.stacks) {
      const kept = Object.values<{ Type: string; DeletionPolicy?: string }>(template.Resources)
        .filter(({ DeletionPolicy }) => DeletionPolicy === 'Retain')
        .map(({ Type }) => Type);
      const told = [
        'AWS::RDS::DBCluster',
        'AWS::RDS::DBInstance',
        'AWS::RDS::DBSubnetGroup',
        'AWS::ECR::Repository',
        'AWS::S3::Bucket',
        'AWS::Logs::LogGroup',
        'AWS::Backup::BackupVault',
      ];
      assert.deepEqual(
        kept.filter((type) => !told.includes(type)),
        [],
        'the runbook names what stays behind',
      );
    }
  });
});

describe('the page on infrastructure', () => {
  it('lists every test of what goes beyond the guide', () => {
    for (const file of beyondFiles()) {
      assert.equal(testNames(file).length, [...read(`test/${file}`).matchAll(/^ {2}it\(/gm)].length, file);
    }
  });
  it('names what the containers get', () => {
    const page = read('../docs/infrastructure.md');
    for (const type of ['compute', 'scheduled-task'] as const) {
      for (const { Properties } of all(everything().template(type), 'AWS::ECS::TaskDefinition')) {
        const [{ Environment, Secrets }] = Properties.ContainerDefinitions;
        for (const { Name } of [...Environment, ...Secrets]) {
          const isTheirs = Name in (everything().config.appSettings ?? {});
          assert.ok(page.includes(`\`${Name}\``) || /^SCHEDULE_/.test(Name) || isTheirs, Name);
        }
      }
    }
  });
  it('shows a picture that names what is in the stacks', () => {
    const picture = read('docs/stacks.svg');
    assert.ok(contents(production(), 'compute').includes('load balancer'));
    for (const type of ['network', 'database', 'ecr', 'compute', 'scheduled-task'] as const) {
      for (const item of contents(production(), type)) {
        assert.ok(picture.includes(`>${item}<`), item);
      }
    }
  });
});
