#include "tests/support/test.h"

#include <time.h>
#include <unistd.h>

void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

struct mr_buf capture_stderr(void (*write_lines)(void))
{
    char path[] = "/tmp/millrace-stderr-XXXXXX";
    int file = mkstemp(path);
    int saved = dup(STDERR_FILENO);
    struct mr_buf out = {0};
    char chunk[4096];
    ssize_t len;

    unlink(path);
    dup2(file, STDERR_FILENO);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    lseek(file, 0, SEEK_SET);
    while ((len = read(file, chunk, sizeof chunk)) > 0)
        mr_buf_append(&out, chunk, (size_t)len);
    close(file);
    mr_buf_char(&out, '\0');
    out.len--;
    return out;
}

static const struct test_clock *clock_of(const struct mr_clock *clock)
{
    return (const struct test_clock *)(const void *)clock; /* its first member */
}

static int64_t wall_ms(const struct mr_clock *clock)
{
    return clock_of(clock)->wall_ms;
}

static int64_t mono_ms(const struct mr_clock *clock)
{
    return clock_of(clock)->mono_ms;
}

void test_clock_init(struct test_clock *self, int64_t now_ms)
{
    self->clock = (struct mr_clock){.wall_ms = wall_ms, .mono_ms = mono_ms};
    self->wall_ms = now_ms;
    self->mono_ms = 1000;
}

void test_clock_advance(struct test_clock *self, int64_t ms)
{
    self->wall_ms += ms;
    self->mono_ms += ms;
}
