/*
 * openapi: the OpenAPI 3.1 document, made from the tables of operations, fields and results (proto/).
 *
 * It knows no operation by name and reads the tables through mr_op_info and mr_way only, whatever filled them. What is
 * said of a field or of an operation is its `about` or `summary`; what an operation may answer follows from its traits
 * (openapi/answers.c).
 *
 * Thread: any; nothing is shared.
 */
#ifndef MR_OPENAPI_OPENAPI_H
#define MR_OPENAPI_OPENAPI_H

#include "proto/message.h"
#include "proto/status.h"

/*
 * Appends the document as JSON, in the order of the tables: equal tables give equal bytes. `version` is the API's, in the form
 * of semver.org; `indent` is for people. MR_NO_MEMORY: discard what was appended.
 */
mr_status mr_openapi_write(struct mr_buf *out, const char *version, bool indent) MR_WARN_UNUSED;

/* Whether the document lists that HTTP status for the op. */
bool mr_openapi_answers(enum mr_op op, int http);

#endif
