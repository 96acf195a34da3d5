#include "gateway/body.h"

#include <jansson.h>
#include <stdio.h>

#include "proto/json.h"
#include "proto/jsontext.h"
#include "proto/literal.h"
#include "proto/json_reader.h"
#include "runtime/clock.h"
#include "runtime/webhook.h"
#include "scheduler/cron.h"
#include "scheduler/zone.h"

enum { PREFIX_ROOM = 32, NAME_ROOM = 256, ZONE_ROOM = 65 };

/* Collects the problems of the body or, with a prefix, those of an element. */
struct place {
    struct mr_request *request;
    const char *prefix;
};

void mr_body_error(struct mr_request *self, const char *name, const char *code, const char *message)
{
    mr_fault_error(&self->errors, mr_slice_of(name), mr_slice_of(code), mr_slice_of(message));
}

static void tell_name(void *context, const char *name, const struct mr_problem *problem)
{
    const struct place *place = context;
    char whole[NAME_ROOM];

    snprintf(whole, sizeof whole, "%s%s", place->prefix, name);
    mr_body_error(place->request, whole, problem->code, problem->message);
}

static void tell_item(void *context, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    char name[MR_ITEM_NAME];

    mr_json_item_name(name, field, index);
    tell_name(context, name, problem);
}

/* ---- One value ---- */

/* What only the calendar, or a parser of URLs, knows. */
static bool check_meaning(const struct mr_field *field, struct mr_slice text, struct mr_problem *problem)
{
    struct mr_cron_problem refused;
    struct mr_cron cron;
    char zone[ZONE_ROOM];

    if (field->format == MR_FORMAT_CRON && !mr_cron_parse(&cron, text, &refused)) {
        mr_problem_set(problem, "format", "is not a cron expression, at character %zu: %s", refused.position, refused.reason);
        return false;
    }
    if (field->format == MR_FORMAT_URL && !mr_webhook_is_url(text)) {
        mr_problem_set(problem, "format", "must be a URL of http or https, without a user, a password or a fragment");
        return false;
    }
    if (field->format != MR_FORMAT_ZONE)
        return true;
    mr_slice_copy(zone, sizeof zone, text);
    mr_problem_set(problem, "unknown", "is not a known time zone, such as Europe/Berlin");
    return text.len < sizeof zone && mr_zone_is_known(zone);
}

/* What is said of an object in an array: "outcomes[3].claim". */
struct objects {
    struct place *place;
    const struct mr_field *field;
};

static void tell_object(void *context, const struct mr_field *field, int index, const struct mr_problem *problem)
{
    const struct objects *objects = context;
    char item[MR_ITEM_NAME];
    char name[NAME_ROOM];

    mr_json_item_name(item, objects->field, index);
    snprintf(name, sizeof name, field != objects->field ? "%s.%s" : "%s", item, field->name);
    tell_name(objects->place, name, problem);
}

/* Of a member that is not null; `room` is empty. False: the place has heard of what is wrong. */
static bool read_value(struct place *place, const struct mr_field *field, const json_t *json, struct mr_slice text,
                       struct mr_buf *room, struct mr_value *out)
{
    const struct mr_listener listener = {tell_item, place};
    struct objects objects = {place, field};
    struct mr_problem problem;

    if (field->many)
        return mr_json_read_array(field, json, text, room, out, &listener);
    if (field->of != NULL)
        return mr_json_read_objects(field, json, text, out, &(struct mr_listener){tell_object, &objects});
    if (!mr_json_read_value(field, json, text, out, &problem) ||
        (field->type == MR_TEXT && !check_meaning(field, out->text, &problem))) {
        tell_name(place, field->name, &problem);
        *out = (struct mr_value){.present = false};
        return false;
    }
    if (field->rule == NULL || field->rule(json, field->name, tell_name, place))
        return true;
    *out = (struct mr_value){.present = false};
    return false;
}

/* "retry" of "retry.first", when that is there and no object, for the first of its fields that is read. */
static bool is_misplaced(const json_t *body, const struct mr_field *field, char group[NAME_ROOM])
{
    const char *dot = strrchr(field->name, '.');
    const json_t *outer;

    if (dot == NULL)
        return false;
    snprintf(group, NAME_ROOM, "%.*s", (int)(dot - field->name), field->name);
    outer = mr_json_member(body, group);
    return outer != NULL && !json_is_null(outer) && !json_is_object(outer);
}

/* Null in the place of the object is null for each of its members. */
static const json_t *member_of(const json_t *body, const struct mr_field *field)
{
    const json_t *json = mr_json_member(body, field->name);
    const char *dot = strrchr(field->name, '.');
    char group[NAME_ROOM];

    if (json != NULL || dot == NULL)
        return json;
    snprintf(group, sizeof group, "%.*s", (int)(dot - field->name), field->name);
    json = mr_json_member(body, group);
    return json_is_null(json) ? json : NULL;
}

static bool is_told(const struct mr_request *self, const char *group)
{
    char sought[NAME_ROOM + 16];

    snprintf(sought, sizeof sought, "{\"field\":\"%s\"", group);
    return self->errors.len > 0 && memmem(self->errors.data, self->errors.len, sought, strlen(sought)) != NULL;
}

void mr_body_field(struct mr_request *self, unsigned i, const struct mr_field *field)
{
    const json_t *json = member_of(self->json, field);
    struct mr_slice text = self->values[i].text;
    struct mr_value value = {.cleared = json_is_null(json) && field->clearable};
    struct place place = {self, ""};
    char group[NAME_ROOM];

    if (self->is_merge_patch && json_is_null(json) && !field->clearable)
        mr_body_error(self, field->name, "null", "cannot be removed");
    if (is_misplaced(self->json, field, group)) {
        if (!is_told(self, group))
            mr_body_error(self, group, "type", "must be an object");
    } else if (json != NULL && !json_is_null(json)) {
        (void)read_value(&place, field, json, text, &self->decoded[i], &value);
    }
    self->values[i] = value;
}

