#include "proto/message.h"

MR_MESSAGE(profile_get) {
    .summary = "The caller",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"}),
};

MR_MESSAGE(profile_update) {
    .summary = "Change the caller's names or address; what is left out stays",
    .shape = MR_SHAPE_ONE,
    .resource = "user",
    .key = "userId",
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"firstName", MR_TEXT, MR_BODY, false, 1, 100, .about = "given name"},
        {"lastName", MR_TEXT, MR_BODY, false, 1, 100, .about = "family name"},
        {"email", MR_TEXT, MR_BODY, false, 3, 255, MR_FORMAT_EMAIL, .about = "address for mail"}),
};

MR_MESSAGE(profile_delete) {
    .summary = "Remove the caller at once, and all that is theirs in the background",
    .shape = MR_SHAPE_NONE,
    .resource = "user",
    .key = "userId",
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"}),
};
