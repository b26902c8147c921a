// Reads clocks by system calls of its own, each between two reads through the C library:
//   direct clocks    every clock; prints NAME LIBRARY DIRECT LIBRARY, in nanoseconds
//   direct uptime    sysinfo(2) and times(2), and BOOTTIME and MONOTONIC by the library, in seconds
//   direct bad       what calls give that the kernel refuses
//   direct kernel    the same call by an instruction within the kernel's own vDSO: prints by how many seconds it differs from
//                    the library's REALTIME
//   direct old       gettimeofday and time as programs of old call them, at fixed addresses: prints by how many seconds they
//                    differ from the library's
//   direct speed N   N calls; prints the nanoseconds that each took on the host's MONOTONIC
// Source: syscall(2), proc_pid_maps(5).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "host_clock.h"

#if defined __i386__ && defined _TIME_BITS
// The call with times of 64 bits.
#undef SYS_clock_gettime
#define SYS_clock_gettime SYS_clock_gettime64
#endif

static long long ns(struct timespec time) {
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long library(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return ns(time);
}

static void clocks(void) {
    static const struct { const char *name; clockid_t id; } all[] = {
        {"REALTIME", CLOCK_REALTIME}, {"MONOTONIC", CLOCK_MONOTONIC},
        {"MONOTONIC_RAW", CLOCK_MONOTONIC_RAW}, {"BOOTTIME", CLOCK_BOOTTIME}, {"TAI", CLOCK_TAI},
        {"REALTIME_COARSE", CLOCK_REALTIME_COARSE}, {"MONOTONIC_COARSE", CLOCK_MONOTONIC_COARSE},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        struct timespec time;
        long long before = library(all[i].id);
        long result = syscall(SYS_clock_gettime, all[i].id, &time);
        long long after = library(all[i].id);
        if (result == 0)
            printf("%s %lld %lld %lld\n", all[i].name, before, ns(time), after);
    }
    struct timeval before, after;
    struct { long tv_sec, tv_usec; } of_day;
    gettimeofday(&before, NULL);
    syscall(SYS_gettimeofday, &of_day, NULL);
    gettimeofday(&after, NULL);
    long long us = 1000;
    printf("GETTIMEOFDAY %lld %lld %lld\n", (before.tv_sec * 1000000LL + before.tv_usec) * us,
           (of_day.tv_sec * 1000000LL + of_day.tv_usec) * us, (after.tv_sec * 1000000LL + after.tv_usec) * us);
    long written;
    time_t seconds[3] = {time(NULL), syscall(SYS_time, &written), time(NULL)};
    if (written == seconds[1])
        printf("TIME %lld %lld %lld\n", seconds[0] * 1000000000LL, seconds[1] * 1000000000LL, seconds[2] * 1000000000LL);
}

static void uptime(void) {
    struct sysinfo info;
    struct tms used;
    long long before = library(CLOCK_BOOTTIME);
    sysinfo(&info);
    long long after = library(CLOCK_BOOTTIME);
    printf("UPTIME %d\n", info.uptime * 1000000000LL >= before && info.uptime * 1000000000LL < after + 1000000000LL);
    before = library(CLOCK_MONOTONIC);
    // They wrap in 32 bits.
    unsigned long ticks = syscall(SYS_times, &used), first = before / 10000000;
    unsigned long last = library(CLOCK_MONOTONIC) / 10000000;
    printf("TIMES %d\n", ticks - first <= last - first);
}

static void give(long result) {
    printf("%ld/%d ", result, result < 0 ? errno : 0);
}

static void bad(void) {
    give(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8));
    give(syscall(SYS_clock_gettime, 77, &(struct timespec){0}));
    give(syscall(SYS_clock_gettime, -1, &(struct timespec){0}));
    give(syscall(SYS_gettimeofday, 8, NULL));
    give(syscall(SYS_gettimeofday, NULL, 8));
    give(syscall(SYS_gettimeofday, NULL, NULL));
    give(syscall(SYS_time, 8));
    give(syscall(SYS_times, 8));
    give(syscall(SYS_sysinfo, 8));
    printf("\n");
}

