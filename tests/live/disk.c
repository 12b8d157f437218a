/* Between a server and its disk: what it does to the files below DISK_UNDER is written down in DISK_RECORD, in the order in which it was
 * done, with what it said to whom; and what DISK_RULES asks for fails.
 *
 * For tests only: built and put before the server's libraries by tests/live/preloaded.py, read by tests/live/power.py. Whatever changes a
 * file is done and written down under one lock. A rule is a line `CALL PART ERRNO`: CALL is sync, write, open or rename, PART a part of the
 * path, or its end where it ends with a dollar; the file is read before each such call, so that a rule holds as soon as it stands there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 65536

struct __attribute__((packed)) head {
    char kind;
    int32_t process, descriptor;
    int64_t number;
    uint32_t first, second;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *paths[MOST];
static const char *under, *rules;
static size_t under_length;
static int record = -1;

#define REAL(name, type, ...)                                  \
    static type (*real)(__VA_ARGS__);                          \
    if (real == NULL)                                          \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int plain_open(const char *path, int flags) {
    REAL("open64", int, const char *, int, ...);
    return real(path, flags, 0600);
}

static ssize_t plain_writev(int descriptor, const struct iovec *parts, int count) {
    REAL("writev", ssize_t, int, const struct iovec *, int);
    return real(descriptor, parts, count);
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("DISK_RECORD");
    under = getenv("DISK_UNDER");
    rules = getenv("DISK_RULES");
    under_length = under == NULL ? 0 : strlen(under);
    if (file != NULL)
        record = plain_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
}

/* Whole in the file, also where several processes write it: one call, and the file is appended to. */
static void note(char kind, int descriptor, int64_t number, const void *first, size_t first_length, const void *second, size_t second_length) {
    if (record < 0)
        return;
    int before = errno;
    struct head head = {kind, getpid(), descriptor, number, (uint32_t)first_length, (uint32_t)second_length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)first, first_length}, {(void *)second, second_length}};
    if (plain_writev(record, parts, 3) != (ssize_t)(sizeof head + first_length + second_length)) {
        static const char said[] = "the record of the disk cannot be written\n";
        struct iovec last = {(void *)said, sizeof said - 1};
        plain_writev(2, &last, 1);
        abort();
    }
    errno = before;
}

static int is_ours(const char *path) {
    return under != NULL && path != NULL && strncmp(path, under, under_length) == 0 && (path[under_length] == '/' || path[under_length] == 0);
}

static const char *path_of(int descriptor) { return descriptor >= 0 && descriptor < MOST ? paths[descriptor] : NULL; }

static void forget(int descriptor) {
    if (path_of(descriptor) != NULL) {
        free(paths[descriptor]);
        paths[descriptor] = NULL;
    }
}

static int is_meant(const char *path, const char *part) {
    size_t length = strlen(part), whole = strlen(path);
    if (length > 0 && part[length - 1] == '$')
        return whole >= length - 1 && strncmp(path + whole - (length - 1), part, length - 1) == 0;
    return strstr(path, part) != NULL;
}

/* The number of the error with which this call has to fail; 0 for none. */
static int asked_to_fail(const char *call, const char *path) {
    char text[4096], *line, *rest;
    int file, before = errno, found = 0;
    ssize_t length;
    if (rules == NULL || path == NULL || (file = plain_open(rules, O_RDONLY | O_CLOEXEC)) < 0) {
        errno = before;
        return 0;
    }
    length = read(file, text, sizeof text - 1);
    close(file);
    text[length < 0 ? 0 : length] = 0;
    for (line = strtok_r(text, "\n", &rest); line != NULL && !found; line = strtok_r(NULL, "\n", &rest)) {
        char which[16], part[256];
        int number;
        if (sscanf(line, "%15s %255s %d", which, part, &number) == 3 && strcmp(which, call) == 0 && is_meant(path, part))
            found = number;
    }
    errno = before;
    return found;
}

#define FAIL_IF_ASKED(call, path)                    \
    do {                                             \
        int number = asked_to_fail(call, path);      \
        if (number != 0) {                           \
            errno = number;                          \
            return -1;                               \
        }                                            \
    } while (0)

/* A file system that may only be read opens for reading what is there. */
#define FAIL_TO_OPEN_IF_ASKED(path, flags)                                             \
    do {                                                                               \
        int number = asked_to_fail("open", path);                                      \
        if (number == EROFS && !((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)))   \
            number = 0;                                                                \
        if (number != 0) {                                                             \
            errno = number;                                                            \
            return -1;                                                                 \
        }                                                                              \
    } while (0)

static int opened(int descriptor, const char *path, int flags) {
    if (descriptor >= 0 && descriptor < MOST) {
        forget(descriptor);
        if (is_ours(path)) {
            paths[descriptor] = strdup(path);
            note('O', descriptor, flags, path, strlen(path), NULL, 0);
        }
    }
    return descriptor;
}

