#include "proto/message.h"

const struct mr_result mr_result_user = {
    .name = "User",
    .about = "A registered user",
    .members = MR_MEMBERS(
        {"id", MR_UUID, .about = "their id", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f60a1"},
        {"sub", MR_UUID, .about = "the same id, under the name that tokens use", .example = "0198c0de-7a5c-7e0f-8a1b-2c3d4e5f60a1"},
        {"firstName", MR_TEXT, .about = "given name", .example = "Ada"},
        {"lastName", MR_TEXT, .about = "family name", .example = "Lovelace"},
        {"email", MR_TEXT, .about = "address for mail", .example = "ada@example.org"},
        {"username", MR_TEXT, .about = "name to sign in with", .example = "ada"},
        {"createdAt", MR_TIME, .about = "when they registered", .example = "2027-01-01T08:00:00.000Z"},
        {"updatedAt", MR_TIME, .about = "when the profile or the password last changed", .example = "2027-01-01T08:00:00.000Z"}),
};

MR_MESSAGE(profile_get) {
    .summary = "The caller",
    .shape = MR_SHAPE_ONE,
    .rerun_safe = true,
    .returns = &mr_result_user,
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"}),
};

MR_MESSAGE(profile_update) {
    .summary = "Change the caller's names or address; what is left out stays",
    .shape = MR_SHAPE_ONE,
    .resource = "user",
    .key = "userId",
    .returns = &mr_result_user,
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"firstName", MR_TEXT, MR_BODY, false, 1, 100, .about = "given name", .example = "Ada"},
        {"lastName", MR_TEXT, MR_BODY, false, 1, 100, .about = "family name", .example = "Lovelace"},
        {"email", MR_TEXT, MR_BODY, false, 3, 255, MR_FORMAT_EMAIL, .about = "address for mail", .example = "ada@example.org"}),
};

MR_MESSAGE(profile_delete) {
    .summary = "Remove the caller at once, and what belongs to them in the background",
    .shape = MR_SHAPE_NONE,
    .resource = "user",
    .key = "userId",
    .fields = MR_FIELDS({"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"}),
};
