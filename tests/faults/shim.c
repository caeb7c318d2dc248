/* Stands between SQLite and the disk: counts its storage operations, breaks one of them, and logs them all.
 *
 * Preloaded into a process (LD_PRELOAD). Only files whose path contains `watched` count. One mutex is held
 * over each operation, so the number of an operation and its place in the log are its order on the disk.
 *
 * A log record is: kind (1 byte), length of the path (2), the path, offset (8), length of the data (8), the
 * data; little-endian as on every machine this runs on. Kinds: W write, S sync, T truncate, U unlink, M mark.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum fault { NONE, KILL, TORN_KILL, ERROR, TORN_ERROR };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char watched[PATH_MAX];
static enum fault fault;
static long count, fail_at;
static int error_number, for_ever, log_fd = -1;

void shim_arm(const char *path, int kind, long at, int error, int sticky) {
    pthread_mutex_lock(&mutex);
    strncpy(watched, path, sizeof watched - 1);
    fault = kind, fail_at = at, error_number = error, for_ever = sticky, count = 0;
    pthread_mutex_unlock(&mutex);
}

void shim_heal(void) {
    pthread_mutex_lock(&mutex);
    fault = NONE;
    pthread_mutex_unlock(&mutex);
}

long shim_count(void) { return count; }

void shim_log_to(int fd) { log_fd = fd; }

static void put(const void *data, size_t size) {
    for (const char *at = data; size > 0;) {
        ssize_t done = write(log_fd, at, size);
        if (done <= 0) return;
        at += done, size -= (size_t)done;
    }
}

static void record(char kind, const char *path, int64_t offset, const void *data, int64_t size) {
    if (log_fd < 0) return;
    uint16_t length = (uint16_t)strlen(path);
    put(&kind, 1), put(&length, 2), put(path, length), put(&offset, 8), put(&size, 8);
    if (data) put(data, (size_t)size);
}

void shim_mark(long code) {
    pthread_mutex_lock(&mutex);
    record('M', "", code, NULL, 0);
    pthread_mutex_unlock(&mutex);
}

static int path_of(int fd, char *path) {
    char link[32] = "/proc/self/fd/";
    char digits[12];
    int n = 0;
    do digits[n++] = (char)('0' + fd % 10), fd /= 10; while (fd > 0);
    char *at = link + strlen(link);
    while (n > 0) *at++ = digits[--n];
    *at = 0;
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return watched[0] && strstr(path, watched) != NULL;
}

/* Whether this operation is to fail; does not return where the process is to die. */
static int is_hit(void) {
    count++;
    int hit = fault != NONE && (count == fail_at || (for_ever && count > fail_at));
    if (hit && fault == KILL) kill(getpid(), SIGKILL), pause();
    return hit;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t written(ssize_t (*real)(int, const void *, size_t, off64_t), int fd, const void *data,
                       size_t size, off64_t offset) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, data, size, offset);
    pthread_mutex_lock(&mutex);
    ssize_t done;
    if (is_hit()) {
        if (fault == TORN_KILL || fault == TORN_ERROR) real(fd, data, size / 2, offset);
        if (fault == TORN_KILL) kill(getpid(), SIGKILL), pause();
        errno = error_number, done = -1;
    } else {
        done = real(fd, data, size, offset);
        if (done > 0) record('W', path, offset, data, done);
    }
    pthread_mutex_unlock(&mutex);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return written((ssize_t(*)(int, const void *, size_t, off64_t))REAL(pwrite), fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return written(REAL(pwrite64), fd, data, size, offset);
}

/* An operation without data: dies or fails as asked, else is done and logged. */
#define PLAIN(kind, path, offset, call)                                 \
    pthread_mutex_lock(&mutex);                                         \
    int done;                                                           \
    if (is_hit()) {                                                     \
        if (fault == TORN_KILL) kill(getpid(), SIGKILL), pause();       \
        errno = error_number, done = -1;                                \
    } else if ((done = (call)) == 0) {                                  \
        record(kind, path, offset, NULL, 0);                            \
    }                                                                   \
    pthread_mutex_unlock(&mutex);                                       \
    return done;

int fsync(int fd) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(fsync)(fd);
    PLAIN('S', path, 0, REAL(fsync)(fd))
}

int fdatasync(int fd) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(fdatasync)(fd);
    PLAIN('S', path, 0, REAL(fdatasync)(fd))
}

int ftruncate(int fd, off_t size) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(ftruncate)(fd, size);
    PLAIN('T', path, size, REAL(ftruncate)(fd, size))
}

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return REAL(ftruncate64)(fd, size);
    PLAIN('T', path, size, REAL(ftruncate64)(fd, size))
}

int unlink(const char *path) {
    if (!watched[0] || !strstr(path, watched)) return REAL(unlink)(path);
    PLAIN('U', path, 0, REAL(unlink)(path))
}
