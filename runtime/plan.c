#include "runtime/plan.h"

#include <assert.h>

enum { SLOTS = 4 * MR_PLAN_MAX }; /* a power of two, never more than half full */

/* Counts by 64-bit key; the key 0 marks an empty slot. */
struct tally {
    uint64_t keys[SLOTS];
    unsigned counts[SLOTS];
};

static unsigned *count_of(struct tally *tally, uint64_t key)
{
    size_t slot = (key ^ key >> 32) & (SLOTS - 1);

    while (tally->keys[slot] != 0 && tally->keys[slot] != key)
        slot = (slot + 1) & (SLOTS - 1);
    tally->keys[slot] = key;
    return &tally->counts[slot];
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

/* Keys in flight: what waits for one of them stays. False when there are none. */
static bool note_flying(const struct mr_message *first, struct tally *aloft)
{
    bool any = false;

    for (const struct mr_message *m = first; m != NULL; m = m->next) {
        if (!m->flying || m->key == 0)
            continue;
        if (!any)
            memset(aloft, 0, sizeof *aloft);
        any = true;
        ++*count_of(aloft, m->key);
    }
    return any;
}

static bool is_held(struct tally *aloft, const struct mr_message *message)
{
    return aloft != NULL && message->key != 0 && *count_of(aloft, message->key) > 0;
}

/*
 * One pass in the order of arrival. `share` bounds a user (0: no bound), `aloft` are the keys in flight (NULL: none). A message that is passed over leaves
 * its key behind, so that none of the same key overtakes it.
 */
static void pass(struct mr_message *first, struct tally *aloft, unsigned max, unsigned share, struct mr_message **out,
                 unsigned *count)
{
    static _Thread_local struct tally keys;
    static _Thread_local struct tally users;
    unsigned seen = 0;

    memset(&keys, 0, sizeof keys);
    memset(&users, 0, sizeof users);
    for (unsigned i = 0; i < *count; i++)
        if (out[i]->key != 0)
            ++*count_of(&keys, out[i]->key);
    for (struct mr_message *m = first; m != NULL && *count < max && seen < MR_PLAN_MAX; m = m->next) {
        uint64_t user = user_of(m);
        bool over = share != 0 && user != 0 && *count_of(&users, user) >= share;

        if (m->taken)
            continue;
        seen++;
        if (is_held(aloft, m))
            continue;
        if (m->key != 0 && (*count_of(&keys, m->key))++ > 0)
            return;
        if (over)
            continue;
        if (user != 0)
            ++*count_of(&users, user);
        take(m, out, count);
    }
}

unsigned mr_plan_batch(struct mr_message *first, unsigned waiting, unsigned max, struct mr_message **out)
{
    static _Thread_local struct tally flying;
    struct tally *aloft = note_flying(first, &flying) ? &flying : NULL;
    unsigned count = 0;

    assert(max >= 1 && max <= MR_PLAN_MAX);
    if (waiting > max)
        pass(first, aloft, max, max / 4 > 0 ? max / 4 : 1, out, &count);
    if (count < max)
        pass(first, aloft, max, 0, out, &count);
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
