// Runs round-trip.ts against a `millrace all` of its own: launch.mjs FOLDER DOCUMENT, with the binary in MILLRACE_BIN.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [folder, document] = process.argv.slice(2);
const binary = process.env.MILLRACE_BIN;
const PATIENCE_MS = 120_000;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function isReady(origin) {
  try {
    return (await fetch(`${origin}/readyz`)).ok;
  } catch {
    return false;
  }
}

const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const environment = {
  PATH: process.env.PATH,
  APP_HOST: '127.0.0.1',
  APP_PORT: String(port),
  JWT_SECRET: 'a secret of the client test, long enough for it',
  RATE_LIMIT_AUTH_PER_MINUTE: '0',
  LOGGING_LEVEL: 'error',
  MILLRACE_STATE_DIR: `${folder}/state`,
};
const server = spawn(binary, ['all'], { cwd: folder, env: environment, stdio: 'inherit' });
let status = 1;
try {
  const end = Date.now() + PATIENCE_MS;
  while (!(await isReady(origin))) {
    if (server.exitCode !== null || Date.now() > end) throw new Error('the server is not ready');
    await sleep(100);
  }
  status = spawnSync('node', ['--disable-warning=ExperimentalWarning', '--experimental-strip-types', 'round-trip.ts'], {
    stdio: 'inherit',
    env: { ...process.env, ORIGIN: origin, DOCUMENT: document, STATE: `${folder}/state` },
  }).status;
} finally {
  if (server.exitCode === null) {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
}
process.exitCode = status ?? 1;
