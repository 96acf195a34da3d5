// Calls every operation of the API through the client that was generated from its document. What the compiler takes here is
// what a caller in TypeScript may write; that nothing was left out is held against the document at the end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema.d.ts';

type Task = components['schemas']['Task'];
type JobRun = components['schemas']['JobRun'];

const baseUrl = process.env['ORIGIN'] as string;
const called = new Set<string>();

const noting: Middleware = {
  onRequest: ({ request, schemaPath }) => {
    called.add(`${request.method.toLowerCase()} ${schemaPath}`);
  },
};

function clientOf(token?: string) {
  const client = createClient<paths>({ baseUrl, ...(token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }) });
  client.use(noting);
  return client;
}

/** The data of an answer with that status. */
function good<T>(answer: { data?: T; error?: unknown; response: Response }, status = 200): T {
  assert.equal(answer.response.status, status, `${answer.response.url}: ${JSON.stringify(answer.error)}`);
  return answer.data as T;
}

const password = 'correct horse battery';
const anybody = clientOf();

async function register(username: string) {
  const body = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.org', username, password };
  const user = good(await anybody.POST('/v1/auth/register', { body }));
  assert.equal(user.username, username);
}

async function signIn(username: string) {
  return good(await anybody.POST('/v1/auth/signin', { body: { username, password } }));
}

