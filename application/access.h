/*
 * access: the words of `access`: public, user, admin, or a scope of API keys.
 *
 * What takes a scope is for administrators as well: mr_access_of makes the one ADMIN, and mr_access_scopes the other.
 *
 * Thread: any; nothing is kept.
 */
#ifndef MR_APPLICATION_ACCESS_H
#define MR_APPLICATION_ACCESS_H

#include <stdbool.h>

#include "proto/ops.h"

/* Which users may call. */
enum mr_access mr_access_of(const char *word);

/* The scopes of keys that may, as struct mr_traits has them; NULL: none. */
const char *mr_access_scopes(const char *word);

/* Whether everybody who may do what `reader` says may also read what `wanted` says. A key is no user, and has one scope of the two. */
bool mr_access_covers(const char *reader, const char *wanted);

#endif
