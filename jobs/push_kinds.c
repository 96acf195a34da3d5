#include <sodium.h>
#include <stdlib.h>

#include "jobs/push_internal.h"
#include "runtime/webhook.h"

enum { FORGET_MS = 600000, FIRST_ROOM = 16, TIMEOUT_MOST_MS = 86400000, LAST_PLACES = 8 /* one in so many */ };

/* ---- Receivers ---- */

static bool grow(void ***list, unsigned *room, unsigned count)
{
    unsigned wanted = *room == 0 ? FIRST_ROOM : 2 * *room;
    void **larger;

    if (count < *room)
        return true;
    larger = realloc(*list, wanted * sizeof *larger);
    if (larger == NULL)
        return false;
    *list = larger;
    *room = wanted;
    return true;
}

static struct push_host *new_host(struct mr_push *self, const char *origin)
{
    struct push_host *host = calloc(1, sizeof *host);

    if (host != NULL)
        host->origin = strdup(origin);
    if (host == NULL || host->origin == NULL || !grow((void ***)&self->hosts, &self->host_room, self->host_count)) {
        if (host != NULL)
            free(host->origin);
        free(host);
        return NULL;
    }
    host->window = (unsigned)self->config->push_per_host;
    self->hosts[self->host_count++] = host;
    return host;
}

static struct push_host *host_of(struct mr_push *self, const char *url)
{
    struct push_host *host = NULL;

    mr_buf_clear(&self->text, SIZE_MAX);
    if (!mr_webhook_origin(url, &self->text))
        return NULL;
    mr_buf_char(&self->text, '\0');
    if (self->text.failed)
        return NULL;
    for (unsigned i = 0; i < self->host_count && host == NULL; i++)
        if (strcmp(self->hosts[i]->origin, self->text.data) == 0)
            host = self->hosts[i];
    return host != NULL ? host : new_host(self, self->text.data);
}

/*
 * A receiver that leaves calls without an answer keeps each for as long as its time-out: so it gets fewer at once, down to one,
 * and more again as it answers.
 */
void push_host_note(const struct mr_push *self, struct push_host *host, bool has_answered)
{
    if (!has_answered)
        host->window = host->window > 1 ? host->window / 2 : 1;
    else if (host->window < (unsigned)self->config->push_per_host)
        host->window++;
}

unsigned push_hosts_held_back(const struct mr_push *self)
{
    int64_t now_ms = push_now_ms(self);
    unsigned held = 0;

    for (unsigned i = 0; i < self->host_count; i++)
        self->hosts[i]->is_held = self->hosts[i]->window < (unsigned)self->config->push_per_host;
    for (unsigned i = 0; i < self->kind_count; i++)
        if (self->kinds[i]->host != NULL && now_ms < self->kinds[i]->rest_until_ms)
            self->kinds[i]->host->is_held = true;
    for (unsigned i = 0; i < self->host_count; i++)
        held += self->hosts[i]->is_held ? 1 : 0;
    return held;
}

/* ---- Jobs ---- */

static int compare(const void *name, const void *kind)
{
    return strcmp(name, (*(struct push_kind *const *)kind)->name);
}

static void destroy_kind(struct push_kind *kind)
{
    if (kind->secrets.data != NULL)
        sodium_memzero(kind->secrets.data, kind->secrets.cap);
    mr_buf_fini(&kind->secrets);
    mr_buf_fini(&kind->url);
    mr_buf_fini(&kind->after_key);
    free(kind->name);
    free(kind);
}

static struct push_kind *new_kind(struct mr_push *self, const char *name)
{
    struct push_kind *kind = calloc(1, sizeof *kind);
    unsigned at = 0;

    if (kind == NULL)
        return NULL;
    kind->name = strdup(name);
    if (kind->name == NULL || !grow((void ***)&self->kinds, &self->kind_room, self->kind_count)) {
        destroy_kind(kind);
        return NULL;
    }
    while (at < self->kind_count && strcmp(self->kinds[at]->name, name) < 0)
        at++;
    memmove(self->kinds + at + 1, self->kinds + at, (self->kind_count - at) * sizeof *self->kinds);
    self->kinds[at] = kind;
    self->kind_count++;
    return kind;
}

/* Whether it was another text. */
static bool set_text(struct mr_buf *out, const char *text)
{
    if (out->len > 0 && strcmp(out->data, text) == 0)
        return false;
    if (out->data != NULL)
        sodium_memzero(out->data, out->cap);
    mr_buf_clear(out, SIZE_MAX);
    mr_buf_text(out, text);
    mr_buf_char(out, '\0');
    return true;
}

