/*
 * flight: an actor's batches in flight: sent, but not answered yet.
 *
 * With the database far away they overlap (runtime/pace.h). With the database near by one is at the server at a time; but where more
 * than one batch waits, the next is sent before the answers to the last are written, so that the server works meanwhile.
 *
 * Answers come in the order in which the batches were sent, and each is passed on as it comes. When one calls for another
 * statement (the server refused a batch that can be halved, it left a message unanswered, the connection broke), all are
 * taken first; then each is settled in its turn, one after the other, as a batch that is alone (runtime/answer.h). So whatever
 * is run again has the connection to itself.
 *
 * A message stays in the queue while its batch is in flight, and none of its key is sent before it is answered: the order of
 * a key holds even when its batch is run again.
 *
 * Thread: the actor's.
 */
#ifndef MR_RUNTIME_FLIGHT_H
#define MR_RUNTIME_FLIGHT_H

#include "runtime/actor.h"

/* Whether to send a batch like this message now, without waiting for its answer. The actor's thread, as for all functions here. */
bool mr_flight_suits(const struct mr_actor *self, const struct mr_message *message);

/* Sends a batch of one statement. If it cannot be sent, settles and answers it as if the database had returned that error. */
void mr_flight_send(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Whether, with the database near by, a batch like this message may be sent before the previous one is answered. */
bool mr_flight_may_lead(const struct mr_actor *self, const struct mr_message *message);

/* Waits until everything in flight has returned, and answers nothing. */
void mr_flight_await(struct mr_actor *self);

/* Waits until everything in flight has returned, sends a batch, and then answers what has returned. */
void mr_flight_lead(struct mr_actor *self, struct mr_message *const *messages, unsigned count);

/* Answers what has returned. Waits for nothing, unless something failed. */
void mr_flight_land(struct mr_actor *self);

/* Waits for everything in flight and answers it. */
void mr_flight_land_all(struct mr_actor *self);

/* How many messages the next batch may have now; 0: it is not due yet, or enough is in flight. */
unsigned mr_flight_room(const struct mr_actor *self);

/*
 * Milliseconds until there is work even if nothing arrives: the next batch is due, or the oldest in flight is late; -1: nothing
 * is in flight.
 */
int64_t mr_flight_due_in_ms(const struct mr_actor *self);

#endif
