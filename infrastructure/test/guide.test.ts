/** Every sentence of the deployment guide that states something, each a test of that name. */
import { describe, it } from 'node:test';
import { guide } from './guide/all.ts';

for (const [file, sentences] of Object.entries(guide)) {
  const sections = Map.groupBy(sentences, ({ section }) => section);
  for (const [section, list] of sections) {
    describe(`guide/${file}: ${section}`, () => {
      for (const { says, check } of list) {
        it(says, check);
      }
    });
  }
}
