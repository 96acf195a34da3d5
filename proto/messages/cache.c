#include "proto/message.h"

MR_MESSAGE(cache_stale) {
    .summary = "What the gateway keeps was changed in the database; told by a data-writer, whose connection listens",
    .shape = MR_SHAPE_NONE,
    .fields = MR_FIELDS({.name = NULL}),
};