#ifdef __i386__
// Writes two ways to make a call to the last bytes of the kernel's vDSO, in this process's copy, and calls them: by an instruction
// there, and by the function that programs make theirs by.
static int kernel(void) {
    unsigned long start = 0, end = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "[vdso]") != NULL)
            sscanf(line, "%lx-%lx", &start, &end);
    // int 0x80; ret; call *%esi; ret
    static const unsigned char code[] = {0xcd, 0x80, 0xc3, 0xff, 0xd6, 0xc3};
    int memory = open("/proc/self/mem", O_RDWR);
    if (end == 0 || pwrite64(memory, code, sizeof code, (off64_t)(end - 8)) != sizeof code)
        return 77;
    for (int i = 0; i < 2; i++) {
        struct timespec time;
        long result = SYS_clock_gettime;
        __asm__ volatile("call *%[function]"
                         : "+a"(result)
                         : [function] "D"(end - 8 + 3 * i), "b"(CLOCK_REALTIME), "c"(&time), "d"(0), "S"(getauxval(AT_SYSINFO))
                         : "memory");
        if (result != 0)
            return 1;
        printf("AHEAD %lld\n", (library(CLOCK_REALTIME) - ns(time)) / 1000000000);
    }
    return 0;
}
static int old(void) { return 77; }
#elif defined __x86_64__
// Writes `syscall; ret` to the last bytes of the kernel's vDSO, in this process's copy, and calls it.
static int kernel(void) {
    unsigned long start = 0, end = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "[vdso]") != NULL)
            sscanf(line, "%lx-%lx", &start, &end);
    static const unsigned char code[] = {0x0f, 0x05, 0xc3};
    int memory = open("/proc/self/mem", O_RDWR);
    if (end == 0 || pwrite64(memory, code, sizeof code, (off64_t)(end - 8)) != sizeof code)
        return 77;
    struct timespec time;
    long result = SYS_clock_gettime;
    __asm__ volatile("call *%[function]"
                     : "+a"(result)
                     : [function] "r"(end - 8), "D"((long)CLOCK_REALTIME), "S"(&time), "d"(0L)
                     : "rcx", "r11", "memory");
    printf("AHEAD %lld\n", (library(CLOCK_REALTIME) - ns(time)) / 1000000000);
    return result != 0;
}

static int old(void) {
    char line[512];
    int is_there = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL)
        is_there |= strstr(line, "[vsyscall]") != NULL;
    if (!is_there)
        return 77;
    int (*of_day)(struct timeval *, void *) = (int (*)(struct timeval *, void *))0xffffffffff600000UL;
    time_t (*seconds)(time_t *) = (time_t(*)(time_t *))0xffffffffff600400UL;
    struct timeval time = {0, 0};
    time_t written = 0;
    int result = of_day(&time, NULL);
    time_t given = seconds(&written);
    // In the same second, or the one before.
    long long now = library(CLOCK_REALTIME) / 1000000000;
    printf("OLD %d %lld %lld %lld\n", result, (now - time.tv_sec) / 2, (now - given) / 2, (now - written) / 2);
    return 0;
}
#else
static int kernel(void) { return 77; }
static int old(void) { return 77; }
#endif

static void speed(long count) {
    struct timespec began, ended, time;
    unsigned long mark = host_clock_mark();
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &began, mark);
    for (long i = 0; i < count; i++)
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &time);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ended, mark);
    printf("NS %lld\n", (ns(ended) - ns(began)) / count);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "clocks") == 0)
        clocks();
    else if (strcmp(mode, "uptime") == 0)
        uptime();
    else if (strcmp(mode, "bad") == 0)
        bad();
    else if (strcmp(mode, "kernel") == 0)
        return kernel();
    else if (strcmp(mode, "old") == 0)
        return old();
    else if (strcmp(mode, "speed") == 0)
        speed(atol(argv[2]));
    else
        return 2;
    return 0;
}
