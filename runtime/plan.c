#include "runtime/plan.h"

#include <assert.h>

enum { SLOTS_MAX = 4 * MR_PLAN_MAX };

/*
 * Counts by 64-bit key; the key 0 marks an empty slot. As large as what may come into it: the whole table is 64 KiB, and to clear
 * it for a batch of one would cost more than anything else that is done for that batch.
 */
struct tally {
    size_t mask; /* slots in use, a power of two, less one */
    struct {
        uint64_t key;
        uint64_t count;
    } slots[SLOTS_MAX];
};

/* Empty, with room for `most` keys (2 * MR_PLAN_MAX at most): never more than half full. */
static void begin_tally(struct tally *tally, size_t most)
{
    size_t slots = 2;

    assert(most <= SLOTS_MAX / 2);
    while (slots < 2 * most)
        slots *= 2;
    tally->mask = slots - 1;
    memset(tally->slots, 0, slots * sizeof tally->slots[0]);
}

/* Where `key` is, or would be. */
static size_t slot_of(const struct tally *tally, uint64_t key)
{
    size_t slot = (key ^ key >> 32) & tally->mask;

    while (tally->slots[slot].key != 0 && tally->slots[slot].key != key)
        slot = (slot + 1) & tally->mask;
    return slot;
}

/* It asks and leaves no key behind: who asks for many of a small table would fill it, and never come back. */
static uint64_t count_of(const struct tally *tally, uint64_t key)
{
    return tally->slots[slot_of(tally, key)].count;
}

/* Counts one more of `key`; returns how many there were before. */
static uint64_t count_up(struct tally *tally, uint64_t key)
{
    size_t slot = slot_of(tally, key);

    tally->slots[slot].key = key;
    return tally->slots[slot].count++;
}

/* Ids are random enough to be their own hash. */
static uint64_t user_of(const struct mr_message *message)
{
    uint64_t user;

    if (!message->envelope.has_principal)
        return 0;
    memcpy(&user, message->envelope.principal.user_id + 8, sizeof user);
    return user;
}

static void take(struct mr_message *message, struct mr_message **out, unsigned *count)
{
    message->taken = true;
    out[(*count)++] = message;
}

/* Keys of the `flying` messages in flight: what waits for one of them stays. False when there are none. */
static bool note_flying(const struct mr_message *first, unsigned flying, struct tally *aloft)
{
    bool have_keys = false;
    unsigned left = flying;

    for (const struct mr_message *m = first; m != NULL && left > 0; m = m->next) {
        left -= m->flying;
        if (m->flying && m->key != 0) {
            if (!have_keys)
                begin_tally(aloft, flying);
            (void)count_up(aloft, m->key);
            have_keys = true;
        }
    }
    return have_keys;
}

static bool is_held(const struct tally *aloft, const struct mr_message *message)
{
    return aloft != NULL && message->key != 0 && count_of(aloft, message->key) > 0;
}

/*
 * One pass in the order of arrival over `waiting` messages at most. `share` bounds a user (0: no bound), `aloft` are the keys in
 * flight (NULL: none). A message that is passed over leaves its key behind, so that none of the same key overtakes it.
 */
static void pass(struct mr_message *first, const struct tally *aloft, unsigned waiting, unsigned max, unsigned share,
                 struct mr_message **out, unsigned *count)
{
    static _Thread_local struct tally keys;
    static _Thread_local struct tally users;
    unsigned seen = 0;

    if (waiting > MR_PLAN_MAX)
        waiting = MR_PLAN_MAX;
    begin_tally(&keys, waiting + *count);
    begin_tally(&users, waiting);
    for (unsigned i = 0; i < *count; i++)
        if (out[i]->key != 0)
            (void)count_up(&keys, out[i]->key);
    for (struct mr_message *m = first; m != NULL && *count < max && seen < waiting; m = m->next) {
        uint64_t user = user_of(m);

        if (m->taken)
            continue;
        seen++;
        if (is_held(aloft, m))
            continue;
        if (m->key != 0 && count_up(&keys, m->key) > 0)
            return;
        if (share != 0 && user != 0 && count_of(&users, user) >= share)
            continue;
        if (user != 0)
            (void)count_up(&users, user);
        take(m, out, count);
    }
}

unsigned mr_plan_batch(struct mr_message *first, unsigned waiting, unsigned flying, unsigned max, struct mr_message **out)
{
    static _Thread_local struct tally keys;
    const struct tally *aloft = note_flying(first, flying, &keys) ? &keys : NULL;
    unsigned count = 0;

    assert(max >= 1 && max <= MR_PLAN_MAX);
    if (waiting > max)
        pass(first, aloft, waiting, max, max / 4 > 0 ? max / 4 : 1, out, &count);
    if (count < max)
        pass(first, aloft, waiting, max, 0, out, &count);
    return count;
}

static bool alike(const struct mr_message *a, const struct mr_message *b)
{
    return a->envelope.op == b->envelope.op && a->variant == b->variant;
}

unsigned mr_plan_group(struct mr_message **messages, unsigned count, unsigned most)
{
    struct mr_message *others[MR_PLAN_MAX];
    unsigned same = 0;
    unsigned other = 0;
    const struct mr_message *model = messages[0];

    for (unsigned i = 0; i < count; i++) {
        if (same < most && alike(messages[i], model))
            messages[same++] = messages[i];
        else
            others[other++] = messages[i];
    }
    memcpy(messages + same, others, other * sizeof *others);
    return same;
}
