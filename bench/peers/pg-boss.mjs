// pg-boss, driven by ../jobs.py:
//
//     node pg-boss.mjs enqueue COUNT
//     node pg-boss.mjs work '{"batchSize": 1000, "localConcurrency": 2, ...}'     the workers of the library
//     node pg-boss.mjs work '{"batchSize": 1000, "loops": 2}'                     loops of fetch() and complete()
//
// DATABASE_URL says where. `work` says "ready", waits for a line, and works until it is ended.
import { once } from "node:events";
import { PgBoss } from "pg-boss";

const INSERTED_AT_ONCE = 10000;

async function start(options) {
  const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, ...options });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  return boss;
}

async function enqueue(count) {
  const boss = await start({ supervise: false, schedule: false });
  await boss.createQueue("noop");
  const began = process.hrtime.bigint();
  for (let done = 0; done < count; done += INSERTED_AT_ONCE)
    await boss.insert("noop", Array.from({ length: Math.min(INSERTED_AT_ONCE, count - done) }, () => ({})));
  console.log(`enqueued ${Number(process.hrtime.bigint() - began) / 1e9}`);
  await boss.stop({ graceful: false });
}

async function loop(boss, batchSize) {
  for (;;) {
    const jobs = await boss.fetch("noop", { batchSize });
    if (jobs.length === 0) return;
    await boss.complete("noop", jobs.map((job) => job.id));
  }
}

async function work({ loops, max = 10, ...options }) {
  const boss = await start({ max });
  console.log("ready");
  await once(process.stdin, "data");
  if (loops) await Promise.all(Array.from({ length: loops }, () => loop(boss, options.batchSize)));
  else await boss.work("noop", { burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, ...options }, async () => {});
}

const [what, argument] = process.argv.slice(2);
await (what === "enqueue" ? enqueue(Number(argument)) : work(JSON.parse(argument)));
