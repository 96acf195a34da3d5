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

/* Which users may call, by the word of the declaration. */
enum mr_access mr_access_of(const char *word);

/* The scopes of keys that may call, as struct mr_traits has them; NULL: none. */
const char *mr_access_scopes(const char *word);

/*
 * Whether everybody whom `reader` admits may also read what `wanted` protects. A key is not a user, and holds one of the two
 * scopes only.
 */
bool mr_access_covers(const char *reader, const char *wanted);

#endif
