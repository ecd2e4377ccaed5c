/* LD_PRELOAD library: counts the calls that change files below a folder, logs them, and fails one
 * or kills the process at one. Nothing happens until shim_arm is called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD, KILL_BEFORE, KILL_AFTER, FAIL, SHORT };
static char prefix[PATH_MAX], kinds[256];
static int mode = RECORD, target, error_number, log_fd = -1;
static atomic_int armed, count, full;

void shim_arm(const char *below, int how, int number, int error, const char *which,
              const char *log) {
    snprintf(prefix, sizeof prefix, "%s", below);
    snprintf(kinds, sizeof kinds, "%s", which);
    mode = how;
    target = number;
    error_number = error;
    count = 0;
    full = 0;
    log_fd = *log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
    armed = 1;
}

int shim_count(void) { return count; }

#define REAL(name) \
    static typeof(&name) real; \
    if (!real) real = (typeof(&name))dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    char full_path[PATH_MAX + 8];
    if (!armed || !path) return 0;
    if (path[0] != '/') {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(full_path, sizeof full_path, "%.2000s/%.2000s", here, path);
        path = full_path;
    }
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    if (!armed || fd == log_fd) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

/* 1: this is the call; -1: a disk that stays full refuses it too */
static int hit(const char *kind, const char *path, const char *other, long size) {
    char wanted[64], line[3 * PATH_MAX];
    snprintf(wanted, sizeof wanted, ",%s,", kind);
    if (*kinds && !strstr(kinds, wanted)) return 0;
    int number = atomic_fetch_add(&count, 1) + 1;
    if (log_fd >= 0) {
        int length = snprintf(line, sizeof line, "%d\t%s\t%s\t%s\t%ld\n", number, kind, path,
                              other ? other : "", size);
        syscall(SYS_write, log_fd, line, length);
    }
    if (mode == SHORT && full && !strcmp(kind, "write")) return -1;
    if (mode != RECORD && number == target) {
        if (mode == KILL_BEFORE) raise(SIGKILL);
        return 1;
    }
    return 0;
}

static void after(int was_hit) {
    if (was_hit == 1 && mode == KILL_AFTER) raise(SIGKILL);
}

#define FAILS(h) ((h) == 1 && (mode == FAIL || mode == SHORT))
#define REFUSE return errno = error_number, -1

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, data, size);
    int h = hit("write", path, NULL, size);
    if (h == -1 || (h == 1 && mode == FAIL)) REFUSE;
    if (h == 1 && mode == SHORT) {
        full = 1;
        return size < 2 ? (errno = error_number, -1) : real(fd, data, size / 2);
    }
    ssize_t result = real(fd, data, size);
    after(h);
    return result;
}

#define ON_FD(name, kind, arguments, ...) \
    int name(int fd, ##__VA_ARGS__) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real arguments; \
        int h = hit(kind, path, NULL, 0); \
        if (FAILS(h)) REFUSE; \
        int result = real arguments; \
        after(h); \
        return result; \
    }

ON_FD(fsync, "fsync", (fd))
ON_FD(fdatasync, "fsync", (fd))
ON_FD(ftruncate, "truncate", (fd, size), off_t size)
ON_FD(ftruncate64, "truncate", (fd, size), off_t size)
ON_FD(fchmod, "chmod", (fd, bits), mode_t bits)

#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t size, off_t at) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real(fd, data, size, at); \
        int h = hit("write", path, NULL, size); \
        if (h == -1 || FAILS(h)) REFUSE; \
        ssize_t result = real(fd, data, size, at); \
        after(h); \
        return result; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

/* a close that fails has closed all the same */
int close(int fd) {
    REAL(close);
    char path[PATH_MAX];
    int flags = armed ? fcntl(fd, F_GETFL) : 0;
    if ((flags & O_ACCMODE) == O_RDONLY || !path_of(fd, path)) return real(fd);
    int h = hit("close", path, NULL, 0);
    int result = real(fd);
    after(h);
    if (FAILS(h)) REFUSE;
    return result;
}

#define ON_PATH(name, kind, arguments, ...) \
    int name(const char *path, ##__VA_ARGS__) { \
        REAL(name); \
        if (!below(path)) return real arguments; \
        int h = hit(kind, path, NULL, 0); \
        if (FAILS(h)) REFUSE; \
        int result = real arguments; \
        after(h); \
        return result; \
    }
ON_PATH(unlink, "unlink", (path))
ON_PATH(rmdir, "unlink", (path))
ON_PATH(mkdir, "mkdir", (path, bits), mode_t bits)
ON_PATH(chmod, "chmod", (path, bits), mode_t bits)

int unlinkat(int folder, const char *name, int flags) {
    REAL(unlinkat);
    char path[PATH_MAX];
    if (folder == AT_FDCWD ? !below(name) : !path_of(folder, path))
        return real(folder, name, flags);
    int h = hit("unlink", folder == AT_FDCWD ? name : path, name, 0);
    if (FAILS(h)) REFUSE;
    int result = real(folder, name, flags);
    after(h);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (!below(to) && !below(from)) return real(from, to);
    int h = hit("rename", from, to, 0);
    if (FAILS(h)) REFUSE;
    int result = real(from, to);
    after(h);
    return result;
}

int renameat2(int old, const char *from, int new, const char *to, unsigned flags) {
    REAL(renameat2);
    if (!below(to) && !below(from)) return real(old, from, new, to, flags);
    int h = hit("rename", from, to, flags);
    if (FAILS(h)) REFUSE;
    int result = real(old, from, new, to, flags);
    after(h);
    return result;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        int bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        if (!(flags & (O_CREAT | O_WRONLY | O_RDWR)) || !below(path)) \
            return real(path, flags, bits); \
        int h = hit("open", path, NULL, 0); \
        if (FAILS(h)) REFUSE; \
        int result = real(path, flags, bits); \
        after(h); \
        return result; \
    }
OPEN(open)
OPEN(open64)
