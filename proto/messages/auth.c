#include "proto/message.h"

static const struct mr_result tokens = {
    .name = "Tokens",
    .about = "The tokens of a signed-in user",
    .members = MR_MEMBERS(
        {"accessToken", MR_TEXT, .about = "a JSON Web Token: Authorization: Bearer ...", .example = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"},
        {"refreshToken", MR_TEXT, .about = "valid once, to get the next pair", .example = "mr1.AZOfCm…"},
        {"tokenType", MR_TEXT, .choices = "Bearer", .about = "how the access token is sent", .example = "Bearer"},
        {"expiresIn", MR_INT, .about = "lifetime of the access token in seconds", .example = "3600"}),
};

MR_MESSAGE(register) {
    .summary = "Register a user",
    .shape = MR_SHAPE_ONE,
    .lane = MR_LANE_SLOW, /* each takes some tens of milliseconds of hashing, */
    .batch_max = 8,       /* which a refresh must not wait for */
    .rerun_safe = true,
    .returns = &mr_result_user,
    .answers = "409",
    .fields = MR_FIELDS(
        {"id", MR_UUID, MR_NEW_ID, true, .about = "the new user"},
        {"firstName", MR_TEXT, MR_BODY, true, 1, 100, .about = "given name", .example = "Ada"},
        {"lastName", MR_TEXT, MR_BODY, true, 1, 100, .about = "family name", .example = "Lovelace"},
        {"email", MR_TEXT, MR_BODY, true, 3, 255, MR_FORMAT_EMAIL, .about = "address for mail", .example = "ada@example.org"},
        {"username", MR_TEXT, MR_BODY, true, 3, 50, MR_FORMAT_USERNAME,
         .about = "name to sign in with; unique under NFKC case folding, without invisible characters", .example = "ada"},
        {"password", MR_TEXT, MR_BODY, true, 8, 100, .about = "never stored, never logged", .example = "correct horse battery"},
        {"passwordHash", MR_TEXT, MR_ACTOR, .about = "argon2id in PHC form, made by the auth actor"},
        {"usernameFolded", MR_TEXT, MR_ACTOR, .about = "the folded username, for comparison, made by the auth actor"}),
};

MR_MESSAGE(sign_in) {
    .summary = "Exchange username and password for tokens",
    .shape = MR_SHAPE_ONE,
    .lane = MR_LANE_SLOW, /* each takes some tens of milliseconds of hashing, */
    .batch_max = 8,       /* which a refresh must not wait for */
    .returns = &tokens,
    .answers = "401",
    .fields = MR_FIELDS(
        {"username", MR_TEXT, MR_BODY, true, .about = "as registered, under NFKC case folding", .example = "ada"},
        {"password", MR_TEXT, MR_BODY, true, .about = "as registered", .example = "correct horse battery"}),
};

MR_MESSAGE(refresh) {
    .summary = "Exchange a refresh token for new tokens, which spends it",
    .shape = MR_SHAPE_ONE,
    .returns = &tokens,
    .answers = "401",
    .fields = MR_FIELDS({"refreshToken", MR_TEXT, MR_BODY, true, .about = "the latest one; a spent one ends the session", .example = "mr1.AZOfCm…"}),
};

MR_MESSAGE(password_change) {
    .summary = "Change the caller's password; all their sessions end",
    .shape = MR_SHAPE_NONE,
    .lane = MR_LANE_SLOW,
    .batch_max = 4, /* each takes two hashings */
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, true, .about = "who is calling"},
        {"currentPassword", MR_TEXT, MR_BODY, true, .about = "the present password", .example = "correct horse battery"},
        {"newPassword", MR_TEXT, MR_BODY, true, 8, 100, .about = "never stored, never logged", .example = "battery horse correct"}),
};

MR_MESSAGE(sign_out) {
    .summary = "End the session that the access token or the refresh token belongs to",
    .shape = MR_SHAPE_NONE,
    .rerun_safe = true,
    .credential = "refreshToken",
    .fields = MR_FIELDS(
        {"userId", MR_UUID, MR_TOKEN_USER, .about = "who is calling, if the access token is valid"},
        {"sessionId", MR_UUID, MR_TOKEN_SESSION, .about = "the session to end; an access token without one ends all"},
        {"refreshToken", MR_TEXT, MR_BODY, .about = "any of the session to end; needed if the access token is not valid", .example = "mr1.AZOfCm…"}),
};
