// Calls the legacy vsyscall page as programs of old do.
//   vsyscall calls    gettimeofday, time and getcpu; prints by how many seconds the first two differ from the C library's
//                     REALTIME, and whether results are what the functions return
//   vsyscall kept     the same through pointers that are kept in memory
//   vsyscall none ..  the same, and the kernel ends this process (SIGSYS) at any call that comes from the page, as
//                     one with vsyscall=none does (SIGSEGV)
//   vsyscall fork     the same in a child, by a thread
//   vsyscall speed N  N calls of time; prints the nanoseconds that each took on the host's MONOTONIC
// Source: seccomp(2), vdso(7).

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host_clock.h"
#include "vsyscall.h"

// Ends this process where the upper half of a call's address is that of the page's.
static void forbid(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        exit(77);
}

// In the same second, or the one before.
static long long behind(long long seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - seconds) / 2;
}

static void print(long result, struct timeval of_day, long given, long written, long got, unsigned cpu) {
    printf("OLD %ld %lld %lld %d %ld %d\n", result, behind(of_day.tv_sec), behind(given), given == written, got,
           cpu < 4096);
    fflush(stdout);
}

static void calls(void) {
    struct timeval of_day = {0, 0};
    long written = 0;
    unsigned cpu = -1, node;
    long result = page_gettimeofday(&of_day, NULL);
    long given = page_time(&written);
    long got = page_getcpu(&cpu, &node, NULL);
    print(result, of_day, given, written, got, cpu);
}

// By way of a register, whatever the compiler knows of it, and of memory.
#define KEPT(type, name, addr)                                                                      \
    long (*name##_addr) type = (long (*) type)addr;                                                 \
    __asm__("" : "+r"(name##_addr));                                                                \
    long (*volatile name) type = name##_addr

static void kept(void) {
    KEPT((struct timeval *, void *), of_day, 0xffffffffff600000UL);
    KEPT((long *), seconds, 0xffffffffff600400UL);
    KEPT((unsigned *, unsigned *, void *), processor, 0xffffffffff600800UL);
    struct timeval time = {0, 0};
    long written = 0;
    unsigned cpu = -1, node;
    long result = of_day(&time, NULL);
    long given = seconds(&written);
    long got = processor(&cpu, &node, NULL);
    print(result, time, given, written, got, cpu);
}

static void *thread(void *unused) {
    calls();
    return unused;
}

static int in_child(void) {
    pid_t child = fork();
    if (child == 0) {
        pthread_t id;
        pthread_create(&id, NULL, thread, NULL);
        pthread_join(id, NULL);
        exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status != 0;
}

static void speed(long count) {
    struct timespec began, ended;
    unsigned long mark = host_clock_mark();
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &began, mark);
    for (long i = 0; i < count; i++) {
        // Whatever is left there must not pass for the mark.
        __asm__ volatile("" : : "S"(0), "d"(0));
        page_time(NULL);
    }
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ended, mark);
    long long ns = (ended.tv_sec - began.tv_sec) * 1000000000LL + ended.tv_nsec - began.tv_nsec;
    printf("NS %lld\n", ns / count);
}

int main(int argc, char **argv) {
    argv++;
    if (argc > 2 && strcmp(*argv, "none") == 0) {
        forbid();
        argv++;
    }
    const char *mode = argc > 1 ? *argv : "";
    if (strcmp(mode, "calls") == 0)
        calls();
    else if (strcmp(mode, "kept") == 0)
        kept();
    else if (strcmp(mode, "fork") == 0)
        return in_child();
    else if (strcmp(mode, "speed") == 0)
        speed(atol(argv[1]));
    else
        return 2;
    return 0;
}
