// graphile-worker, driven by ../jobs.py:
//
//     node graphile-worker.mjs enqueue COUNT
//     node graphile-worker.mjs work '{"concurrentJobs": 24, "localQueue": {"size": 500}, ...}'
//
// DATABASE_URL says where. `work` says "ready", waits for a line, works until it is ended, and tells when the database
// says that it claimed its first job: the rows of finished jobs are gone.
import { once } from "node:events";
import { Logger, makeWorkerUtils, run } from "graphile-worker";

const connectionString = process.env.DATABASE_URL;
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

async function enqueue(count) {
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  const began = process.hrtime.bigint();
  await utils.addJobs(Array.from({ length: count }, () => ({ identifier: "noop", payload: {} })));
  console.log(`enqueued ${Number(process.hrtime.bigint() - began) / 1e9}`);
  await utils.release();
}

async function work(options) {
  let claimed = false;
  const noop = (_payload, helpers) => {
    if (claimed) return;
    claimed = true;
    console.log(`claimed ${helpers.job.locked_at.getTime() / 1000}`);
  };
  console.log("ready");
  await once(process.stdin, "data");
  const runner = await run({
    preset: { worker: { connectionString, maxPoolSize: options.concurrentJobs + 1, ...options } },
    logger,
    noHandleSignals: true,
    taskList: { noop },
  });
  await runner.promise;
}

const [what, argument] = process.argv.slice(2);
await (what === "enqueue" ? enqueue(Number(argument)) : work(JSON.parse(argument)));
