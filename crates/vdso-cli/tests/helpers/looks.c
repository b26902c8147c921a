// Asks for the time of day, and waits, when a library's constructor runs and then in main. Compiled twice: as a library to
// be preloaded, with a constructor, and as the program, which gives what it shall do:
//   looks times     prints WHEN WAY SECONDS NANOSECONDS for each way to ask
//   looks waits     prints WHEN WAY RESULT REACHED or EARLY for each of some ways to wait: whether its clock shows the end
//   looks timers    prints EXPIRED, how often a timer of 30 ms did while its signal was blocked, and between which numbers
//                   that has to be by MONOTONIC; and UNTIL, how often another did that was set to a time of REALTIME

#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct timespec in_data;

static void times(const char *when) {
    struct timespec in_stack, *in_heap = malloc(sizeof *in_heap), kernels;
    struct timeval of_day, kernels_of_day;
    time_t seconds, kernels_seconds;
    clock_gettime(CLOCK_REALTIME, &in_stack);
    clock_gettime(CLOCK_REALTIME, &in_data);
    clock_gettime(CLOCK_REALTIME, in_heap);
    gettimeofday(&of_day, NULL);
    time(&seconds);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &kernels);
    syscall(SYS_gettimeofday, &kernels_of_day, NULL);
    syscall(SYS_time, &kernels_seconds);
    printf("%s stack %ld %ld\n", when, (long)in_stack.tv_sec, in_stack.tv_nsec);
    printf("%s data %ld %ld\n", when, (long)in_data.tv_sec, in_data.tv_nsec);
    printf("%s heap %ld %ld\n", when, (long)in_heap->tv_sec, in_heap->tv_nsec);
    printf("%s gettimeofday %ld %ld\n", when, (long)of_day.tv_sec, (long)of_day.tv_usec * 1000);
    printf("%s time %ld 0\n", when, (long)seconds);
    printf("%s kernel's-clock_gettime %ld %ld\n", when, (long)kernels.tv_sec, kernels.tv_nsec);
    printf("%s kernel's-gettimeofday %ld %ld\n", when, (long)kernels_of_day.tv_sec, (long)kernels_of_day.tv_usec * 1000);
    printf("%s kernel's-time %ld 0\n", when, (long)kernels_seconds);
    free(in_heap);
}

static struct timespec ahead(clockid_t clock, long ms) {
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += ms * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static void reached(const char *when, const char *way, int result, clockid_t clock, struct timespec end) {
    struct timespec now;
    clock_gettime(clock, &now);
    int is_early = now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec);
    printf("%s %s %d %s\n", when, way, result, is_early ? "EARLY" : "REACHED");
}

static int wait_for_condition(clockid_t clock, struct timespec end) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_condattr_t attributes;
    pthread_cond_t condition;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, clock);
    pthread_cond_init(&condition, &attributes);
    pthread_mutex_lock(&mutex);
    int result = pthread_cond_timedwait(&condition, &mutex, &end);
    pthread_mutex_unlock(&mutex);
    return result;
}

static void waits(const char *when) {
    struct timespec end = ahead(CLOCK_REALTIME, 100);
    reached(when, "condition", wait_for_condition(CLOCK_REALTIME, end), CLOCK_REALTIME, end);
    end = ahead(CLOCK_MONOTONIC, 100);
    reached(when, "condition-monotonic", wait_for_condition(CLOCK_MONOTONIC, end), CLOCK_MONOTONIC, end);
    end = ahead(CLOCK_REALTIME, 100);
    int result = syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &end, NULL);
    reached(when, "kernel's-clock_nanosleep", result, CLOCK_REALTIME, end);
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    end = ahead(CLOCK_REALTIME, 100);
    reached(when, "semaphore", sem_timedwait(&semaphore, &end), CLOCK_REALTIME, end);
    end = ahead(CLOCK_MONOTONIC, 1000);
    reached(when, "sleep", sleep(1), CLOCK_MONOTONIC, end);
    end = ahead(CLOCK_MONOTONIC, 100);
    reached(when, "usleep", usleep(100000), CLOCK_MONOTONIC, end);
}

#ifdef LIBRARY
__attribute__((constructor)) static void construct(void) {
    const char *what = getenv("LOOKS");
    if (what != NULL)
        (strcmp(what, "waits") == 0 ? waits : times)("constructor");
    fflush(stdout);
}
#else
static long long monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int expired(timer_t timer, int signal_number) {
    sigset_t set;
    siginfo_t info;
    struct timespec none = {0, 0};
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    return sigtimedwait(&set, &info, &none) == signal_number ? 1 + timer_getoverrun(timer) : 0;
}

static void timers(void) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t often, once;
    timer_create(CLOCK_REALTIME, &event, &often);
    event.sigev_signo = SIGUSR2;
    timer_create(CLOCK_REALTIME, &event, &once);
    struct itimerspec every = {.it_value = {0, 100000000}, .it_interval = {0, 30000000}};
    struct itimerspec until = {.it_value = ahead(CLOCK_REALTIME, 200)};
    long long before = monotonic_ms();
    timer_settime(often, 0, &every, NULL);
    long long after = monotonic_ms();
    timer_settime(once, TIMER_ABSTIME, &until, NULL);
    while (monotonic_ms() < after + 400)
        usleep(10000);
    long long least = (monotonic_ms() - after - 100) / 30, took = expired(often, SIGUSR1);
    // The signal is there a moment before the timer's next expiry is counted.
    printf("EXPIRED %lld %lld %lld\n", least, took, (monotonic_ms() - before - 100) / 30 + 2);
    printf("UNTIL %d\n", expired(once, SIGUSR2));
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    if (strcmp(arguments[1], "timers") == 0)
        timers();
    else
        (strcmp(arguments[1], "waits") == 0 ? waits : times)("main");
    return 0;
}
#endif
