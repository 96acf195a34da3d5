#include <string.h>

#include "openapi/internal.h"

void put(struct doc *doc, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        doc->failed = true;
}

void put_text(struct doc *doc, json_t *object, const char *name, const char *text)
{
    put(doc, object, name, json_string(text));
}

void add(struct doc *doc, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        doc->failed = true;
}

json_t *put_object(struct doc *doc, json_t *object, const char *name)
{
    put(doc, object, name, json_object());
    return json_object_get(object, name);
}

json_t *put_array(struct doc *doc, json_t *object, const char *name)
{
    put(doc, object, name, json_array());
    return json_object_get(object, name);
}

json_t *reference(struct doc *doc, const char *kind, const char *name)
{
    json_t *self = json_object();

    put(doc, self, "$ref", json_sprintf("#/components/%s/%s", kind, name));
    return self;
}

bool next_choice(const char **choices, char *out, size_t size)
{
    const char *at = *choices;
    size_t len;

    if (at == NULL)
        return false;
    len = strcspn(at, "|");
    *choices = at[len] == '|' ? at + len + 1 : NULL;
    if (len >= size)
        len = size - 1;
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}
