/* Records what a process does to the files of one folder, in the order in which it does it.
 *
 * Test support only: `tests/it/power` compiles this with `cc` and loads it into a child process with LD_PRELOAD. It is
 * no part of any crate or program; the product has no C of its own and forbids `unsafe`.
 *
 * FASTLEAD_POWER_FOLDER: the folder. FASTLEAD_POWER_TRACE: the file into which is recorded, elsewhere.
 * A record: kind (1 byte), file (4), offset (8), length (4), then so many bytes; numbers are little-endian.
 * One lock is held around each call and its record, so that the order in the trace is the order of the calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    CREATED = 1, FOUND = 2, WRITTEN = 3, TRUNCATED = 4, FLUSHED = 5, UNLINKED = 6, RENAMED = 7, FOLDER_FLUSHED = 8,
    MARK = 9, NOT_UNDERSTOOD = 10,
};

#define FDS 65536
#define NAMES 4096
#define FOLDER_ID 0xfffffffeu
#define MARKS_ID 0xffffffffu

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_length;
static int trace = -1;
static uint32_t ids[FDS];              /* of open descriptors; 0: not ours */
static struct { char *name; uint32_t id; } names[NAMES];
static uint32_t next_id = 1;

static void record(uint8_t kind, uint32_t file, uint64_t offset, const void *data, uint32_t length) {
    uint8_t head[17];
    head[0] = kind;
    memcpy(head + 1, &file, 4);
    memcpy(head + 5, &offset, 8);
    memcpy(head + 13, &length, 4);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)data, length}};
    /* Past our own wrappers. A trace that cannot be written is worth nothing. */
    if (syscall(SYS_writev, trace, parts, length ? 2 : 1) != (long)(sizeof head + length)) abort();
}

__attribute__((constructor)) static void start(void) {
    folder = getenv("FASTLEAD_POWER_FOLDER");
    const char *path = getenv("FASTLEAD_POWER_TRACE");
    if (!folder || !path) { folder = NULL; return; }
    folder_length = strlen(folder);
    trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) abort();
}

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}
#define REAL(name) static __typeof__(&name) call; if (!call) call = (__typeof__(&name))real(#name)

/* The name of a file in the folder; NULL for others. Shared memory is made anew after a crash and is not recorded. */
static const char *inside(const char *path) {
    if (!folder || strncmp(path, folder, folder_length) != 0 || path[folder_length] != '/') return NULL;
    const char *name = path + folder_length + 1;
    size_t length = strlen(name);
    if (!*name || strchr(name, '/') || (length > 4 && strcmp(name + length - 4, "-shm") == 0)) return NULL;
    return name;
}

static int is_folder(const char *path) {
    return folder && strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == 0 || strcmp(path + folder_length, "/") == 0);
}

static int slot(const char *name) {
    for (int i = 0; i < NAMES && names[i].name; i++)
        if (strcmp(names[i].name, name) == 0) return i;
    return -1;
}

static void forget(const char *name) {
    int i = slot(name);
    if (i >= 0) names[i].id = 0;
}

static uint32_t known(const char *name, int existed) {
    int i = slot(name);
    if (i >= 0 && names[i].id && existed) return names[i].id;
    if (i < 0) {
        for (i = 0; i < NAMES && names[i].name; i++) {}
        if (i == NAMES || !(names[i].name = strdup(name))) abort();
    }
    names[i].id = next_id++;
    record(existed ? FOUND : CREATED, names[i].id, 0, name, strlen(name));
    return names[i].id;
}

static void opened(const char *path, int flags, int existed, int fd) {
    if (fd < 0 || fd >= FDS) return;
    ids[fd] = 0;
    if (is_folder(path)) { ids[fd] = FOLDER_ID; return; }
    const char *name = inside(path);
    if (!name) return;
    if (strcmp(name, "marks") == 0) { ids[fd] = MARKS_ID; return; }
    ids[fd] = known(name, existed);
    if (existed && (flags & O_TRUNC)) record(TRUNCATED, ids[fd], 0, NULL, 0);
}

