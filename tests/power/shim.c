/* Preloaded into the program under test: notary and saboteur of everything below SHIM_DIR.
 *
 * Each change, each sync and each directory operation is written into SHIM_JOURNAL, in one order: a record, its
 * path, a second path, its data. The first words of SHIM_CONTROL say which call is to fail, and how.
 * It sees what goes through libc; the test compares journal and directory, so that nothing can pass it by. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    CREATED = 'c',     /* path, mode */
    DIRECTORY = 'd',   /* path, mode */
    RENAMED = 'r',     /* path, second path */
    REMOVED = 'x',     /* path: a file or a directory */
    WRITTEN = 'w',     /* path, offset, data */
    LENGTH = 'l',      /* path, length */
    SYNC_BEGUN = 'b',  /* path, ticket */
    SYNC_DONE = 's',   /* path, ticket */
    SYNC_FAILED = 'f', /* path, ticket */
    RANGE = 'g',       /* never noted: sync_file_range makes nothing durable */
};

struct record {
    uint32_t kind, path, second, data;
    uint64_t number;
};

enum fault { SHORT = 1000, HANG };

struct control {
    uint32_t countdown; /* counted down by the calls; the one that reaches 0 meets the fault */
    uint32_t fault;     /* an errno, or one of enum fault */
    uint32_t only;      /* the kind of calls that count; 0: all */
    uint32_t lasting;   /* whether all later ones fail as well */
    uint32_t hit;       /* the kind of the call that met it */
    uint32_t delay_ms;  /* of each fsync and fdatasync */
    uint64_t bad_block; /* its end in files named db: whoever reads across this place gets an error; 0: none */
};

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static struct control nothing, *control = &nothing;
static const char *watched;
static int journal = -1;
static uint64_t tickets;
/* After a failed sync the system tells every other descriptor of that file as well, once. */
static char stained[PATH_MAX];
static int stained_by;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIM_JOURNAL"), *steering = getenv("SHIM_CONTROL");
    watched = getenv("SHIM_DIR");
    if (!watched || !path || !steering) abort();
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int fd = syscall(SYS_openat, AT_FDCWD, steering, O_RDWR | O_CLOEXEC);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (journal < 0 || control == MAP_FAILED) abort();
    close(fd);
    /* More than one process may write into one journal. */
    tickets = (uint64_t)getpid() << 32;
}

