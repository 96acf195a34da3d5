#include "proto/message.h"

MR_MESSAGE(profile_get) {
    .summary = "The caller",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"}),
};
