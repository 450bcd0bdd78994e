#include "bus.h"

#include <errno.h>
#include <nng/nng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

void need(int result, const char *what) {
    if (result != 0) fail(what, nng_strerror(result));
}

static void need_private(const char *path) {
    struct stat seen;
    if (lstat(path, &seen) != 0) fail(path, errno == ENOENT ? "no graph of this name runs" : strerror(errno));
    if (!S_ISDIR(seen.st_mode) || seen.st_uid != getuid() || (seen.st_mode & 077))
        fail(path, "not a directory that only you can enter");
}

static int find_run(char *path, size_t size) {
    const char *named = getenv("ZULUKO_RUN"), *session = getenv("XDG_RUNTIME_DIR");
    if (named && *named) return snprintf(path, size, "%s", named);
    if (session && *session) return snprintf(path, size, "%s/zuluko", session);
    if (getuid() == 0) return snprintf(path, size, "/run/zuluko");
    return snprintf(path, size, "/tmp/zuluko-%lu", (unsigned long)getuid());
}

static void need_name(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    if (!*name || name[strspn(name, letters)] || !memchr(letters, *name, 52))
        fail(name, "no name of a graph or a topic: letters, digits, -, _ and dots, a letter first");
}

void find_path(char path[static LONGEST_PATH + 1], const char *graph, const char *name) {
    char run[LONGEST_PATH + 1], folder[LONGEST_PATH + 1];
    need_name(graph);
    need_name(name);
    int length = find_run(run, sizeof run);
    if (length < 0 || length > LONGEST_PATH) fail("the runtime directory", "its path is too long");
    need_private(run);
    length = snprintf(folder, sizeof folder, "%s/%s", run, graph);
    if (length < 0 || length > LONGEST_PATH) fail(graph, "the path to it is too long");
    need_private(folder);
    length = snprintf(path, LONGEST_PATH + 1, "%s/%s", folder, name);
    if (length < 0 || length > LONGEST_PATH) fail(name, "the path to it is longer than a socket's address");
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) fail("the clock", strerror(errno));
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t graph_time(void) {
    static int64_t offset;
    if (!offset) offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
    return (uint64_t)(clock_ns(CLOCK_MONOTONIC) + offset);
}

unsigned long number(const char *text, const char *name, unsigned long most) {
    char *end;
    errno = 0;
    unsigned long found = strtoul(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || found > most) fail(name, "a whole number, and not so large");
    return found;
}
