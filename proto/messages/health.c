#include "proto/message.h"

MR_MESSAGE(health) {
    .summary = "Whether the service and its database work, and which version this is",
    .shape = MR_SHAPE_ONE,
    .fields = MR_FIELDS({.name = NULL}),
};

MR_MESSAGE(livez) {
    .summary = "Whether the process answers; touches nothing else",
    .shape = MR_SHAPE_ONE,
    .fields = MR_FIELDS({.name = NULL}),
};

MR_MESSAGE(readyz) {
    .summary = "Whether the process wants traffic: connected, migrated and not draining",
    .shape = MR_SHAPE_ONE,
    .fields = MR_FIELDS({.name = NULL}),
};

/* It goes to the auth actor: that is on the primary, and its quick lane never waits behind the data of clients. */
MR_MESSAGE(db_ping) {
    .summary = "Whether the database answers; asked by the gateway for the health operation",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"id", MR_UUID, MR_NEW_ID, true, .about = "tells one question from the next"}),
};
