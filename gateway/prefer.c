#include "gateway/prefer.h"

#include <strings.h>

static bool ends_token(char c)
{
    return c == '=' || c == ';' || c == ' ' || c == '\t';
}

/* An item begins with its token; a value or parameters may follow. */
static bool begins_with_token(struct mr_slice item, const char *token)
{
    size_t len = strlen(token);

    return item.len >= len && strncasecmp(item.data, token, len) == 0 && (item.len == len || ends_token(item.data[len]));
}

/* Whether a quoted text is open behind the item: its commas have parted what belongs together. */
static bool is_open_after(struct mr_slice item, bool open)
{
    for (size_t i = 0; i < item.len; i++)
        if (open && item.data[i] == '\\')
            i++;
        else if (item.data[i] == '"')
            open = !open;
    return open;
}

static bool line_has(struct mr_slice line, const char *preference)
{
    struct mr_slice item;
    bool open = false;

    while (mr_http_list_next(&line, &item)) {
        if (!open && begins_with_token(item, preference))
            return true;
        open = is_open_after(item, open);
    }
    return false;
}

bool mr_prefers(const struct mr_http_request *request, const char *preference)
{
    unsigned next = 0;
    struct mr_slice line;

    while (mr_http_line_next(request, "prefer", &next, &line))
        if (line_has(line, preference))
            return true;
    return false;
}
