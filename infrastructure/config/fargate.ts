/**
 * The sizes of a Fargate task that AWS accepts. Any other pair is refused by ECS
 * only at deployment, after minutes, so it is refused here.
 * Source: "Task size" in the Amazon ECS developer guide, Linux, up to 4 vCPU.
 */

const GB = 1024;

/** From `low` to `high` MB in whole gigabytes. */
function gigabytes(low: number, high: number): number[] {
  return Array.from({ length: high - low + 1 }, (_, i) => (low + i) * GB);
}

/** CPU units (1024 = 1 vCPU) → the memory sizes in MB that go with them. */
export const FARGATE_MEMORY: ReadonlyMap<number, readonly number[]> = new Map([
  [256, [512, 1 * GB, 2 * GB]],
  [512, gigabytes(1, 4)],
  [1024, gigabytes(2, 8)],
  [2048, gigabytes(4, 16)],
  [4096, gigabytes(8, 30)],
]);

export function isFargatePair(cpuUnits: number, memoryMb: number): boolean {
  return FARGATE_MEMORY.get(cpuUnits)?.includes(memoryMb) ?? false;
}

/** What to write beside a CPU size, for the message of a refused pair. */
export function memoryExpectation(cpuUnits: number): string {
  const sizes = FARGATE_MEMORY.get(cpuUnits);
  if (sizes === undefined) {
    return `a CPU size of ${[...FARGATE_MEMORY.keys()].join(', ')}`;
  }
  if (sizes.length <= 3) {
    return sizes.join(', ');
  }
  return `${sizes[0]} to ${sizes.at(-1)} in steps of ${GB}`;
}
