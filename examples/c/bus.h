/* Where a topic lies, what time it is, and how to give up. ../../docs/bus.md says why it is so. */
#ifndef BUS_H
#define BUS_H

#include <stdint.h>

enum {
    LARGEST = 1 << 20,         /* bytes of one message without arrays, and of one command */
    LARGEST_ARRAYS = 64 << 20, /* bytes of one message that carries arrays */
    QUEUE = 64,                /* messages that wait for a slow reader */
    LONGEST_PATH = 107,        /* bytes that a Unix socket's address holds, less its closing zero */
};

/* Prints "what: why" and exits with 1. */
_Noreturn void fail(const char *what, const char *why);

/* Fails with nng's reason unless an nng call gave 0. */
void need(int result, const char *what);

/* Writes RUN/<graph>/<name>; fails where no such graph runs, others could enter, or the path is too long. */
void find_path(char path[static LONGEST_PATH + 1], const char *graph, const char *name);

/* Graph time in nanoseconds: the wall clock when this program began, and the monotonic clock since. */
uint64_t graph_time(void);

/* A whole number up to `most` from an argument, or failure with its name. */
unsigned long number(const char *text, const char *name, unsigned long most);

#endif
