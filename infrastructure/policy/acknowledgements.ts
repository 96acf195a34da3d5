export interface Acknowledgement {
  /** Where: matched against the end of the path below the stack. */
  readonly at: RegExp;
  readonly id: string;
  readonly reason: string;
}
export const acknowledgements: readonly Acknowledgement[] = [];