static int open_at(int (*call)(int, const char *, int, ...), int at, const char *path, int flags, mode_t mode) {
    if (!folder) return call(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int existed = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
    int fd = call(at, path, flags, mode);
    int error = errno;
    opened(path, flags, existed, fd);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE(flags) mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE(flags) REAL(openat); return open_at(call, AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) REAL(openat64); return open_at(call, AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) REAL(openat); return open_at(call, at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) REAL(openat64); return open_at(call, at, path, flags, mode); }

static uint32_t id(int fd) { return folder && fd >= 0 && fd < FDS ? ids[fd] : 0; }

int close(int fd) {
    REAL(close);
    if (!id(fd)) return call(fd);
    pthread_mutex_lock(&lock);
    ids[fd] = 0;
    int result = call(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static void written(int fd, off_t offset, const void *data, ssize_t length) {
    if (length > 0) {
        if (id(fd) == MARKS_ID) record(MARK, 0, 0, data, length);
        else record(WRITTEN, id(fd), offset, data, length);
    }
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    if (!id(fd)) return call(fd, data, length);
    pthread_mutex_lock(&lock);
    int whence = fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR;
    off_t offset = lseek(fd, 0, whence);
    ssize_t done = call(fd, data, length);
    int error = errno;
    written(fd, offset, data, done);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

#define PWRITE(name, type) \
    ssize_t name(int fd, const void *data, size_t length, type offset) { \
        REAL(name); \
        if (!id(fd)) return call(fd, data, length, offset); \
        pthread_mutex_lock(&lock); \
        ssize_t done = call(fd, data, length, offset); \
        int error = errno; \
        written(fd, offset, data, done); \
        pthread_mutex_unlock(&lock); \
        errno = error; \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, type) \
    int name(int fd, type length) { \
        REAL(name); \
        if (!id(fd)) return call(fd, length); \
        pthread_mutex_lock(&lock); \
        int done = call(fd, length); \
        int error = errno; \
        if (done == 0) record(TRUNCATED, id(fd), length, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        errno = error; \
        return done; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define FLUSH(name) \
    int name(int fd) { \
        REAL(name); \
        if (!id(fd)) return call(fd); \
        pthread_mutex_lock(&lock); \
        int done = call(fd); \
        int error = errno; \
        if (done == 0) record(id(fd) == FOLDER_ID ? FOLDER_FLUSHED : FLUSHED, id(fd), 0, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        errno = error; \
        return done; \
    }
FLUSH(fsync)
FLUSH(fdatasync)

int unlink(const char *path) {
    REAL(unlink);
    const char *name = inside(path);
    if (!name) return call(path);
    pthread_mutex_lock(&lock);
    int done = call(path);
    int error = errno;
    if (done == 0) { forget(name); record(UNLINKED, 0, 0, name, strlen(name)); }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

/* What the model of the disk does not know must not pass unseen. */
static void refuse(int fd, const char *what) {
    if (id(fd)) { pthread_mutex_lock(&lock); record(NOT_UNDERSTOOD, 0, 0, what, strlen(what)); pthread_mutex_unlock(&lock); }
}
int rename(const char *from, const char *to) {
    REAL(rename);
    if (inside(from) || inside(to)) { pthread_mutex_lock(&lock); record(NOT_UNDERSTOOD, 0, 0, "rename", 6); pthread_mutex_unlock(&lock); }
    return call(from, to);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { REAL(writev); refuse(fd, "writev"); return call(fd, parts, count); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { REAL(pwritev); refuse(fd, "pwritev"); return call(fd, parts, count, offset); }
int fallocate(int fd, int mode, off_t offset, off_t length) { REAL(fallocate); refuse(fd, "fallocate"); return call(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { REAL(posix_fallocate); refuse(fd, "posix_fallocate"); return call(fd, offset, length); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    REAL(copy_file_range); refuse(out, "copy_file_range"); return call(in, from, out, to, length, flags);
}
