// Reads its clocks again and again by the C library and by system calls, while signals come and calls are
// interrupted: exits with 0 when the library's REALTIME has been OFFSET seconds ahead for a while, else with
// the number of what is wrong. ALARM_US is how often signals come, zero for never. Sources: clock_gettime(2), nanosleep(2), poll(2), signal(7).

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL

static volatile sig_atomic_t alarms;

static void on_alarm(int signal) {
    (void)signal;
    alarms++;
}

static int64_t by_call(clockid_t id) {
    struct timespec now;
    syscall(SYS_clock_gettime, id, &now);
    return now.tv_sec * NS + now.tv_nsec;
}

static int64_t by_library(int function) {
    if (function == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return now.tv_sec * NS + now.tv_nsec;
    }
    struct timeval now;
    gettimeofday(&now, NULL);
    return now.tv_sec * NS + now.tv_usec * 1000LL;
}

// Keeps values in registers, of both kinds.
static int computes(uint64_t rounds) {
    uint64_t a = 1, b = 2, c = 3, d = 4;
    double sum = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        a += b ^ i, b += c, c ^= d + i, d += a;
        sum += (double)i;
    }
    static uint64_t first;
    uint64_t result = a ^ b ^ c ^ d;
    if (first == 0)
        first = result;
    return result == first && sum == (double)(rounds * (rounds - 1) / 2);
}

static void sleeps(void) {
    const struct timespec wanted = {0, 300000};
    struct timespec rest = {0, 0};
    int before = alarms;
    int64_t start = by_call(CLOCK_MONOTONIC);
    int result = nanosleep(&wanted, &rest);
    int64_t slept = by_call(CLOCK_MONOTONIC) - start;
    if (result == 0 && slept < wanted.tv_nsec)
        _exit(10);
    if (result != 0 && (errno != EINTR || alarms == before))
        _exit(11);
    // The kernel counts to the end of the timer's slack, 50 us.
    if (result != 0 && (rest.tv_nsec > wanted.tv_nsec + 50000 || rest.tv_sec != 0))
        _exit(12);
}

static void waits(struct pollfd *nothing) {
    int before = alarms;
    int64_t start = by_call(CLOCK_MONOTONIC);
    int result = poll(nothing, 1, 1);
    int64_t waited = by_call(CLOCK_MONOTONIC) - start;
    if (result == 0 && waited < 1000000)
        _exit(20);
    if (result > 0 || (result < 0 && (errno != EINTR || alarms == before)))
        _exit(21);
}

int main(void) {
    const int64_t shift = OFFSET * NS;
    int pipes[2];
    if (pipe(pipes) != 0)
        return 1;
    struct pollfd nothing = {pipes[0], POLLIN, 0};
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval every = {{0, ALARM_US}, {0, ALARM_US}};
    setitimer(ITIMER_REAL, &every, NULL);
    int moved = 0;
    int64_t end = by_call(CLOCK_MONOTONIC) + 10 * NS;
    for (int i = 0; moved < 100; i++) {
        int64_t before = by_call(CLOCK_REALTIME) / 1000 * 1000;
        int64_t now = by_library(i % 2);
        int64_t after = by_call(CLOCK_REALTIME);
        if (before <= now && now <= after) {
            if (moved > 0)
                return 2;
        } else if (before + shift <= now && now <= after + shift) {
            moved++;
        } else {
            return 3;
        }
        if (!computes(1000))
            return 4;
        if (i % 16 == 3)
            sleeps();
        if (i % 16 == 11)
            waits(&nothing);
        if (by_call(CLOCK_MONOTONIC) > end)
            return 5;
    }
    return (alarms > 0) == (ALARM_US > 0) ? 0 : 6;
}
