/*
 * stubs: actors behind real mailboxes that answer as the input says: well, badly, late, twice or never.
 *
 * Thread: that of the driver, which takes and answers their mail between two turns of the gateway's loop.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_STUBS_H
#define MR_TESTS_FUZZ_GATEWAY_STUBS_H

#include "runtime/actor.h"

enum { STUB_COUNT = 8 };

/* How a stub answers. `argument` chooses within. */
enum stub_manner {
    STUB_REPLIES,  /* with what the op's shape asks for */
    STUB_REFUSES,  /* an error of any status; with a field, too, when the argument's high bit is set */
    STUB_TWICE,    /* a reply, then an error */
    STUB_LATE,     /* not before stubs_answer_late */
    STUB_NEVER,    /* not at all */
    STUB_GARBAGE,  /* bytes that are no envelope, and nothing else */
    STUB_GARBLED,  /* an envelope whose payload is cut short or made up */
    STUB_LARGE,    /* a reply larger than a socket's buffer */
    STUB_ASTRAY,   /* a correlation id of nobody's, or an op or kind that was not asked for; then the real one */
    STUB_HEADED,   /* a reply with cursor, version and id of various lengths */
    STUB_DEAD,     /* no database: everything is UNAVAILABLE, and the actor says so */
    STUB_MANNERS
};

/* The actors as the gateway is told of them. Their mailboxes are there from stubs_open on. */
extern struct mr_actor *const stub_actors[STUB_COUNT];

void stubs_open(const struct mr_config *config);
void stubs_close(void);

/* Every stub replies at once, and knows nothing of what was late. */
void stubs_reset(void);

void stub_behave(unsigned stub, enum stub_manner manner, uint8_t argument);

/* Answers what a stub kept back, `last_first` or in order, in another manner; at most `count`. */
void stub_answer_late(unsigned stub, bool last_first, unsigned count, enum stub_manner manner, uint8_t argument);

/* A message that nobody asked for: 0 the reference data changed, 1 another request, 2 bytes. */
void stub_speak_up(unsigned stub, uint8_t what);

/* The thread of the actor is gone, and its mailbox with it. */
void stub_vanish(unsigned stub);

/* Takes and answers what has arrived; whether anything had. */
bool stubs_work(void);

/* Bit `i`: stub i got a message since stubs_reset. */
unsigned stubs_asked(void);

#endif