function makeAdmin(username: string) {
  const env = {
    PATH: process.env['PATH'], DB_HOST: `${process.env['STATE']}/postgres/run`, DB_USER: 'postgres', DB_DATABASE: 'millrace',
  };
  const done = spawnSync(process.env['MILLRACE_BIN'] as string, ['user', 'grant-admin', username], { env, encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
}

await register('reader');
await register('boss');
makeAdmin('boss');
const tokens = await signIn('reader');
const user = clientOf(tokens.accessToken);
const admin = clientOf((await signIn('boss')).accessToken);

async function account() {
  const next = good(await anybody.POST('/v1/auth/refresh', { body: { refreshToken: tokens.refreshToken } }));
  good(await anybody.POST('/v1/auth/signout', { body: { refreshToken: next.refreshToken } }), 204);
  good(await user.PATCH('/v1/users/profile', { body: { firstName: 'Augusta' } }));
  assert.equal(good(await user.GET('/v1/users/profile')).firstName, 'Augusta');
}

async function tasks() {
  const made: Task = good(
    await user.POST('/v1/tasks', {
      params: { header: { 'Idempotency-Key': '"one"' } },
      body: { summary: 'Write the report', taskPriorityCode: 'HIGH', dueAt: '2027-01-31', isComplete: false },
    }),
    201,
  );
  const params = { path: { taskId: made.id } };
  const replaced = good(await user.PUT('/v1/tasks/{taskId}', { params, body: { isComplete: true, dueAt: null } }));
  assert.equal(replaced.dueAt, undefined);
  const patched = await user.PATCH('/v1/tasks/{taskId}', { params, body: { description: 'two pages' } });
  assert.equal(good(patched).description, 'two pages');
  const tag = patched.response.headers.get('ETag') as string;
  assert.equal((await user.GET('/v1/tasks/{taskId}', { params: { ...params, header: { 'If-None-Match': tag } } })).response.status, 304);
  assert.equal(good(await user.GET('/v1/tasks/{taskId}', { params })).id, made.id);

  const list = good(await user.GET('/v1/tasks', { params: { query: { isComplete: true, sort: '-dueAt' } } }));
  assert.ok(Array.isArray(list) && list[0]?.id === made.id);
  const page = good(await user.GET('/v1/tasks', { params: { query: { page: 1, pageSize: 5 } } }));
  assert.ok(!Array.isArray(page) && page.pagination.totalItems === 1);

  const refused = await user.DELETE('/v1/tasks/{taskId}', { params: { ...params, header: { 'If-Match': '"99"' } } });
  assert.equal(refused.error?.status, 412);
  good(await user.DELETE('/v1/tasks/{taskId}', { params }), 204);
}

async function importing() {
  const answer = await user.POST('/v1/tasks/import', {
    params: { header: { 'Idempotency-Key': '"two"' } },
    headers: { 'Content-Type': 'text/csv' },
    body: 'summary,taskPriorityCode\nfrom a file,LOW\n',
    bodySerializer: (body) => body,
  });
  const run: JobRun = good(answer, 202);
  let state: JobRun['state'] = run.state;
  for (let i = 0; i < 600 && state !== 'succeeded'; i++) {
    await sleep(100);
    state = good(await user.GET('/v1/job-runs/{runId}', { params: { path: { runId: run.id } } })).state;
  }
  assert.equal(state, 'succeeded');
  const over = await user.POST('/v1/job-runs/{runId}/cancel', { params: { path: { runId: run.id } } });
  assert.equal(over.error?.status, 409);
}

async function figures() {
  const days = good(await user.GET('/v1/stats/tasks', { params: { query: { from: '2027-01-01', to: '2027-01-07' } } }));
  assert.equal(days.length, 7);
  const params = { path: { job: 'report' } };
  good(await admin.POST('/v1/jobs/{job}/runs', { params }), 202);
  let reports = good(await user.GET('/v1/reports'));
  for (let i = 0; i < 600 && reports.length === 0; i++) {
    await sleep(100);
    reports = good(await user.GET('/v1/reports'));
  }
  const [report] = reports;
  assert.ok(report);
  assert.equal(good(await user.GET('/v1/reports/{reportId}', { params: { path: { reportId: report.id } } })).figures.open, report.figures.open);
}

async function jobs() {
  const params = { path: { job: 'report' } };
  assert.ok(good(await admin.GET('/v1/jobs')).length > 3);
  assert.equal(good(await admin.GET('/v1/jobs/{job}', { params })).name, 'report');
  assert.ok(good(await admin.GET('/v1/jobs/{job}/runs', { params: { ...params, query: { limit: 5 } } })).length > 0);
  assert.equal((await user.GET('/v1/jobs')).error?.status, 403);
}

/** A kind of its own, whose runs are queued, worked on, tried again, cancelled and deleted. */
async function work() {
  const job = 'errand';
  const params = { path: { job } };
  assert.equal(good(await admin.PUT('/v1/jobs/{job}', { params, body: { work: 'pull', timeout: '30s', priority: 0 } })).work, 'pull');
  assert.equal(good(await admin.PATCH('/v1/jobs/{job}', { params, body: { priority: 5 } })).priority, 5);
  good(await admin.POST('/v1/jobs/{job}/pause', { params }));
  good(await admin.POST('/v1/jobs/{job}/resume', { params }));
  const queued = good(await admin.POST('/v1/jobs/{job}/runs', { params, body: [{ args: { n: 1 } }, { args: { n: 2 } }] }), 202);
  assert.ok('runs' in queued && queued.runs.length === 2);
  const { runs } = good(await admin.POST('/v1/jobs/{job}/claims', { params, body: { max: 2, lease: '30s', wait: '0s' } }));
  const [first, second] = runs;
  assert.ok(first && second);
  const outcomes = [
    { id: first.id, claim: first.claim, outcome: 'succeeded' as const, result: { sum: 3 } },
    { id: second.id, claim: second.claim, outcome: 'failed' as const, error: 'no paper', retryAfter: '1h' },
  ];
  const told = good(await admin.POST('/v1/job-runs/outcomes', { body: { outcomes } })).outcomes;
  assert.deepEqual(told.map((each) => each.state), ['succeeded', 'failed']);
  const one = { params: { path: { runId: second.id } } };
  assert.equal(good(await admin.GET('/v1/job-runs/{runId}/attempts', one))[0]?.error, 'no paper');
  good(await admin.POST('/v1/job-runs/{runId}/retry', one), 202);
  good(await admin.POST('/v1/job-runs/{runId}/cancel', one), 202);
  assert.equal(good(await admin.GET('/v1/job-runs', { params: { query: { job } } })).length, 2);
  good(await admin.POST('/v1/job-runs/retry', { body: { job, state: 'dead' } }), 202);
  good(await admin.POST('/v1/job-runs/cancel', { body: { job, state: 'queued' } }), 202);
  good(await admin.POST('/v1/job-runs/delete', { body: { job, state: 'succeeded' } }), 202);
  good(await admin.DELETE('/v1/jobs/{job}', { params }), 204);
}

async function keys() {
  const made = good(await admin.POST('/v1/api-keys', { body: { name: 'a program', scopes: ['jobs:enqueue:report'] } }), 201);
  const params = { path: { keyId: made.id } };
  const program = clientOf(made.key);
  assert.ok(good(await admin.GET('/v1/api-keys')).some((key) => key.id === made.id));
  const run = good(await program.POST('/v1/jobs/{job}/runs', { params: { path: { job: 'report' } } }), 202) as JobRun;
  assert.equal(good(await program.GET('/v1/job-runs/{runId}', { params: { path: { runId: run.id } } })).job, 'report');
  assert.equal((await program.GET('/v1/users/profile')).error?.status, 403);
  assert.deepEqual(good(await admin.GET('/v1/api-keys/{keyId}', { params })).scopes, ['jobs:enqueue:report']);
  good(await admin.DELETE('/v1/api-keys/{keyId}', { params }), 204);
  assert.equal(good(await admin.GET('/v1/audit', { params: { query: { limit: 1 } } }))[0]?.operation, 'api_key_delete');
}

async function everybodys() {
  const priorities = good(await anybody.GET('/v1/refdata/taskpriorities'));
  const code = priorities[0]?.code as string;
  good(await anybody.GET('/v1/refdata/taskpriorities/{code}', { params: { path: { code } } }));
  assert.equal(good(await anybody.GET('/v1/health')).status, 'ok');
  assert.equal(good(await anybody.GET('/health')).info.version?.status, 'up');
  good(await anybody.GET('/livez'));
  good(await anybody.GET('/readyz'));
  assert.equal(good(await anybody.GET('/openapi.json')).openapi, '3.1.0');
  good(await anybody.GET('/apidoc-json'));
  assert.match(good(await anybody.GET('/apidoc', { parseAs: 'text' })), /<main id="apidoc">/);
  good(await anybody.GET('/apidoc/{file}', { params: { path: { file: 'apidoc.css' } }, parseAs: 'text' }));
}

async function leaving() {
  const body = { currentPassword: password, newPassword: 'battery horse correct' };
  good(await user.POST('/v1/users/password', { body }), 204);
  good(await user.DELETE('/v1/users/profile'), 204);
  assert.equal((await user.GET('/v1/users/profile')).error?.status, 401);
}

for (const part of [account, tasks, importing, figures, jobs, work, keys, everybodys, leaving]) await part();

const document: { paths: Record<string, Record<string, unknown>> } = JSON.parse(readFileSync(process.env['DOCUMENT'] as string, 'utf8'));
const documented = Object.entries(document.paths).flatMap(([path, item]) => Object.keys(item).map((verb) => `${verb} ${path}`));
assert.deepEqual([...called].sort(), documented.sort());
console.log(`${documented.length} operations called by the generated client`);
