#include "tests/support/test.h"

#include <time.h>
#include <unistd.h>

void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* How long something has waited for that resource since the machine started; 0 where the kernel does not tell. */
static int64_t pressure_ms_of(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long total_us = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "some avg10=%*f avg60=%*f avg300=%*f total=%llu", &total_us) != 1)
        total_us = 0;
    fclose(file);
    return (int64_t)(total_us / 1000);
}

static int64_t pressure_ms(void)
{
    return pressure_ms_of("/proc/pressure/cpu") + pressure_ms_of("/proc/pressure/io");
}

struct stopwatch stopwatch_start(void)
{
    return (struct stopwatch){.began_ms = mr_mono_ms(&mr_system_clock), .pressure_ms = pressure_ms()};
}

int64_t stopwatch_passed_ms(const struct stopwatch *self)
{
    return mr_mono_ms(&mr_system_clock) - self->began_ms;
}

int64_t stopwatch_ms(const struct stopwatch *self)
{
    int64_t passed_ms = stopwatch_passed_ms(self);
    int64_t free_ms = passed_ms - (pressure_ms() - self->pressure_ms);

    return free_ms > passed_ms / 5 ? free_ms : passed_ms / 5;
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
