#include "proto/message.h"

#define KEY_MEMBERS                                                                                                                                \
    {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6090"},                                                          \
    {"name", MR_TEXT, .about = "what it is for", .example = "nightly import"},                                                                      \
    {"scopes", MR_TEXT, .many = true, .about = "what a program may do with it", .example = "jobs:enqueue:receipts"},                                    \
    {"createdAt", MR_TIME, .about = "when it was made", .example = "2027-01-01T08:00:00.000Z"},                                                     \
    {"expiresAt", MR_TIME, .optional = true, .about = "when it expires; absent: never", .example = "2028-01-01T00:00:00.000Z"}

static const struct mr_result key = {
    .name = "ApiKey",
    .about = "A key for a program; only the answer that creates it contains the secret",
    .members = MR_MEMBERS(
        KEY_MEMBERS,
        {"createdBy", MR_UUID, .optional = true, .about = "the administrator who made it; absent: it was made on the command line", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f60a1"},
        {"lastUsedAt", MR_TIME, .optional = true, .about = "when it was last used, to the minute", .example = "2027-01-01T09:00:00.000Z"}),
};

static const struct mr_result made = {
    .name = "NewApiKey",
    .about = "A new key, with its secret, which no later answer contains",
    .members = MR_MEMBERS(
        {"key", MR_TEXT, .about = "the key: Authorization: Bearer mk_...", .example = "mk_K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols"},
        KEY_MEMBERS),
};

static const struct mr_result entry = {
    .name = "AuditEntry",
    .about = "A change that somebody made",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "its id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6091"},
        {"at", MR_TIME, .about = "when", .example = "2027-01-01T08:00:00.000Z"},
        {"by", MR_TEXT, .choices = "user|key|command|system", .about = "who made the change: a user, an API key, an operator's command, or Millrace itself", .example = "user"},
        {"callerId", MR_UUID, .optional = true, .about = "the user or the key", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f60a1"},
        {"caller", MR_TEXT, .optional = true, .about = "the name of the user or key, as long as it exists", .example = "ada"},
        {"operation", MR_TEXT, .about = "the operation or command", .example = "api_key_create"},
        {"subjectType", MR_TEXT, .choices = "apiKey|job|user", .about = "what kind of thing it changed", .example = "apiKey"},
        {"subjectId", MR_UUID, .optional = true, .about = "the id of what it changed", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6090"},
        {"subjectName", MR_TEXT, .optional = true, .about = "the name of what it changed, if that has no id: a job", .example = "send_receipt"},
        {"detail", .json = &mr_result_anything, .optional = true, .about = "what changed"}),
};

MR_MESSAGE(api_key_create) {
    .summary = "Make an API key; its secret is in this answer and nowhere else",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .location = "/v1/api-keys/:id",
    .body_exact = true,
    .returns = &made,
    .fields = MR_FIELDS(
        {"id", MR_UUID, MR_NEW_ID, true, .about = "the new key"},
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who makes it"},
        {"name", MR_TEXT, MR_BODY, true, 1, 100, .about = "what it is for", .example = "nightly import"},
        {"scopes", MR_TEXT, MR_BODY, true, 1, 128, .many = true, .items_min = 1, .items_max = 32,
         .about = "what a program may do with it: jobs:enqueue, jobs:work, jobs:admin, each also for one job (jobs:enqueue:receipts), and the scopes of the application",
         .example = "[\"jobs:enqueue\"]"},
        {"expiresAt", MR_TIME, MR_BODY, .about = "when it expires; absent: never", .example = "2028-01-01T00:00:00.000Z"},
        {"secretHash", MR_TEXT, MR_ACTOR, .about = "SHA-256 of the key, made by the auth actor"},
        {"knownScopes", MR_TEXT, MR_ACTOR, .about = "the scopes that exist, from the auth actor"},
        {"by", MR_TEXT, MR_ACTOR, .about = "user; an operator's command uses the same statement"}),
};

MR_MESSAGE(api_key_list) {
    .summary = "The API keys, newest first",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .returns = &key,
    .continued = true,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .fallback = "50", .about = "the most to return; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 32, 32, MR_FORMAT_CURSOR, .about = "where to continue, from a Link header"}),
};

MR_MESSAGE(api_key_get) {
    .summary = "One API key, without its secret",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .returns = &key,
    .answers = "404",
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"keyId", MR_UUID, MR_PATH, true, .about = "the key", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6090"}),
};

MR_MESSAGE(api_key_delete) {
    .summary = "Delete an API key; within 5 seconds every process refuses it",
    .shape = MR_SHAPE_NONE,
    .resource = "api_key",
    .key = "keyId",
    .answers = "404",
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"keyId", MR_UUID, MR_PATH, true, .about = "the key", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f6090"},
        {"auditId", MR_UUID, MR_NEW_ID, true, .about = "the audit entry of the deletion"}),
};

MR_MESSAGE(audit_list) {
    .summary = "Who changed what, newest first",
    .shape = MR_SHAPE_MANY,
    .lane = MR_LANE_SLOW,
    .batch_max = 16,
    .rerun_safe = true,
    .returns = &entry,
    .continued = true,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"limit", MR_INT, MR_QUERY, false, 1, 100, .fallback = "50", .about = "the most to return; the Link header leads to the rest", .example = "20"},
        {"cursor", MR_TEXT, MR_QUERY, false, 32, 32, MR_FORMAT_CURSOR, .about = "where to continue, from a Link header"}),
};

MR_MESSAGE(key_verify) {
    .summary = "Who an API key is: its id, its scopes and how long that may be believed",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"keyHash", MR_BYTES, MR_BODY, true, .about = "SHA-256 of the key; the key itself stays in the gateway"}),
};
