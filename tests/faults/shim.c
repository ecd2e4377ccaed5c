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
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD, KILL_BEFORE, KILL_AFTER, FAIL, SHORT };
static char prefix[PATH_MAX], kinds[256];
static int mode = RECORD, target, error_number, log_fd = -1, data_fd = -1;
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
    if (*log) {
        char data[PATH_MAX];
        int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
        snprintf(data, sizeof data, "%s.data", log);
        log_fd = syscall(SYS_openat, AT_FDCWD, log, flags, 0644);
        data_fd = syscall(SYS_openat, AT_FDCWD, data, flags, 0644);
    }
    armed = 1;
}

int shim_count(void) { return count; }

#define REAL(name) \
    static typeof(&name) real; \
    if (!real) real = (typeof(&name))dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    return armed && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    if (!armed || fd == log_fd || fd == data_fd) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

/* the full path of a name below an open folder, or below the current one */
static int path_at(int folder, const char *name, char *path) {
    char base[PATH_MAX] = "";
    *path = 0;
    if (!armed || !name) return 0;
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name), below(path);
    if (folder != AT_FDCWD) path_of(folder, base);
    else if (!getcwd(base, sizeof base)) return 0;
    snprintf(path, PATH_MAX, "%.2000s/%.2000s", base, name);
    return below(path);
}

/* by SIGKILL, or the signal given in place of an error */
static void end(void) { kill(getpid(), error_number ? error_number : SIGKILL); }

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
        if (mode == KILL_BEFORE) end();
        return 1;
    }
    return 0;
}

static void after(int was_hit) {
    if (was_hit == 1 && mode == KILL_AFTER) end();
}

/* what was written, one after the other as in the log */
static void keep(const void *data, ssize_t size) {
    if (data_fd >= 0 && size > 0) syscall(SYS_write, data_fd, data, size);
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
    if (h == 0) keep(data, result);
    after(h);
    return result;
}

#define ON_FD(name, kind, number, arguments, ...) \
    int name(int fd, ##__VA_ARGS__) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real arguments; \
        int h = hit(kind, path, NULL, number); \
        if (FAILS(h)) REFUSE; \
        int result = real arguments; \
        after(h); \
        return result; \
    }

ON_FD(fsync, "fsync", 0, (fd))
ON_FD(fdatasync, "fsync", 0, (fd))
ON_FD(ftruncate, "truncate", size, (fd, size), off_t size)
ON_FD(ftruncate64, "truncate", size, (fd, size), off_t size)
ON_FD(fchmod, "chmod", bits, (fd, bits), mode_t bits)

/* the other ways to write: not made short but refused; a size of -1 says that no data is kept */
#define WRITES(name, parameters, arguments) \
    ssize_t name parameters { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real arguments; \
        int h = hit("write", path, NULL, -1); \
        if (h == -1 || FAILS(h)) REFUSE; \
        ssize_t result = real arguments; \
        after(h); \
        return result; \
    }
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITES(writev, (int fd, const struct iovec *parts, int n), (fd, parts, n))
WRITES(pwritev, (int fd, const struct iovec *parts, int n, off_t at), (fd, parts, n, at))
WRITES(pwritev64, (int fd, const struct iovec *parts, int n, off_t at), (fd, parts, n, at))
WRITES(pwritev2, (int fd, const struct iovec *parts, int n, off_t at, int flags),
       (fd, parts, n, at, flags))
WRITES(pwritev64v2, (int fd, const struct iovec *parts, int n, off_t at, int flags),
       (fd, parts, n, at, flags))
WRITES(sendfile, (int fd, int from, off_t *at, size_t size), (fd, from, at, size))
WRITES(sendfile64, (int fd, int from, off_t *at, size_t size), (fd, from, at, size))
WRITES(copy_file_range, (int from, off_t *at, int fd, off_t *to, size_t size, unsigned flags),
       (from, at, fd, to, size, flags))

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

#define ON_PATH(name, kind, number, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_at(folder, given, path)) return real arguments; \
        int h = hit(kind, path, NULL, number); \
        if (FAILS(h)) REFUSE; \
        int result = real arguments; \
        after(h); \
        return result; \
    }
#define folder AT_FDCWD
ON_PATH(unlink, "unlink", 0, (const char *given), (given))
ON_PATH(rmdir, "unlink", AT_REMOVEDIR, (const char *given), (given))
ON_PATH(mkdir, "mkdir", bits, (const char *given, mode_t bits), (given, bits))
ON_PATH(chmod, "chmod", bits, (const char *given, mode_t bits), (given, bits))
#undef folder
ON_PATH(unlinkat, "unlink", flags, (int folder, const char *given, int flags),
        (folder, given, flags))
ON_PATH(mkdirat, "mkdir", bits, (int folder, const char *given, mode_t bits),
        (folder, given, bits))
ON_PATH(fchmodat, "chmod", bits, (int folder, const char *given, mode_t bits, int flags),
        (folder, given, bits, flags))

#define RENAMES(name, flags, parameters, arguments) \
    int name parameters { \
        REAL(name); \
        char one[PATH_MAX], two[PATH_MAX]; \
        int ours = path_at(old, from, one); \
        if (!(path_at(new, to, two) | ours)) return real arguments; \
        int h = hit("rename", one, two, flags); \
        if (FAILS(h)) REFUSE; \
        int result = real arguments; \
        after(h); \
        return result; \
    }
RENAMES(renameat, 0, (int old, const char *from, int new, const char *to), (old, from, new, to))
RENAMES(renameat2, flags, (int old, const char *from, int new, const char *to, unsigned flags),
        (old, from, new, to, flags))
#define old AT_FDCWD
#define new AT_FDCWD
RENAMES(rename, 0, (const char *from, const char *to), (from, to))
#undef old
#undef new

#define OPENS(name, known, parameters, ...) \
    int name parameters { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        int bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        char path[PATH_MAX]; \
        int writes = flags & (O_CREAT | O_WRONLY | O_RDWR); \
        if (!writes || !path_at(known, given, path)) return real(__VA_ARGS__, flags, bits); \
        int h = hit("open", path, NULL, flags); \
        if (FAILS(h)) REFUSE; \
        int result = real(__VA_ARGS__, flags, bits); \
        after(h); \
        return result; \
    }
OPENS(open, AT_FDCWD, (const char *given, int flags, ...), given)
OPENS(open64, AT_FDCWD, (const char *given, int flags, ...), given)
OPENS(openat, folder, (int folder, const char *given, int flags, ...), folder, given)
OPENS(openat64, folder, (int folder, const char *given, int flags, ...), folder, given)