static const char *absolute(int directory, const char *path, char *space) {
    char link[64], at[PATH_MAX];
    ssize_t length;
    if (path == NULL || path[0] == '/')
        return path;
    snprintf(link, sizeof link, directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory);
    length = readlink(link, at, sizeof at - 1);
    if (length < 0)
        return path;
    at[length] = 0;
    if (snprintf(space, PATH_MAX, "%s/%s", at, path) >= PATH_MAX)
        return path;
    return space;
}

#define OPEN(name)                                                                                  \
    int name(const char *path, int flags, ...) {                                                    \
        REAL(#name, int, const char *, int, ...);                                                   \
        va_list more;                                                                               \
        char space[PATH_MAX];                                                                       \
        const char *whole = absolute(AT_FDCWD, path, space);                                        \
        va_start(more, flags);                                                                      \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                   \
        va_end(more);                                                                               \
        if (!is_ours(whole))                                                                        \
            return opened(real(path, flags, mode), whole, flags);                                   \
        FAIL_TO_OPEN_IF_ASKED(whole, flags);                                                        \
        pthread_mutex_lock(&lock);                                                                  \
        int done = opened(real(path, flags, mode), whole, flags);                                   \
        pthread_mutex_unlock(&lock);                                                                \
        return done;                                                                                \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                \
    int name(int directory, const char *path, int flags, ...) {                                     \
        REAL(#name, int, int, const char *, int, ...);                                              \
        va_list more;                                                                               \
        char space[PATH_MAX];                                                                       \
        const char *whole = absolute(directory, path, space);                                       \
        va_start(more, flags);                                                                      \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                   \
        va_end(more);                                                                               \
        if (!is_ours(whole))                                                                        \
            return opened(real(directory, path, flags, mode), whole, flags);                        \
        FAIL_TO_OPEN_IF_ASKED(whole, flags);                                                        \
        pthread_mutex_lock(&lock);                                                                  \
        int done = opened(real(directory, path, flags, mode), whole, flags);                        \
        pthread_mutex_unlock(&lock);                                                                \
        return done;                                                                                \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int descriptor) {
    REAL("close", int, int);
    pthread_mutex_lock(&lock);
    if (path_of(descriptor) != NULL) {
        forget(descriptor);
        note('C', descriptor, 0, NULL, 0, NULL, 0);
    }
    int done = real(descriptor);
    pthread_mutex_unlock(&lock);
    return done;
}

/* The port of the peer; 0 where this is no connection to one. (A signal's handler writes to a pair of sockets, and must not wait here.) */
static int port_of(int descriptor) {
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    int before = errno, port = 0;
    if (record >= 0 && getpeername(descriptor, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET)
        port = ntohs(peer.sin_port);
    errno = before;
    return port;
}

static void said(int descriptor, int port, const struct iovec *parts, int count, ssize_t length) {
    if (length <= 0)
        return;
    char *all = malloc((size_t)length);
    size_t at = 0;
    for (int one = 0; one < count && at < (size_t)length; one++) {
        size_t some = parts[one].iov_len < (size_t)length - at ? parts[one].iov_len : (size_t)length - at;
        memcpy(all + at, parts[one].iov_base, some);
        at += some;
    }
    note('A', descriptor, port, all, at, NULL, 0);
    free(all);
}

static void wrote(int descriptor, int64_t place, const struct iovec *parts, int count, ssize_t length) {
    for (int one = 0; one < count && length > 0; one++) {
        size_t some = parts[one].iov_len < (size_t)length ? parts[one].iov_len : (size_t)length;
        note('W', descriptor, place, parts[one].iov_base, some, NULL, 0);
        place += (int64_t)some;
        length -= (ssize_t)some;
    }
}

#define SAYING(descriptor, parts, count, call)                  \
    do {                                                        \
        if (path_of(descriptor) == NULL) {                      \
            int port = port_of(descriptor);                     \
            if (port == 0)                                      \
                return call;                                    \
            pthread_mutex_lock(&lock);                          \
            ssize_t length = call;                              \
            said(descriptor, port, parts, count, length);       \
            pthread_mutex_unlock(&lock);                        \
            return length;                                      \
        }                                                       \
    } while (0)

#define CHANGING(descriptor, parts, count, place, call)         \
    do {                                                        \
        FAIL_IF_ASKED("write", path_of(descriptor));            \
        pthread_mutex_lock(&lock);                              \
        ssize_t length = call;                                  \
        if (length > 0)                                         \
            wrote(descriptor, place, parts, count, length);     \
        pthread_mutex_unlock(&lock);                            \
        return length;                                          \
    } while (0)

ssize_t write(int descriptor, const void *octets, size_t size) {
    REAL("write", ssize_t, int, const void *, size_t);
    struct iovec part = {(void *)octets, size};
    SAYING(descriptor, &part, 1, real(descriptor, octets, size));
    CHANGING(descriptor, &part, 1, lseek(descriptor, 0, SEEK_CUR) - length, real(descriptor, octets, size));
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL("writev", ssize_t, int, const struct iovec *, int);
    SAYING(descriptor, parts, count, real(descriptor, parts, count));
    CHANGING(descriptor, parts, count, lseek(descriptor, 0, SEEK_CUR) - length, real(descriptor, parts, count));
}

#define PWRITE(name)                                                                                        \
    ssize_t name(int descriptor, const void *octets, size_t size, off_t place) {                            \
        REAL(#name, ssize_t, int, const void *, size_t, off_t);                                             \
        struct iovec part = {(void *)octets, size};                                                         \
        if (path_of(descriptor) == NULL)                                                                    \
            return real(descriptor, octets, size, place);                                                   \
        CHANGING(descriptor, &part, 1, place, real(descriptor, octets, size, place));                       \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t send(int descriptor, const void *octets, size_t size, int flags) {
    REAL("send", ssize_t, int, const void *, size_t, int);
    struct iovec part = {(void *)octets, size};
    SAYING(descriptor, &part, 1, real(descriptor, octets, size, flags));
    return real(descriptor, octets, size, flags);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
    REAL("sendmsg", ssize_t, int, const struct msghdr *, int);
    SAYING(descriptor, message->msg_iov, (int)message->msg_iovlen, real(descriptor, message, flags));
    return real(descriptor, message, flags);
}

#define TRUNCATE(name)                                          \
    int name(int descriptor, off_t size) {                      \
        REAL(#name, int, int, off_t);                           \
        FAIL_IF_ASKED("write", path_of(descriptor));            \
        pthread_mutex_lock(&lock);                              \
        int done = real(descriptor, size);                      \
        if (done == 0 && path_of(descriptor) != NULL)           \
            note('T', descriptor, size, NULL, 0, NULL, 0);      \
        pthread_mutex_unlock(&lock);                            \
        return done;                                            \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* S: from here on; D: what was written before S is on the disk; E: it failed. */
#define SYNC(name)                                                      \
    int name(int descriptor) {                                          \
        REAL(#name, int, int);                                          \
        int ours = path_of(descriptor) != NULL, number;                 \
        if (ours)                                                       \
            note('S', descriptor, 0, NULL, 0, NULL, 0);                 \
        number = ours ? asked_to_fail("sync", path_of(descriptor)) : 0; \
        if (number != 0) {                                              \
            note('E', descriptor, 0, NULL, 0, NULL, 0);                 \
            errno = number;                                             \
            return -1;                                                  \
        }                                                               \
        int done = real(descriptor);                                    \
        if (ours)                                                       \
            note(done == 0 ? 'D' : 'E', descriptor, 0, NULL, 0, NULL, 0); \
        return done;                                                    \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TWO_NAMES(kind, source, target, call)                                               \
    do {                                                                                    \
        char first[PATH_MAX], second[PATH_MAX];                                             \
        const char *from = absolute(AT_FDCWD, source, first), *to = absolute(AT_FDCWD, target, second); \
        if (!is_ours(to) && !is_ours(from))                                                 \
            return call;                                                                    \
        FAIL_IF_ASKED("rename", to);                                                        \
        pthread_mutex_lock(&lock);                                                          \
        int done = call;                                                                    \
        if (done == 0)                                                                      \
            note(kind, -1, 0, from, strlen(from), to, strlen(to));                          \
        pthread_mutex_unlock(&lock);                                                        \
        return done;                                                                        \
    } while (0)

int rename(const char *source, const char *target) {
    REAL("rename", int, const char *, const char *);
    TWO_NAMES('R', source, target, real(source, target));
}

int link(const char *source, const char *target) {
    REAL("link", int, const char *, const char *);
    TWO_NAMES('L', source, target, real(source, target));
}

#define ONE_NAME(kind, directory, path, call)                   \
    do {                                                        \
        char space[PATH_MAX];                                   \
        const char *whole = absolute(directory, path, space);   \
        if (!is_ours(whole))                                    \
            return call;                                        \
        pthread_mutex_lock(&lock);                              \
        int done = call;                                        \
        if (done == 0)                                          \
            note(kind, -1, 0, whole, strlen(whole), NULL, 0);   \
        pthread_mutex_unlock(&lock);                            \
        return done;                                            \
    } while (0)

int unlink(const char *path) {
    REAL("unlink", int, const char *);
    ONE_NAME('U', AT_FDCWD, path, real(path));
}

int unlinkat(int directory, const char *path, int flags) {
    REAL("unlinkat", int, int, const char *, int);
    ONE_NAME('U', directory, path, real(directory, path, flags));
}

int rmdir(const char *path) {
    REAL("rmdir", int, const char *);
    ONE_NAME('U', AT_FDCWD, path, real(path));
}

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int, const char *, mode_t);
    ONE_NAME('M', AT_FDCWD, path, real(path, mode));
}

int mkdirat(int directory, const char *path, mode_t mode) {
    REAL("mkdirat", int, int, const char *, mode_t);
    ONE_NAME('M', directory, path, real(directory, path, mode));
}