static int is_watched(const char *path) {
    size_t length = strlen(watched);
    return strncmp(path, watched, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* The path of an open file as it is now; no table of descriptors is needed. */
static int path_of(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_watched(path);
}

static int path_at(int directory, const char *name, char *path) {
    size_t length = 0;
    path[0] = 0;
    if (name[0] != '/' && directory != AT_FDCWD) {
        path_of(directory, path);
        length = strlen(path);
        path[length++] = '/';
    }
    snprintf(path + length, PATH_MAX - length, "%s", name);
    return is_watched(path);
}

static void note(enum kind kind, const char *path, const char *second, uint64_t number, const struct iovec *data,
                 int parts, size_t bytes) {
    struct record record = {kind, strlen(path), strlen(second), bytes, number};
    struct iovec all[3 + 64] = {{&record, sizeof record}, {(void *)path, record.path}, {(void *)second, record.second}};
    int used = 3;
    for (int at = 0; at < parts && bytes > 0; at++, used++) {
        all[used] = data[at];
        if (all[used].iov_len > bytes) all[used].iov_len = bytes;
        bytes -= all[used].iov_len;
    }
    if (syscall(SYS_writev, journal, all, used) < 0) abort();
}

/* Whether this call meets the fault. SHORT is only for writes, the others are for all. */
static int meets_fault(enum kind kind) {
    uint32_t only = __atomic_load_n(&control->only, __ATOMIC_SEQ_CST);
    if (only && only != kind) return 0;
    if (control->fault == SHORT && kind != WRITTEN) return 0;
    uint32_t left = __atomic_load_n(&control->countdown, __ATOMIC_SEQ_CST);
    do {
        if (left == 0) return control->hit && control->lasting ? (int)control->fault : 0;
    } while (!__atomic_compare_exchange_n(&control->countdown, &left, left - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (left > 1) return 0;
    control->hit = kind;
    while (control->fault == HANG) pause();
    return control->fault;
}

/* A directory operation under the lock: `call` is done and noted unless it meets the fault. */
#define OPERATION(kind, path, second, number, call)                \
    ({                                                             \
        int fault_ = meets_fault(kind), result_ = -1;              \
        pthread_mutex_lock(&order);                                \
        if (fault_) {                                              \
            errno = fault_;                                        \
        } else if ((result_ = call) >= 0) {                        \
            note(kind, path, second, number, NULL, 0, 0);          \
        }                                                          \
        pthread_mutex_unlock(&order);                              \
        result_;                                                   \
    })

static ssize_t wrote(int fd, const struct iovec *data, int parts, off64_t offset, int is_positioned) {
    char path[PATH_MAX];
    int is_ours = path_of(fd, path), fault = is_ours ? meets_fault(WRITTEN) : 0;
    struct iovec half;
    ssize_t done = -1;
    if (fault == SHORT) {
        half = (struct iovec){data[0].iov_base, (data[0].iov_len + 1) / 2};
        data = &half, parts = 1;
    } else if (fault) {
        errno = fault;
        return -1;
    }
    if (parts > 64) parts = 64; /* a short write, as is everyone's right */
    if (is_ours) pthread_mutex_lock(&order);
    done = is_positioned ? syscall(SYS_pwritev, fd, data, parts, offset, 0) : syscall(SYS_writev, fd, data, parts);
    if (is_ours) {
        if (!is_positioned) offset = lseek(fd, 0, SEEK_CUR) - done;
        if (done > 0) note(WRITTEN, path, "", offset, data, parts, done);
        pthread_mutex_unlock(&order);
    }
    return done;
}

ssize_t write(int fd, const void *data, size_t bytes) {
    struct iovec one = {(void *)data, bytes};
    return wrote(fd, &one, 1, 0, 0);
}
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
    struct iovec one = {(void *)data, bytes};
    return wrote(fd, &one, 1, offset, 1);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return pwrite64(fd, data, bytes, offset); }
ssize_t writev(int fd, const struct iovec *data, int parts) { return wrote(fd, data, parts, 0, 0); }
ssize_t pwritev64(int fd, const struct iovec *data, int parts, off64_t offset) {
    return wrote(fd, data, parts, offset, 1);
}
ssize_t pwritev(int fd, const struct iovec *data, int parts, off_t offset) { return wrote(fd, data, parts, offset, 1); }

static ssize_t read_at(int fd, void *data, size_t bytes, off64_t offset, int is_positioned) {
    char path[PATH_MAX];
    uint64_t bad = control->bad_block;
    if (bad && path_of(fd, path) && strcmp(strrchr(path, '/'), "/db") == 0) {
        uint64_t from = is_positioned ? offset : lseek(fd, 0, SEEK_CUR);
        if (from < bad && bad <= from + bytes) {
            control->hit = 'p';
            errno = EIO;
            return -1;
        }
    }
    return is_positioned ? syscall(SYS_pread64, fd, data, bytes, offset) : syscall(SYS_read, fd, data, bytes);
}
ssize_t read(int fd, void *data, size_t bytes) { return read_at(fd, data, bytes, 0, 0); }
ssize_t pread64(int fd, void *data, size_t bytes, off64_t offset) { return read_at(fd, data, bytes, offset, 1); }
ssize_t pread(int fd, void *data, size_t bytes, off_t offset) { return read_at(fd, data, bytes, offset, 1); }

/* Copies inside the kernel have no bytes to note: whoever asks falls back to reading and writing. */
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t bytes, unsigned flags) {
    char path[PATH_MAX];
    if (!path_of(to, path)) return syscall(SYS_copy_file_range, from, a, to, b, bytes, flags);
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
    char path[PATH_MAX];
    if (!path_of(to, path)) return syscall(SYS_sendfile, to, from, offset, bytes);
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile(int to, int from, off_t *offset, size_t bytes) { return sendfile64(to, from, offset, bytes); }

static int opened(int directory, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC)) || !path_at(directory, name, path))
        return syscall(SYS_openat, directory, name, flags, mode);
    int is_there = syscall(SYS_faccessat, directory, name, F_OK) == 0;
    if (!is_there && flags & O_CREAT)
        return OPERATION(CREATED, path, "", mode, syscall(SYS_openat, directory, name, flags, mode));
    if (is_there && flags & O_TRUNC && !(flags & O_EXCL))
        return OPERATION(LENGTH, path, "", 0, syscall(SYS_openat, directory, name, flags, mode));
    return syscall(SYS_openat, directory, name, flags, mode);
}

