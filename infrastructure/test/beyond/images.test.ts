/** Beyond the guide: which image runs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { synth, type Synthesized } from '../support/synth.ts';
import { container, environment, type Json, listOf, SERVICES, statements } from '../support/template.ts';
import { everything } from '../support/variants.ts';

describe('images', () => {
  const image = (which: Synthesized) => JSON.stringify(container(which.template('compute')).Image);

  it('the tag is the context appVersion, and health reports it', () => {
    const which = synth({}, '2.0.1');
    assert.match(image(which), /:2\.0\.1"/);
    assert.equal(environment(which.template('compute')).APP_VERSION, '2.0.1');
  });
  it('without appVersion the tag is latest, with a warning', () => {
    const which = synth({}, '');
    assert.match(image(which), /:latest"/);
    assert.equal(environment(which.template('compute')).APP_VERSION, undefined);
    const messages = which.assembly.stacks.flatMap((stack) => stack.messages.map(({ entry }) => String(entry.data)));
    assert.ok(messages.some((text) => /`latest` is deployed/.test(text)));
  });
  it('synthesis refuses a tag that no registry accepts', () => {
    assert.throws(() => synth({}, 'not a tag'), /appVersion=not a tag: expected an image tag such as 1\.2\.3/);
  });
  it('with CDK_APP_IMAGE tasks pull from that repository, and from no other', () => {
    for (const type of SERVICES) {
      const template = everything().template(type);
      const { Image, Environment } = container(template);
      assert.match(JSON.stringify(Image), /210987654321\.dkr\.ecr\.us-east-1\..*team\/shop:1\.2\.3/);
      const pull = statements(template).filter(({ Action }) => listOf(Action).includes('ecr:BatchGetImage'));
      assert.deepEqual(
        pull.map(({ Resource }) => Resource),
        ['arn:aws:ecr:us-east-1:210987654321:repository/team/shop'],
      );
      assert.ok(Environment.some(({ Name, Value }: Json) => Name === 'RESTOCK_CRON' && Value === '0 3 * * *'));
      assert.ok(!Environment.some(({ Name }: Json) => Name === 'MILLRACE_APP'), 'the image says where its folder is');
    }
  });
  it('one repository in two environments of an account needs CDK_ECR_SHARED', () => {
    assert.equal(synth({ CDK_ECR_SHARED: 'true', CDK_ENVIRONMENT: 'qa' }).config.repositoryName, 'millrace-qa');
  });
});
