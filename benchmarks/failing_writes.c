/* Refuses writes below one folder, as a full disk or a failing one does.

   Loaded with LD_PRELOAD by benchmarks/torture_crashes.py. FAIL_BELOW names the folder, FAIL_AFTER
   how many writing calls succeed before, FAIL_ERRNO the error, FAIL_ONCE=1 that only one call
   fails. The write that fails first writes half of its bytes, as the kernel does where space ends
   within them. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int below(const char *path) {
    const char *folder = getenv("FAIL_BELOW");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int refused(const char *path) {
    if (!below(path))
        return 0;
    long after = atol(getenv("FAIL_AFTER"));
    long number = atomic_fetch_add(&calls, 1);
    const char *once = getenv("FAIL_ONCE");
    if (number < after || (once && *once == '1' && number > after))
        return 0;
    errno = atoi(getenv("FAIL_ERRNO"));
    return number == after ? 2 : 1;
}

static int refused_fd(int fd) {
    char link[64], path[4096];
    if (!getenv("FAIL_BELOW"))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return refused(path);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    int how = refused_fd(fd);
    if (!how)
        return REAL(write)(fd, bytes, count);
    int error = errno;
    if (how == 2 && count > 1)
        return REAL(write)(fd, bytes, count / 2);
    errno = error;
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return refused_fd(fd) ? -1 : REAL(pwrite64)(fd, bytes, count, offset);
}

int fsync(int fd) { return refused_fd(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return refused_fd(fd) ? -1 : REAL(fdatasync)(fd); }
int mkdir(const char *path, mode_t mode) { return refused(path) ? -1 : REAL(mkdir)(path, mode); }
int rename(const char *from, const char *to) { return refused(to) ? -1 : REAL(rename)(from, to); }
int link(const char *from, const char *to) { return refused(to) ? -1 : REAL(link)(from, to); }

int linkat(int fromdir, const char *from, int todir, const char *to, int flags) {
    return refused(to) ? -1 : REAL(linkat)(fromdir, from, todir, to, flags);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if ((flags & O_CREAT) && refused(path))
        return -1;
    return REAL(open64)(path, flags, mode);
}
