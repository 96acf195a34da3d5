#include "application/access.h"

#include <stddef.h>
#include <string.h>

enum mr_access mr_access_of(const char *word)
{
    if (strcmp(word, "public") == 0)
        return MR_ACCESS_PUBLIC;
    return strcmp(word, "user") == 0 ? MR_ACCESS_USER : MR_ACCESS_ADMIN;
}

const char *mr_access_scopes(const char *word)
{
    return mr_access_of(word) == MR_ACCESS_ADMIN && strcmp(word, "admin") != 0 ? word : NULL;
}

bool mr_access_covers(const char *reader, const char *wanted)
{
    if (mr_access_of(wanted) == MR_ACCESS_PUBLIC || strcmp(reader, wanted) == 0)
        return true;
    return mr_access_scopes(reader) == NULL && mr_access_of(reader) >= mr_access_of(wanted);
}
