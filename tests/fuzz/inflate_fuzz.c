/* Bytes as a gzip body, whole and in steps: the outcome is the same, and never more comes out than may. */
#include <string.h>

#include "gateway/inflate.h"
#include "tests/fuzz/fuzz.h"

enum { MAX = 100000, ROOM = 777 };

struct outcome {
    mr_status status;
    bool whole;
    size_t len;
    uint64_t sum;
};

static void add(struct outcome *self, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        self->sum = self->sum * 31 + (unsigned char)data[i];
    self->len += len;
    must(self->len <= MAX);
}

static struct outcome run(const uint8_t *data, size_t size, size_t step, size_t room)
{
    struct outcome outcome = {.status = MR_OK};
    struct mr_inflate *inflate;

    must(mr_inflate_new(&inflate, MAX, NULL) == MR_OK);
    while (size > 0 && outcome.status == MR_OK) {
        struct mr_slice piece = {(const char *)data, size < step ? size : step};
        size_t made;

        data += piece.len;
        size -= piece.len;
        do {
            char out[ROOM];
            size_t before = piece.len;

            outcome.status = mr_inflate_take(inflate, &piece, out, room, &made);
            if (outcome.status != MR_OK)
                break;
            must(made <= room && (piece.len < before || made > 0 || before == 0));
            add(&outcome, out, made);
        } while (piece.len > 0 || made == room);
    }
    outcome.whole = outcome.status == MR_OK && mr_inflate_is_whole(inflate);
    mr_inflate_destroy(&inflate);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = run(data, size, SIZE_MAX, ROOM);
    struct outcome steps = run(data, size, 3, 5);

    must(whole.status == steps.status);
    if (whole.status == MR_OK)
        must(whole.whole == steps.whole && whole.len == steps.len && whole.sum == steps.sum);
    return 0;
}
