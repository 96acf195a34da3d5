#include "proto/message.h"

const struct mr_result mr_result_anything = {.name = "Anything", .about = "An object whose members depend on what made it"};

static const struct mr_result state = {
    .name = "PartState",
    .about = "The state of a part of the service",
    .members = MR_MEMBERS(
        {"status", MR_TEXT, .choices = "up|down", .about = "whether it works", .example = "up"},
        {"idle", MR_BOOL, .optional = true, .about = "true: the connections are closed for lack of work, so that the database can sleep", .example = "true"}),
};

static const struct mr_result version = {
    .name = "Version",
    .about = "Which version answers",
    .members = MR_MEMBERS(
        {"status", MR_TEXT, .choices = "up", .about = "always up", .example = "up"},
        {"value", MR_TEXT, .about = "the version", .example = "1.2.3"},
        {"source", MR_TEXT, .choices = "env|build", .about = "APP_VERSION, or the build", .example = "env"}),
};

static const struct mr_result parts = {
    .name = "HealthParts",
    .about = "Parts of the service",
    .members = MR_MEMBERS(
        {"database", .json = &state, .optional = true, .about = "the primary"},
        {"replica", .json = &state, .optional = true, .about = "the read replica, where there is one"},
        {"version", .json = &version, .optional = true, .about = "this process"}),
};

static const struct mr_result health = {
    .name = "Health",
    .about = "The state of the service",
    .members = MR_MEMBERS(
        {"status", MR_TEXT, .choices = "ok|error", .about = "ok, or error with 503", .example = "ok"},
        {"info", .json = &parts, .about = "the parts that work"},
        {"error", .json = &parts, .about = "the parts that fail"},
        {"details", .json = &parts, .about = "all of them"}),
};

static const struct mr_result life = {
    .name = "Life",
    .about = "A process that answers",
    .members = MR_MEMBERS({"status", MR_TEXT, .choices = "ok", .about = "always ok", .example = "ok"}),
};

MR_MESSAGE(health) {
    .summary = "Whether the service and its database work, and which version this is",
    .shape = MR_SHAPE_ONE,
    .returns = &health,
    .unwell = 503,
    .fields = MR_FIELDS({.name = NULL}),
};

MR_MESSAGE(livez) {
    .summary = "Whether the process answers; touches nothing else",
    .shape = MR_SHAPE_ONE,
    .returns = &life,
    .fields = MR_FIELDS({.name = NULL}),
};

MR_MESSAGE(readyz) {
    .summary = "Whether the process wants traffic: connected, migrated and not draining",
    .shape = MR_SHAPE_ONE,
    .returns = &life,
    .fields = MR_FIELDS({.name = NULL}),
};

/* It goes to the auth actor: that is on the primary, and its quick lane never waits behind the data of clients. */
MR_MESSAGE(db_ping) {
    .summary = "Whether the database answers; asked by the gateway for the health operation",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"id", MR_UUID, MR_NEW_ID, true, .about = "tells one question from the next"}),
};

static const struct mr_result document = {
    .name = "OpenApi",
    .about = "An OpenAPI 3.1 document",
    .members = MR_MEMBERS(
        {"openapi", MR_TEXT, .about = "version of the specification", .example = "3.1.0"},
        {"info", .json = &mr_result_anything, .about = "what it describes"},
        {"servers", .json = &mr_result_anything, .many = true, .about = "where that is"},
        {"tags", .json = &mr_result_anything, .many = true, .about = "the groups of operations"},
        {"paths", .json = &mr_result_anything, .about = "the operations"},
        {"components", .json = &mr_result_anything, .about = "what they share"}),
};

MR_MESSAGE(openapi) {
    .summary = "This document: OpenAPI 3.1",
    .shape = MR_SHAPE_ONE,
    .returns = &document,
    .kept = true,
    .answers = "404",
    .fields = MR_FIELDS({.name = NULL}),
};

MR_MESSAGE(apidoc) {
    .summary = "A page to read this document on, and to try calls",
    .shape = MR_SHAPE_ONE,
    .media = "text/html",
    .kept = true,
    .answers = "404",
    .fields = MR_FIELDS({.name = NULL}),
};

MR_MESSAGE(apidoc_file) {
    .summary = "A script, a style sheet or another file of that page",
    .shape = MR_SHAPE_ONE,
    .media = "text/css|text/javascript|image/png|text/plain",
    .kept = true,
    .answers = "404",
    .fields = MR_FIELDS({"file", MR_TEXT, MR_PATH, true, .about = "its name", .example = "swagger-ui.css"}),
};