#define MODE(flags)                       \
    mode_t mode = 0;                      \
    if ((flags) & O_CREAT) {              \
        va_list rest;                     \
        va_start(rest, flags);            \
        mode = va_arg(rest, unsigned);    \
        va_end(rest);                     \
    }

int open(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode);
}
int openat(int directory, const char *name, int flags, ...) {
    MODE(flags)
    return opened(directory, name, flags, mode);
}
int openat64(int directory, const char *name, int flags, ...) {
    MODE(flags)
    return opened(directory, name, flags, mode);
}
int creat(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return syscall(SYS_ftruncate, fd, length);
    return OPERATION(LENGTH, path, "", length, syscall(SYS_ftruncate, fd, length));
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* Only its effect on the length is noted: below a length there is nothing to be seen of it. */
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
    char path[PATH_MAX];
    struct stat64 before;
    if (!path_of(fd, path) || fstat64(fd, &before) || mode || offset + bytes <= before.st_size)
        return syscall(SYS_fallocate, fd, mode, offset, bytes);
    return OPERATION(LENGTH, path, "", offset + bytes, syscall(SYS_fallocate, fd, mode, offset, bytes));
}
int fallocate(int fd, int mode, off_t offset, off_t bytes) { return fallocate64(fd, mode, offset, bytes); }
int posix_fallocate64(int fd, off64_t offset, off64_t bytes) { return fallocate64(fd, 0, offset, bytes) ? errno : 0; }
int posix_fallocate(int fd, off_t offset, off_t bytes) { return posix_fallocate64(fd, offset, bytes); }

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    char path[PATH_MAX], second[PATH_MAX];
    int is_ours = path_at(from_directory, from, path) | path_at(to_directory, to, second);
    if (!is_ours) return syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
    return OPERATION(RENAMED, path, second, flags,
                     syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renameat2(a, from, b, to, 0); }

int unlinkat(int directory, const char *name, int flags) {
    char path[PATH_MAX];
    if (!path_at(directory, name, path)) return syscall(SYS_unlinkat, directory, name, flags);
    /* What is not there is nobody's operation: the program often asks to be sure. */
    if (syscall(SYS_faccessat, directory, name, F_OK)) return syscall(SYS_unlinkat, directory, name, flags);
    return OPERATION(REMOVED, path, "", 0, syscall(SYS_unlinkat, directory, name, flags));
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int directory, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!path_at(directory, name, path)) return syscall(SYS_mkdirat, directory, name, mode);
    return OPERATION(DIRECTORY, path, "", mode, syscall(SYS_mkdirat, directory, name, mode));
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* Begun and done are noted apart: what others write in between is not promised by it. */
static int synced(int fd, long call) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return syscall(call, fd);
    struct timespec pause_for = {control->delay_ms / 1000, control->delay_ms % 1000 * 1000000L};
    pthread_mutex_lock(&order);
    uint64_t ticket = ++tickets;
    note(SYNC_BEGUN, path, "", ticket, NULL, 0, 0);
    pthread_mutex_unlock(&order);
    int fault = meets_fault(SYNC_DONE), result = -1;
    pthread_mutex_lock(&order);
    if (fault)
        strcpy(stained, path), stained_by = fd;
    else if (fd != stained_by && strcmp(stained, path) == 0)
        fault = EIO, stained[0] = 0;
    pthread_mutex_unlock(&order);
    if (pause_for.tv_sec || pause_for.tv_nsec) nanosleep(&pause_for, NULL);
    if (fault)
        errno = fault;
    else
        result = syscall(call, fd);
    int error = errno;
    pthread_mutex_lock(&order);
    note(result ? SYNC_FAILED : SYNC_DONE, path, "", ticket, NULL, 0, 0);
    pthread_mutex_unlock(&order);
    errno = error;
    return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
    char path[PATH_MAX];
    int fault = path_of(fd, path) ? meets_fault(RANGE) : 0;
    if (!fault) return syscall(SYS_sync_file_range, fd, offset, bytes, flags);
    errno = fault;
    return -1;
}
