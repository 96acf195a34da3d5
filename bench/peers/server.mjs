// The three operations on tasks as a Node service would offer them: Fastify with its schemas, which make quick serializers, @fastify/jwt,
// and pg with named (prepared) statements; a process for each core. Driven by ../contest.py: PORT, DATABASE_URL and JWT_SECRET say where;
// POOL is the number of connections of each process.
import cluster from "node:cluster";
import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import jwt from "@fastify/jwt";
import fastify from "fastify";
import pg from "pg";

const columns = `t.id, t.summary, t.description, t.due_at, t.is_complete, t.user_id, p.code, p.label, p.description AS about, p.ordinal,
  t.created_at, t.updated_at`;
const statements = {
  one: `SELECT ${columns} FROM task t JOIN task_priority p ON p.code = t.priority_code WHERE t.id = $1 AND t.user_id = $2`,
  page: `SELECT ${columns} FROM task t JOIN task_priority p ON p.code = t.priority_code WHERE t.user_id = $1
    ORDER BY t.created_at DESC, t.id DESC LIMIT $2`,
  insert: `WITH t AS (INSERT INTO task (id, user_id, summary, description, due_at, is_complete, priority_code)
      VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *)
    SELECT ${columns} FROM t JOIN task_priority p ON p.code = t.priority_code`,
};
const text = { type: "string" };
const task = {
  type: "object",
  properties: {
    id: text, summary: text, description: text, dueAt: text, isComplete: { type: "boolean" }, userId: text, taskPriorityCode: text,
    taskPriority: { type: "object", properties: { code: text, label: text, description: text, ordinal: { type: "integer" } } },
    createdAt: text, updatedAt: text,
  },
};
const draft = {
  type: "object",
  required: ["summary", "taskPriorityCode"],
  properties: {
    summary: { ...text, minLength: 1 }, description: text, dueAt: { ...text, format: "date-time" }, isComplete: { type: "boolean" },
    taskPriorityCode: text,
  },
};

function toTask(row) {
  return {
    id: row.id,
    summary: row.summary,
    description: row.description ?? undefined,
    dueAt: row.due_at?.toISOString(),
    isComplete: row.is_complete,
    userId: row.user_id,
    taskPriorityCode: row.code,
    taskPriority: { code: row.code, label: row.label, description: row.about, ordinal: row.ordinal },
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

async function serve() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL ?? 4), idleTimeoutMillis: 0 });
  const ask = async (name, ...values) => (await pool.query({ name, text: statements[name], values })).rows.map(toTask);
  const app = fastify();
  await app.register(jwt, { secret: process.env.JWT_SECRET, verify: { algorithms: ["HS256"], cache: true } });
  app.addHook("onRequest", (request) => request.jwtVerify());

  app.get("/v1/tasks/:id", { schema: { response: { 200: task } } }, async (request, reply) => {
    const [found] = await ask("one", request.params.id, request.user.sub);
    return found ?? reply.code(404).send({ status: 404 });
  });
  app.get("/v1/tasks", {
    schema: {
      querystring: { type: "object", properties: { limit: { type: "integer", minimum: 1, maximum: 1000, default: 50 } } },
      response: { 200: { type: "array", items: task } },
    },
  }, (request) => ask("page", request.user.sub, request.query.limit));
  app.post("/v1/tasks", { schema: { body: draft, response: { 201: task } } }, async (request, reply) => {
    const { summary, description, dueAt, isComplete, taskPriorityCode } = request.body;
    const [made] = await ask("insert", randomUUID(), request.user.sub, summary, description, dueAt, isComplete ?? false, taskPriorityCode);
    return reply.code(201).header("location", `/v1/tasks/${made.id}`).send(made);
  });
  await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
}

if (cluster.isPrimary) {
  for (let i = 0; i < availableParallelism(); i++) cluster.fork();
  process.on("SIGTERM", () => process.exit());
} else {
  await serve();
  process.on("disconnect", () => process.exit());
}
