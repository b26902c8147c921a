// Sets clocks, and waits on them while they are set:
//   sets wait CALL SECONDS     waits until SECONDS ahead on REALTIME, by CALL, while a child moves REALTIME ahead by as
//                              much; prints WAITED and the seconds that passed on MONOTONIC
//   sets back CALL             the same, but the clock is set back by 2 s at first, and the wait is for 1 s
//   sets cancel                a timerfd that is to be cancelled; prints FIRED once REALTIME was set
//   sets refused               every way to set REALTIME, and adjtime without an offset: the errno of each
//   sets invalid               times that are none
//   sets adjust                adjtimex: prints what it says before and after
//   sets slew US               adjtime by US microseconds; prints how far REALTIME has gone against MONOTONIC after 1.5 s
//   sets steps N               N times a step of one second ahead; prints by how many REALTIME has gone ahead of the host's
//   sets old                   stime, and adjtimex with times of 64 bits, in 32-bit programs: prints what both give, and the
//                              seconds that the latter says have been added by the former
//   sets zone                  settimeofday of a time zone; prints what gettimeofday says

#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host_clock.h"

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// How far REALTIME is ahead of MONOTONIC, as well as can be told.
static double distance(void) {
    double shortest = 1e9, result = 0;
    for (int i = 0; i < 200; i++) {
        double before = now(CLOCK_MONOTONIC), realtime = now(CLOCK_REALTIME), after = now(CLOCK_MONOTONIC);
        if (after - before < shortest)
            shortest = after - before, result = realtime - before;
    }
    return result;
}

static struct timespec ahead(double seconds) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    long long ns = time.tv_nsec + (long long)(seconds * 1e9);
    time.tv_sec += ns / 1000000000 - (ns % 1000000000 < 0);
    time.tv_nsec = ((ns % 1000000000) + 1000000000) % 1000000000;
    return time;
}

static void set_ahead(double seconds) {
    struct timespec time = ahead(seconds);
    if (clock_settime(CLOCK_REALTIME, &time) != 0) {
        perror("clock_settime");
        _exit(1);
    }
}

static void wait_until(const char *call, struct timespec until) {
    if (strcmp(call, "nanosleep") == 0) {
        clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
    } else if (strcmp(call, "futex") == 0) {
        uint32_t word = 0;
        syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, NULL, -1);
    } else if (strcmp(call, "mq") == 0) {
        struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 1};
        mqd_t queue = mq_open("/vdso-sets", O_RDWR | O_CREAT, 0600, &attributes);
        char byte;
        mq_unlink("/vdso-sets");
        if (queue < 0 || mq_timedreceive(queue, &byte, 1, NULL, &until) != -1 || errno != ETIMEDOUT)
            perror("mq_timedreceive");
    } else {
        struct itimerspec timer = {.it_value = until};
        int fd = timerfd_create(CLOCK_REALTIME, 0);
        timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL);
        struct pollfd input = {.fd = fd, .events = POLLIN};
        poll(&input, 1, -1);
    }
}

// Waits in this process while a child sets the clock a moment later.
static void wait_while_set(const char *call, double wait, double step) {
    struct timespec until = ahead(wait);
    double began = now(CLOCK_MONOTONIC);
    pid_t child = fork();
    if (child == 0) {
        usleep(100000);
        set_ahead(step);
        _exit(0);
    }
    wait_until(call, until);
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    int is_early = time.tv_sec < until.tv_sec || (time.tv_sec == until.tv_sec && time.tv_nsec < until.tv_nsec);
    printf("WAITED %.3f %s\n", now(CLOCK_MONOTONIC) - began, is_early ? "EARLY" : "REACHED");
    waitpid(child, NULL, 0);
}

static void cancel(void) {
    struct itimerspec timer = {.it_value = ahead(1000)};
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &timer, NULL);
    if (fork() == 0) {
        set_ahead(-7);
        _exit(0);
    }
    struct pollfd input = {.fd = fd, .events = POLLIN};
    printf("FIRED %d\n", poll(&input, 1, 10000));
    wait(NULL);
}

static void refused(void) {
    struct timespec time = ahead(100);
    struct timeval of_day = {time.tv_sec, 0};
    struct timezone zone = {60, 0};
    struct timex step = {.modes = ADJ_SETOFFSET, .time = {100, 0}};
    struct timex tick = {.modes = ADJ_TICK, .tick = 10000};
    struct timex no_offset = {.modes = ADJ_OFFSET_SINGLESHOT & ~ADJ_OFFSET};
    struct timex asks = {.modes = 0};
    errno = 0;
    printf("clock_settime %ld", syscall(SYS_clock_settime, CLOCK_REALTIME, &time));
    printf(" %d\n", errno), errno = 0;
    printf("settimeofday %ld", syscall(SYS_settimeofday, &of_day, NULL));
    printf(" %d\n", errno), errno = 0;
    printf("zone %ld", syscall(SYS_settimeofday, NULL, &zone));
    printf(" %d\n", errno), errno = 0;
    printf("adjtimex %ld", syscall(SYS_adjtimex, &step));
    printf(" %d\n", errno), errno = 0;
    printf("clock_adjtime %ld", syscall(SYS_clock_adjtime, CLOCK_REALTIME, &tick));
    printf(" %d\n", errno), errno = 0;
    printf("no_offset %ld", syscall(SYS_adjtimex, &no_offset));
    printf(" %d\n", errno), errno = 0;
    printf("asks %d", syscall(SYS_adjtimex, &asks) >= 0);
    printf(" %d\n", errno);
}