/* ---- What several members say together ---- */

static bool is_field(const struct mr_field *fields, const char *name)
{
    while (fields->name != NULL && (fields->from != MR_BODY || strcmp(fields->name, name) != 0))
        fields++;
    return fields->name != NULL;
}

void mr_body_unknown(struct mr_request *self, const struct mr_field *fields)
{
    const char *name;
    json_t *member;

    json_object_foreach(self->json, name, member) {
        if (is_field(fields, name))
            continue;
        mr_body_error(self, strlen(name) < NAME_ROOM ? name : "", "unknown", "is not known here");
        if (self->errors.len > MR_FAULT_ERRORS)
            break;
    }
}

void mr_body_schedule(struct mr_request *self, const struct mr_field *fields)
{
    const struct mr_value *cron = NULL;
    char zone[ZONE_ROOM];

    for (unsigned i = 0; fields[i].name != NULL; i++) {
        if (fields[i].from != MR_BODY || !self->values[i].present)
            continue;
        if (fields[i].format == MR_FORMAT_CRON) {
            cron = &self->values[i];
        } else if (fields[i].format == MR_FORMAT_ZONE && cron != NULL) {
            mr_slice_copy(zone, sizeof zone, self->values[i].text);
            if (mr_cron_never_fires(cron->text, zone, mr_wall_ms(&mr_system_clock)))
                mr_body_error(self, "cron", "mismatch", "never fires in this time zone: the clocks skip each of its times");
        }
    }
}

/* ---- An array of bodies ---- */

static void write_value(struct mr_buf *out, const struct mr_field *field, const struct mr_value *value)
{
    struct mr_buf text = {0};

    switch (field->type) {
    case MR_JSON:
    case MR_DECIMAL: mr_buf_slice(out, value->text); break;
    case MR_INT: mr_buf_int(out, value->integer); break;
    case MR_BOOL: mr_buf_text(out, value->boolean ? "true" : "false"); break;
    case MR_NUMBER: mr_json_number(out, value->number); break;
    default:
        mr_literal_text(&text, field->type, value);
        mr_json_string(out, (struct mr_slice){text.len > 0 ? text.data : "", text.len});
        out->failed |= text.failed;
        mr_buf_fini(&text);
        break;
    }
}

static void read_member(struct place *place, const struct mr_field *field, const json_t *element, struct mr_slice text,
                        struct mr_buf *out, bool *is_first)
{
    const json_t *json = mr_json_member(element, field->name);
    struct mr_value value = {.present = false};
    struct mr_problem problem;
    struct mr_buf room = {0};

    if (json != NULL && !json_is_null(json)) {
        if (!read_value(place, field, json, text, &room, &value))
            value.present = false;
    } else if (field->fallback != NULL) {
        mr_json_read_default(field, &room, &value);
    } else if (field->required) {
        mr_problem_set(&problem, "required", "is required");
        tell_name(place, field->name, &problem);
    }
    if (value.present) {
        mr_buf_char(out, *is_first ? '{' : ',');
        mr_json_string(out, mr_slice_of(field->name));
        mr_buf_char(out, ':');
        write_value(out, field, &value);
        *is_first = false;
    }
    mr_buf_fini(&room);
}

static void read_element(struct place *place, const struct mr_field *fields, const json_t *element, struct mr_slice text,
                         struct mr_buf *out)
{
    struct mr_value found[MR_FIELDS_MAX] = {0};
    struct mr_problem problem;
    bool is_first = true;

    if (!json_is_object(element)) {
        mr_problem_set(&problem, "type", "must be an object");
        tell_name(place, "", &problem);
        return;
    }
    mr_json_find(text, fields, found);
    for (unsigned i = 0; fields[i].name != NULL; i++)
        if (fields[i].from == MR_BODY)
            read_member(place, &fields[i], element, found[i].text, out, &is_first);
    mr_buf_text(out, is_first ? "{}" : "}");
}

static int items_field(const struct mr_field *fields)
{
    int i = 0;

    while (fields[i].name != NULL && fields[i].from != MR_BODY_ITEMS)
        i++;
    return fields[i].name != NULL ? i : -1;
}

void mr_body_items(struct mr_request *self, const struct mr_field *fields, struct mr_slice text)
{
    int field = items_field(fields);
    struct mr_buf *out = &self->decoded[field];
    struct mr_json_walk walk = mr_json_walk_of(text);
    struct mr_problem problem;
    size_t index;
    json_t *element;

    if (!mr_field_check_items(&fields[field], json_array_size(self->json), &problem)) {
        mr_body_error(self, fields[field].name, problem.code, problem.message);
        return;
    }
    mr_buf_char(out, '[');
    json_array_foreach(self->json, index, element) {
        char prefix[PREFIX_ROOM];
        struct place place = {self, prefix};
        struct mr_slice part = {"", 0};

        (void)mr_json_element_next(&walk, &part);
        snprintf(prefix, sizeof prefix, "[%zu].", index);
        prefix[strlen(prefix) - (json_is_object(element) ? 0 : 1)] = '\0';
        if (index > 0)
            mr_buf_char(out, ',');
        read_element(&place, fields, element, part, out);
        if (self->errors.len > MR_FAULT_ERRORS)
            break;
    }
    mr_buf_char(out, ']');
    if (self->errors.len == 0)
        self->values[field] = (struct mr_value){.present = !out->failed, .text = {out->data, out->len}};
}
