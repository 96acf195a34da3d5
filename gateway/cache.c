#include "gateway/cache.h"

static bool is_for(const struct mr_cached *entry, enum mr_op op, struct mr_slice key)
{
    return entry->body.len > 0 && entry->op == op && mr_slice_is(key, entry->key);
}

const struct mr_cached *mr_cache_find(const struct mr_cache *self, enum mr_op op, struct mr_slice key, int64_t now_ms)
{
    for (size_t i = 0; i < MR_CACHE_ENTRIES; i++)
        if (is_for(&self->entries[i], op, key) && self->entries[i].until_ms > now_ms)
            return &self->entries[i];
    return NULL;
}

static struct mr_cached *place_for(struct mr_cache *self, enum mr_op op, struct mr_slice key)
{
    struct mr_cached *first = &self->entries[0];

    for (size_t i = 0; i < MR_CACHE_ENTRIES; i++) {
        if (is_for(&self->entries[i], op, key))
            return &self->entries[i];
        if (self->entries[i].until_ms < first->until_ms)
            first = &self->entries[i];
    }
    return first;
}

void mr_cache_keep(struct mr_cache *self, uint64_t generation, enum mr_op op, struct mr_slice key, struct mr_slice body,
                   int64_t until_ms)
{
    struct mr_cached *entry;

    if (generation != self->generation || key.len >= MR_CACHE_KEY)
        return;
    entry = place_for(self, op, key);
    mr_buf_clear(&entry->body, SIZE_MAX);
    mr_buf_slice(&entry->body, body);
    if (entry->body.failed) {
        mr_buf_fini(&entry->body);
        return;
    }
    entry->op = op;
    memcpy(entry->key, key.data, key.len);
    entry->key[key.len] = '\0';
    entry->until_ms = until_ms;
    mr_etag_make(entry->etag, body);
}

void mr_cache_drop(struct mr_cache *self)
{
    for (size_t i = 0; i < MR_CACHE_ENTRIES; i++) {
        mr_buf_fini(&self->entries[i].body);
        self->entries[i].until_ms = 0;
    }
    self->generation++;
}