static void set_url(struct mr_push *self, struct push_kind *kind, const char *url)
{
    if (!set_text(&kind->url, url))
        return;
    if (kind->host != NULL)
        kind->host->users--;
    kind->host = host_of(self, url);
    if (kind->host != NULL)
        kind->host->users++;
    kind->rest_until_ms = 0;
}

struct push_kind *push_kind_seen(struct mr_push *self, const char *name, const char *url, const char *secrets,
                                 int64_t timeout_ms)
{
    struct push_kind **found =
        self->kind_count > 0 ? bsearch(name, self->kinds, self->kind_count, sizeof *self->kinds, compare) : NULL;
    struct push_kind *kind = found != NULL ? *found : new_kind(self, name);

    if (kind == NULL)
        return NULL;
    set_url(self, kind, url);
    set_text(&kind->secrets, secrets);
    kind->timeout_ms = timeout_ms < 1 ? 1 : timeout_ms < TIMEOUT_MOST_MS ? timeout_ms : TIMEOUT_MOST_MS;
    kind->seen_ms = push_now_ms(self);
    return kind->url.failed || kind->secrets.failed ? NULL : kind;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/*
 * No receiver has more calls than it leaves places free for others (Choudhury and Hahne, dynamic queue length thresholds), and the
 * last places are for those that have none: however many are slow, one that was not called so far finds room. A kind without a
 * receiver fails at once, and needs none.
 */
unsigned push_kind_room(const struct mr_push *self, const struct push_kind *kind, unsigned reserved)
{
    unsigned most = (unsigned)self->config->push_in_flight;
    unsigned taken = self->in_hand + reserved;
    unsigned free_places = most > taken ? most - taken : 0;
    unsigned shared = free_places > most / LAST_PLACES ? free_places - most / LAST_PLACES : 0;
    const struct push_host *host = kind->host;
    unsigned limit;

    if (push_now_ms(self) < kind->rest_until_ms || free_places == 0)
        return 0;
    if (host == NULL)
        return least(free_places, PUSH_CLAIM_MOST);
    limit = least(host->window, (unsigned)self->config->push_per_host);
    if (host->in_flight >= limit)
        return 0;
    if (host->in_flight >= shared)
        return host->in_flight == 0;
    return least(least(limit - host->in_flight, (shared - host->in_flight + 1) / 2), PUSH_CLAIM_MOST);
}

bool push_kinds_have_work(const struct mr_push *self)
{
    for (unsigned i = 0; i < self->kind_count; i++)
        if (self->kinds[i]->has_more && push_kind_room(self, self->kinds[i], 0) > 0)
            return true;
    return false;
}

/* The first failure of a job is logged at once, later ones at intervals of 10 s, 20 s and so on, up to five minutes. */
bool push_kind_tells(struct push_kind *kind, int64_t now_ms, int64_t *untold)
{
    if (now_ms < kind->tell_ms) {
        kind->untold++;
        return false;
    }
    if (now_ms - kind->tell_ms > INT64_C(2) * PUSH_TELL_MOST_MS || kind->tell_pause_ms == 0)
        kind->tell_pause_ms = PUSH_TELL_LEAST_MS;
    else if (kind->tell_pause_ms < PUSH_TELL_MOST_MS)
        kind->tell_pause_ms = 2 * kind->tell_pause_ms < PUSH_TELL_MOST_MS ? 2 * kind->tell_pause_ms : PUSH_TELL_MOST_MS;
    kind->tell_ms = now_ms + kind->tell_pause_ms;
    *untold = kind->untold;
    kind->untold = 0;
    return true;
}

/* ---- What is not needed any more ---- */

void push_kinds_prune(struct mr_push *self)
{
    int64_t now_ms = push_now_ms(self);
    unsigned kept = 0;

    for (unsigned i = 0; i < self->kind_count; i++) {
        struct push_kind *kind = self->kinds[i];

        if (kind->in_hand > 0 || now_ms - kind->seen_ms < FORGET_MS) {
            self->kinds[kept++] = kind;
            continue;
        }
        if (kind->host != NULL)
            kind->host->users--;
        destroy_kind(kind);
    }
    self->kind_count = kept;
    kept = 0;
    for (unsigned i = 0; i < self->host_count; i++) {
        struct push_host *host = self->hosts[i];

        if (host->users > 0 || host->in_flight > 0) {
            self->hosts[kept++] = host;
            continue;
        }
        free(host->origin);
        free(host);
    }
    self->host_count = kept;
}

void push_kinds_fini(struct mr_push *self)
{
    for (unsigned i = 0; i < self->kind_count; i++)
        destroy_kind(self->kinds[i]);
    for (unsigned i = 0; i < self->host_count; i++) {
        free(self->hosts[i]->origin);
        free(self->hosts[i]);
    }
    free(self->kinds);
    free(self->hosts);
}
