/**
 * A sentence of the deployment guide and the check that it is true of what is
 * synthesized. guide.test.ts runs them all, and `npm run docs` lists them in
 * docs/infrastructure.md.
 */
export interface Sentence {
  /** The guide's heading. */
  readonly section: string;
  /** The guide's words. */
  readonly says: string;
  /** Where we read it more closely, or go further. */
  readonly note?: string;
  check(): void;
}

type Check = () => void;

/** The sentences of one section: words → check, or words → [note, check]. */
export function section(title: string, sentences: Record<string, Check | readonly [string, Check]>): Sentence[] {
  return Object.entries(sentences).map(([says, value]) => {
    const [note, check] = typeof value === 'function' ? [undefined, value] : value;
    return { section: title, says, note, check };
  });
}
