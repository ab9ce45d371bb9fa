/* Loaded before the C library, so that one process has a wall clock that is wrong. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    const char *by = getenv("WRONG_BY_SECONDS");
    if (failed == 0 && clock == CLOCK_REALTIME && by != NULL) now->tv_sec += atol(by);
    return (int)failed;
}