static void invalid(void) {
    struct timespec times[] = {{-1, 0}, {5, -1}, {5, 1000000000}, {1LL << 40, 0}, {1, 0}};
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
        printf("%d ", syscall(SYS_clock_settime, CLOCK_REALTIME, &times[i]) == 0 ? 0 : errno);
    struct timeval of_day = {5, 1000001};
    printf("%d ", syscall(SYS_settimeofday, &of_day, NULL) == 0 ? 0 : errno);
    struct timex tick = {.modes = ADJ_TICK, .tick = 1};
    printf("%d ", syscall(SYS_adjtimex, &tick) >= 0 ? 0 : errno);
    struct timespec time = ahead(0);
    printf("%d ", syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time) == 0 ? 0 : errno);
    printf("%d ", syscall(SYS_clock_settime, CLOCK_REALTIME, 8) == 0 ? 0 : errno);
    printf("%d ", syscall(SYS_settimeofday, 8, NULL) == 0 ? 0 : errno);
    printf("%d\n", syscall(SYS_adjtimex, 8) >= 0 ? 0 : errno);
}

static void say(const char *when, int state, const struct timex *timex) {
    // The coarse clock is behind by up to a tick, and time goes on.
    long behind = timex->time.tv_sec - time(NULL);
    printf("%s state %d status %#x freq %ld tick %ld tai %d maxerror %ld seconds %ld\n", when, state,
           timex->status, timex->freq, timex->tick, timex->tai, timex->maxerror,
           labs(behind) > 1 ? behind : 0);
}

static void adjust(void) {
    struct timex timex = {.modes = 0};
    int state = adjtimex(&timex);
    say("BEFORE", state, &timex);
    timex.modes = ADJ_FREQUENCY | ADJ_TICK | ADJ_STATUS | ADJ_MAXERROR | ADJ_TAI;
    timex.freq = 100 << 16, timex.tick = 10100, timex.status = 0, timex.maxerror = 0, timex.constant = 37;
    state = adjtimex(&timex);
    say("SET", state, &timex);
    printf("TAI %.0f\n", now(CLOCK_TAI) - now(CLOCK_REALTIME));
    double monotonic = now(CLOCK_MONOTONIC), began = distance();
    usleep(500000);
    double passed = now(CLOCK_MONOTONIC) - monotonic;
    printf("RATE %.4f\n", 1 + (distance() - began) / passed);
    struct timex step = {.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {-1000, 500000000}};
    double before = now(CLOCK_REALTIME);
    adjtimex(&step);
    printf("STEP %.1f\n", now(CLOCK_REALTIME) - before);
}

static void slew(long us) {
    struct timeval delta = {us / 1000000, us % 1000000}, left;
    double began = distance();
    adjtime(&delta, NULL);
    usleep(1500000);
    adjtime(NULL, &left);
    printf("SLEWED %.0f LEFT %ld\n", (distance() - began) * 1e6,
           left.tv_sec * 1000000L + left.tv_usec);
}

static void steps(long count) {
    struct timespec host;
    for (long i = 0; i < count; i++) {
        struct timex step = {.modes = ADJ_SETOFFSET, .time = {1, 0}};
        if (syscall(SYS_adjtimex, &step) < 0)
            perror("adjtimex"), exit(1);
    }
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &host, host_clock_mark());
    printf("AHEAD %.0f\n", now(CLOCK_REALTIME) - host.tv_sec - host.tv_nsec / 1e9);
}

#ifdef __i386__
static void old(void) {
    // 26 words, of which the tenth has seconds.
    long long before[26] = {0}, after[26] = {0};
    syscall(405, CLOCK_REALTIME, before);
    int seconds = before[9] + 100;
    int result = syscall(SYS_stime, &seconds);
    int state = syscall(405, CLOCK_REALTIME, after);
    long long added = after[9] - before[9];
    printf("STIME %d %d %lld\n", result, state, added == 101 ? 100 : added);
}
#else
static void old(void) {}
#endif

static void zone(void) {
    struct timezone set = {-120, 1}, read = {0, 0};
    int result = syscall(SYS_settimeofday, NULL, &set);
    struct timeval time;
    syscall(SYS_gettimeofday, &time, &read);
    printf("ZONE %d %d %d\n", result, read.tz_minuteswest, read.tz_dsttime);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "wait") == 0)
        wait_while_set(argv[2], atof(argv[3]), atof(argv[3]));
    else if (strcmp(mode, "back") == 0)
        wait_while_set(argv[2], 1, -2);
    else if (strcmp(mode, "cancel") == 0)
        cancel();
    else if (strcmp(mode, "refused") == 0)
        refused();
    else if (strcmp(mode, "invalid") == 0)
        invalid();
    else if (strcmp(mode, "adjust") == 0)
        adjust();
    else if (strcmp(mode, "slew") == 0)
        slew(atol(argv[2]));
    else if (strcmp(mode, "steps") == 0)
        steps(atol(argv[2]));
    else if (strcmp(mode, "old") == 0)
        old();
    else if (strcmp(mode, "zone") == 0)
        zone();
    else
        return 2;
    return 0;
}
