/*
 * clients: connections to the gateway, and what each may expect of it.
 *
 * As long as a client has sent nothing but whole requests that `requests.h` made, it knows how many there are and what
 * each wants: then every one is answered, in order, under its own id. Once it has sent other bytes it only knows how many
 * there can be at most.
 */
#ifndef MR_TESTS_FUZZ_GATEWAY_CLIENTS_H
#define MR_TESTS_FUZZ_GATEWAY_CLIENTS_H

#include "tests/fuzz/gateway/requests.h"

enum { CLIENT_COUNT = 6, CLIENT_ID = 48 };

/* Opens what is not open, or what the gateway has closed. */
void client_open(unsigned client);

/* Bytes as they are. */
void client_send(unsigned client, const void *data, size_t len);

/* The id that its next request has to bear. */
void client_next_id(unsigned client, char out[CLIENT_ID]);

/* A whole request, or the head of one whose body follows by client_send_body. */
void client_request(unsigned client, const struct request *request);

/*
 * So much of the body that the last request has announced, and no more. Of a client that is not in step: lines of an import,
 * or `fill`, when that is odd.
 */
void client_send_body(unsigned client, uint8_t fill, size_t len);

/* So many of the bytes that wait to be sent are sent at most at a time; 0: all. */
void client_dribble(unsigned client, size_t at_a_time);

void client_shut(unsigned client);  /* its sending side, when all is sent */
void client_close(unsigned client); /* with what has arrived unread: the gateway sees a reset */
void client_hold(unsigned client, bool on);
void client_read(unsigned client, size_t most); /* while it holds back */

/* Sends and reads what can be sent and read; whether anything could. */
bool clients_work(void);

/* Time went by: who was slow with sending or reading need not be answered. */
void clients_aged(void);

/* Memory failed: from now on nobody need be answered. */
void clients_excuse(void);

/* Nobody holds back any more; bodies that have not come will not come. */
void clients_finish(void);
bool clients_all_ended(void);

/* The status of the first answer; 0: there is none. */
int client_status(unsigned client);

/* Checks what each has got, once all have ended, and forgets them. */
void clients_check(void);

#endif
