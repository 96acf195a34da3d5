#include "app/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/config.h"
#include "runtime/log.h"

enum { SECRET_BYTES = 32, SECRET_TEXT = 2 * SECRET_BYTES + 1 };

static const char file_name[] = "jwt_secret";

void mr_secret_path(struct mr_buf *out, const char *state_dir)
{
    mr_buf_printf(out, "%s/%s", state_dir, file_name);
    mr_buf_char(out, '\0');
}

static mr_status fail(struct mr_buf *problem, const char *what, const char *path)
{
    mr_buf_printf(problem, "%s: cannot %s: %s; or set JWT_SECRET", path, what, strerror(errno));
    return MR_UNAVAILABLE;
}

/* ---- Reading ---- */

/* One line of text, long enough, and not the one that everybody knows. */
static bool is_secret(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return len >= MR_JWT_SECRET_LEAST && strcmp(text, MR_EXAMPLE_JWT_SECRET) != 0;
}

static mr_status read_file(char out[MR_SECRET_ROOM], const char *path, struct mr_buf *problem)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return errno == ENOENT ? MR_NOT_FOUND : fail(problem, "look at it", path);
    if (!S_ISREG(info.st_mode) || !mr_config_read_secret(path, out, MR_SECRET_ROOM) || !is_secret(out)) {
        mr_buf_printf(
            problem,
            "%s: expected one line of %d..%d bytes of readable text; restore the file, remove it to get a new secret, or"
            " set JWT_SECRET",
            path, MR_JWT_SECRET_LEAST, MR_SECRET_ROOM - 2);
        return MR_INVALID;
    }
    if ((info.st_mode & 077) != 0)
        mr_log(MR_LOG_WARN, "others may read the token secret", mr_log_text("path", path));
    return MR_OK;
}

mr_status mr_secret_read(char out[MR_SECRET_ROOM], const char *state_dir, struct mr_buf *problem)
{
    struct mr_buf path = {0};
    mr_status status = MR_NO_MEMORY;

    mr_secret_path(&path, state_dir);
    if (!path.failed)
        status = read_file(out, path.data, problem);
    mr_buf_fini(&path);
    return status;
}

/* ---- Making ---- */

static bool write_whole(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, text, len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text += written;
        len -= (size_t)written;
    }
    return fsync(fd) == 0;
}

static bool write_secret(int fd)
{
    unsigned char random[SECRET_BYTES];
    char text[SECRET_TEXT];
    bool written;

    randombytes_buf(random, sizeof random);
    sodium_bin2hex(text, sizeof text, random, sizeof random);
    text[sizeof text - 1] = '\n';
    written = write_whole(fd, text, sizeof text);
    sodium_memzero(random, sizeof random);
    sodium_memzero(text, sizeof text);
    return written;
}

static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return synced;
}

/* A link is made whole or not at all, and not over another's: who comes second uses the first one's. */
static bool place(int fd, const char *draft, const char *path, const char *state_dir)
{
    if (!write_secret(fd))
        return false;
    if (link(draft, path) != 0)
        return errno == EEXIST;
    if (!sync_directory(state_dir))
        return false;
    mr_log(MR_LOG_INFO, "made a token secret", mr_log_text("path", path));
    return true;
}

static mr_status make_file(const char *state_dir, const char *path, struct mr_buf *problem)
{
    char draft[PATH_MAX];
    bool made;
    int fd;

    if (snprintf(draft, sizeof draft, "%s.XXXXXX", path) >= (int)sizeof draft) {
        errno = ENAMETOOLONG;
        return fail(problem, "make it", path);
    }
    fd = mkostemp(draft, O_CLOEXEC);
    if (fd < 0)
        return fail(problem, "make it", path);
    made = place(fd, draft, path, state_dir);
    if (!made)
        (void)fail(problem, "write it", path);
    close(fd);
    unlink(draft);
    return made ? MR_OK : MR_UNAVAILABLE;
}

static mr_status make(char out[MR_SECRET_ROOM], const char *state_dir, struct mr_buf *problem)
{
    struct mr_buf path = {0};
    mr_status status = MR_UNAVAILABLE;

    mr_secret_path(&path, state_dir);
    if (path.failed || sodium_init() < 0)
        status = MR_NO_MEMORY;
    else if (mkdir(state_dir, 0755) != 0 && errno != EEXIST)
        status = fail(problem, "make the directory of it", path.data);
    else
        status = make_file(state_dir, path.data, problem);
    if (status == MR_OK)
        status = read_file(out, path.data, problem);
    if (status == MR_NOT_FOUND)
        status = fail(problem, "read what is there", path.data); /* a link that leads nowhere */
    mr_buf_fini(&path);
    return status;
}

mr_status mr_secret_keep(char out[MR_SECRET_ROOM], const char *state_dir, struct mr_buf *problem)
{
    mr_status status = mr_secret_read(out, state_dir, problem);

    return status == MR_NOT_FOUND ? make(out, state_dir, problem) : status;
}
