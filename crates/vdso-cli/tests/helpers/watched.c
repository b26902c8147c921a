// Does what it is told on its standard input, so that a debugger or a tracer that watches it knows
// what there is to see. It first prints where the vDSO's functions are, by dlsym(3).
//
//   call FUNCTION COUNT [CLOCK]   calls that function by its address
//   spin CLOCK                    reads it by clock_gettime(3) until the next line comes
//   check                         prints MONOTONIC as test-programs/clocks.c does
//
// Nothing else here calls a function of the vDSO.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host_clock.h"

static int (*vdso_clock_gettime)(clockid_t, struct timespec *);
static int (*vdso_gettimeofday)(struct timeval *, void *);
static time_t (*vdso_time)(time_t *);
static int (*vdso_clock_getres)(clockid_t, struct timespec *);
static int (*vdso_getcpu)(unsigned *, unsigned *, void *);

static void call_clock_gettime(clockid_t clock) {
    struct timespec now;
    vdso_clock_gettime(clock, &now);
}

static void call_gettimeofday(clockid_t unused) {
    (void)unused;
    struct timeval now;
    vdso_gettimeofday(&now, NULL);
}

static void call_time(clockid_t unused) {
    (void)unused;
    vdso_time(NULL);
}

static void call_clock_getres(clockid_t clock) {
    struct timespec resolution;
    vdso_clock_getres(clock, &resolution);
}

static void call_getcpu(clockid_t unused) {
    (void)unused;
    unsigned cpu, node;
    vdso_getcpu(&cpu, &node, NULL);
}

static const struct function {
    const char *name;
    void *address;
    void (*call)(clockid_t clock);
} FUNCTIONS[] = {
    {"__vdso_clock_gettime", &vdso_clock_gettime, call_clock_gettime},
    {"__vdso_gettimeofday", &vdso_gettimeofday, call_gettimeofday},
    {"__vdso_time", &vdso_time, call_time},
    {"__vdso_clock_getres", &vdso_clock_getres, call_clock_getres},
    {"__vdso_getcpu", &vdso_getcpu, call_getcpu},
};
#define FUNCTION_COUNT (sizeof FUNCTIONS / sizeof FUNCTIONS[0])

static void find_functions(void) {
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        void *address = vdso ? dlsym(vdso, FUNCTIONS[i].name) : NULL;
        if (address == NULL) {
            fprintf(stderr, "watched: there is no %s\n", FUNCTIONS[i].name);
            exit(1);
        }
        *(void **)FUNCTIONS[i].address = address;
        printf("FUNCTION %s %p\n", FUNCTIONS[i].name, address);
    }
}

static void call(const char *name, long count, clockid_t clock) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (strcmp(FUNCTIONS[i].name, name) == 0) {
            for (long n = 0; n < count; n++)
                FUNCTIONS[i].call(clock);
            printf("CALLED %s %ld\n", name, count);
        }
    }
}

// The frame that a debugger must find behind the image's.
__attribute__((noinline)) static long read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_nsec;
}

__attribute__((noinline)) static void spin(clockid_t clock) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    long reads = 0;
    do {
        reads += read_clock(clock) >= 0;
    } while (poll(&input, 1, 1) == 0);
    printf("SPUN %ld\n", reads);
}

static long long ns(struct timespec time) {
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void check(void) {
    struct timespec before, library, after;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before, host_clock_mark());
    clock_gettime(CLOCK_MONOTONIC, &library);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after, host_clock_mark());
    printf("MONOTONIC %lld %lld %lld\n", ns(before), ns(library), ns(after));
}

int main(void) {
    // Unread input must be the kernel's to tell poll(2) of.
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("PID %d\n", getpid());
    find_functions();
    printf("READY\n");
    char line[128], name[64];
    long count;
    int clock;
    while (fgets(line, sizeof line, stdin) != NULL) {
        clock = CLOCK_MONOTONIC;
        if (sscanf(line, "call %63s %ld %d", name, &count, &clock) >= 2)
            call(name, count, clock);
        else if (sscanf(line, "spin %d", &clock) == 1)
            spin(clock);
        else if (strcmp(line, "check\n") == 0)
            check();
    }
    return 0;
}
