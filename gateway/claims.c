#include "gateway/claims.h"

/* For how long an order to give back may lie in a mailbox: about as long as a lease. */
enum { LIFE_MS = 30000 };

struct mr_slice claims_of(const struct mr_envelope *reply)
{
    struct mr_reply_head head;
    struct mr_slice json;

    if (reply->kind != MR_REPLY || reply->op != MR_OP_run_claim || mr_reply_decode(reply->payload, &head, &json) != MR_OK)
        return (struct mr_slice){"", 0};
    return head.claims;
}

void claims_give_back(struct gateway *gateway, struct mr_slice claims)
{
    const struct mr_value value = {.present = true, .text = claims};

    if (claims.len > 0)
        exchange_tell(gateway, MR_OP_run_release, &value, LIFE_MS);
}

void claims_need_receipt(const struct exchange *exchange, struct mr_slice claims)
{
    if (claims.len > 0)
        mr_http_need_receipt(exchange->connection, claims);
}
