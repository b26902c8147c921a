// Prints every clock that the C library can read, each between two raw system calls for the same
// clock, which never go through the vDSO and give the host's. A test compares the three values and so learns by how
// much the vDSO shifts this clock. README.md says what each mode is for.
//
// The source of what is read: clock_gettime(2), gettimeofday(2), time(2), getauxval(3), prctl(2).

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <execinfo.h>
#endif

#include "host_clock.h"

// linux/prctl.h since 6.4; spelled out because older headers lack it.
#define PR_GET_AUXV_OPTION 0x41555856

#define NS_PER_SECOND 1000000000LL
#define LOOP_SLEEP_NS 10000000L
#define ALARM_PERIOD_US 1000
#define SIGNALS_BACKTRACES 400
#define READS_PER_CHECK 64
#define MAX_FRAMES 64
#define MAX_THREADS 256
#define MAX_CHILDREN 4096

extern char **environ;

static char own_path[] = "/proc/self/exe";

struct moment {
    long long seconds;
    long long ns;
};

// ---------------------------------------------------------------------------------------------
// One clock, read in two ways

struct clock {
    const char *name;
    clockid_t id;
    struct moment (*raw)(clockid_t id);
    struct moment (*library)(clockid_t id);
};

static struct moment raw_clock_gettime(clockid_t id) {
    struct moment now;
    // A 32-bit program asks for the 64-bit form, so both have this layout.
#ifdef SYS_clock_gettime64
    long result = syscall(SYS_clock_gettime64, id, &now, host_clock_mark());
#else
    long result = syscall(SYS_clock_gettime, id, &now, host_clock_mark());
#endif
    if (result != 0) {
        perror("clock_gettime system call");
        exit(1);
    }
    return now;
}

static struct moment library_clock_gettime(clockid_t id) {
    struct timespec now;
    if (clock_gettime(id, &now) != 0) {
        perror("clock_gettime");
        exit(1);
    }
    return (struct moment){now.tv_sec, now.tv_nsec};
}

// The word of the kernel's times, which has 64 bits on x32 as well.
#ifdef __x86_64__
typedef long long kernel_long;
#else
typedef long kernel_long;
#endif

static struct moment raw_gettimeofday(clockid_t id) {
    (void)id;
#ifdef SYS_gettimeofday
    struct {
        kernel_long seconds, microseconds;
    } now;
    syscall(SYS_gettimeofday, &now, NULL, host_clock_mark());
    return (struct moment){now.seconds, now.microseconds * 1000LL};
#else
    struct moment now = raw_clock_gettime(CLOCK_REALTIME);
    return (struct moment){now.seconds, now.ns / 1000 * 1000};
#endif
}

static struct moment library_gettimeofday(clockid_t id) {
    (void)id;
    struct timeval now;
    gettimeofday(&now, NULL);
    return (struct moment){now.tv_sec, now.tv_usec * 1000LL};
}

// The time(2) of the kernel and of glibc is the second of the coarse clock; musl's is the second of
// the exact one, which is the next second already for up to a tick before the coarse one gets there.
static struct moment raw_time(clockid_t id) {
    (void)id;
#ifndef __GLIBC__
    return (struct moment){raw_clock_gettime(CLOCK_REALTIME).seconds, 0};
#elif defined(SYS_time)
    return (struct moment){syscall(SYS_time, NULL, 0, host_clock_mark()), 0};
#else
    return (struct moment){raw_clock_gettime(CLOCK_REALTIME_COARSE).seconds, 0};
#endif
}

static struct moment library_time(clockid_t id) {
    (void)id;
    return (struct moment){time(NULL), 0};
}

static const struct clock CLOCKS[] = {
    {"REALTIME", CLOCK_REALTIME, raw_clock_gettime, library_clock_gettime},
    {"MONOTONIC", CLOCK_MONOTONIC, raw_clock_gettime, library_clock_gettime},
    {"MONOTONIC_RAW", CLOCK_MONOTONIC_RAW, raw_clock_gettime, library_clock_gettime},
    {"BOOTTIME", CLOCK_BOOTTIME, raw_clock_gettime, library_clock_gettime},
    {"TAI", CLOCK_TAI, raw_clock_gettime, library_clock_gettime},
    {"REALTIME_COARSE", CLOCK_REALTIME_COARSE, raw_clock_gettime, library_clock_gettime},
    {"MONOTONIC_COARSE", CLOCK_MONOTONIC_COARSE, raw_clock_gettime, library_clock_gettime},
    {"GETTIMEOFDAY", CLOCK_REALTIME, raw_gettimeofday, library_gettimeofday},
    {"TIME", CLOCK_REALTIME, raw_time, library_time},
};
#define CLOCK_COUNT (sizeof CLOCKS / sizeof CLOCKS[0])

// Seconds and nanoseconds are printed side by side, because their product overflows in 2262.
static void print_moment(struct moment moment) {
    if (moment.seconds == 0)
        printf("%lld", moment.ns);
    else
        printf("%lld%09lld", moment.seconds, moment.ns);
}

static void print_clock(const struct clock *clock) {
    struct moment before = clock->raw(clock->id);
    struct moment library = clock->library(clock->id);
    struct moment after = clock->raw(clock->id);
    printf("%s ", clock->name);
    print_moment(before);
    putchar(' ');
    print_moment(library);
    putchar(' ');
    print_moment(after);
    putchar('\n');
}

// Flushes only at the end: all lines are one write, which other processes on the pipe cannot split.
static void print_clocks(void) {
    for (size_t i = 0; i < CLOCK_COUNT; i++)
        print_clock(&CLOCKS[i]);
    fflush(stdout);
}

static long long raw_monotonic_ns(void) {
    struct moment now = raw_clock_gettime(CLOCK_MONOTONIC);
    return now.seconds * NS_PER_SECOND + now.ns;
}

// ---------------------------------------------------------------------------------------------
// Modes

static int run_raw(char **arguments) {
    for (size_t i = 0; i < CLOCK_COUNT; i++) {
        if (strcmp(CLOCKS[i].name, arguments[0]) == 0) {
            print_moment(CLOCKS[i].raw(CLOCKS[i].id));
            putchar('\n');
            return 0;
        }
    }
    fprintf(stderr, "clocks: no clock is named %s\n", arguments[0]);
    return 2;
}

// Of the host's time, as a program's own may stand still.
static void host_pause(void) {
    const struct moment pause = {0, LOOP_SLEEP_NS};
#ifdef SYS_clock_nanosleep_time64
    syscall(SYS_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, &pause, NULL, host_clock_mark());
#else
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL, host_clock_mark());
#endif
}

static int run_loop(char **arguments) {
    for (int round = atoi(arguments[0]); round > 0; round--) {
        print_clocks();
        if (round > 1)
            host_pause();
    }
    return 0;
}

static int run_exec(char **arguments) {
    int left = atoi(arguments[0]);
    print_clocks();
    if (left <= 0)
        return 0;
    char next[16];
    snprintf(next, sizeof next, "%d", left - 1);
    execl(own_path, "clocks", "exec", next, (char *)NULL);
    perror("execl");
    return 1;
}

// The next program may be one of another kind, as this one may be.
static int run_then(char **arguments) {
    print_clocks();
    execv(arguments[0], arguments);
    perror("execv");
    return 1;
}

// Waits for one child and says whether it ended well.
static int wait_for(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int run_fork(char **arguments) {
    int children = atoi(arguments[0]);
    if (children < 1 || children > MAX_CHILDREN)
        return 2;
    pid_t ids[MAX_CHILDREN];
    for (int i = 0; i < children; i++) {
        ids[i] = fork();
        if (ids[i] == 0) {
            print_clock(&CLOCKS[0]);
            fflush(stdout);
            _exit(0);
        }
    }
    int failed = 0;
    for (int i = 0; i < children; i++)
        failed |= wait_for(ids[i]);
    return failed;
}

static pthread_barrier_t all_started;

static void *fork_and_exec(void *unused) {
    (void)unused;
    pthread_barrier_wait(&all_started);
    pid_t child = fork();
    if (child == 0) {
        execl(own_path, "clocks", (char *)NULL);
        _exit(1);
    }
    return wait_for(child) ? own_path : NULL;
}

static int run_threads(char **arguments) {
    int threads = atoi(arguments[0]);
    if (threads < 1 || threads > MAX_THREADS)
        return 2;
    pthread_t ids[MAX_THREADS];
    pthread_barrier_init(&all_started, NULL, threads);
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, fork_and_exec, NULL) != 0)
            return 1;
    }
    int failed = 0;
    for (int i = 0; i < threads; i++) {
        void *failure;
        pthread_join(ids[i], &failure);
        failed |= failure != NULL;
    }
    return failed;
}

// posix_spawn() is vfork() or CLONE_VFORK in both C libraries.
static int run_vfork(char **arguments) {
    (void)arguments;
    char name[] = "clocks";
    char *child_arguments[] = {name, NULL};
    pid_t child;
    if (posix_spawn(&child, own_path, NULL, NULL, child_arguments, environ) != 0)
        return 1;
    return wait_for(child);
}

static void print_auxv_line(const char *from, const unsigned long *pairs, size_t words) {
    for (size_t i = 0; i + 1 < words && pairs[i] != AT_NULL; i += 2) {
        if (pairs[i] == AT_SYSINFO_EHDR) {
            printf("AUXV %s 0x%lx\n", from, pairs[i + 1]);
            return;
        }
    }
    printf("AUXV %s -\n", from);
}

static int run_auxv(char **arguments) {
    (void)arguments;
    unsigned long told[] = {AT_SYSINFO_EHDR, getauxval(AT_SYSINFO_EHDR)};
    print_auxv_line("getauxval", told, told[1] != 0 ? 2 : 0);

    unsigned long pairs[256];
    FILE *proc = fopen("/proc/self/auxv", "rb");
    size_t words = proc ? fread(pairs, sizeof pairs[0], 256, proc) : 0;
    print_auxv_line("proc", pairs, words);

    long bytes = prctl(PR_GET_AUXV_OPTION, pairs, sizeof pairs, 0, 0);
    print_auxv_line("prctl", pairs, bytes > 0 ? bytes / sizeof pairs[0] : 0);
    return 0;
}

#ifdef __GLIBC__
static void *address_in_main;
static volatile sig_atomic_t backtraces;
static volatile sig_atomic_t reached_main;

static void take_backtrace(int signal_number) {
    (void)signal_number;
    void *frames[MAX_FRAMES];
    int depth = backtrace(frames, MAX_FRAMES);
    backtraces++;
    for (int i = 0; i < depth; i++) {
        if (frames[i] == address_in_main) {
            reached_main++;
            return;
        }
    }
}

// Interrupts clock reads and unwinds from wherever they were: through the vDSO, as a profiler does.
__attribute__((noinline)) static int run_signals(char **arguments) {
    (void)arguments;
    address_in_main = __builtin_return_address(0);

    // The first call loads the unwinder and allocates, which a handler must not do.
    void *frames[MAX_FRAMES];
    backtrace(frames, MAX_FRAMES);

    struct sigaction action = {.sa_handler = take_backtrace, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, ALARM_PERIOD_US}, {0, ALARM_PERIOD_US}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);

    // As many as are asked for, however seldom the machine lets this run.
    while (backtraces < SIGNALS_BACKTRACES) {
        for (int i = 0; i < READS_PER_CHECK; i++)
            library_clock_gettime(CLOCK_MONOTONIC);
    }
    timer = (struct itimerval){{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    printf("BACKTRACES %d %d\n", (int)backtraces, (int)reached_main);
    return 0;
}
#else
static int run_signals(char **arguments) {
    (void)arguments;
    fprintf(stderr, "clocks: this C library has no backtrace()\n");
    return 2;
}
#endif

// Each on its own cache line, so that the threads meet on the value and nowhere else.
struct shared_clock {
    _Alignas(64) _Atomic long long last_ns;
    _Atomic long long violations;
    _Atomic long long reads;
    const char *name;
    clockid_t id;
};

static struct shared_clock shared_clocks[] = {
    {.name = "MONOTONIC", .id = CLOCK_MONOTONIC},
    {.name = "REALTIME", .id = CLOCK_REALTIME},
    {.name = "BOOTTIME", .id = CLOCK_BOOTTIME},
    {.name = "MONOTONIC_RAW", .id = CLOCK_MONOTONIC_RAW},
};
#define SHARED_CLOCK_COUNT (sizeof shared_clocks / sizeof shared_clocks[0])

static long long monotone_deadline_ns;

// A clock is monotone when no read gives less than a value that anyone had published before it.
static void observe(struct shared_clock *clock) {
    long long published_ns = atomic_load(&clock->last_ns);
    struct moment now = library_clock_gettime(clock->id);
    long long now_ns = now.seconds * NS_PER_SECOND + now.ns;
    if (now_ns < published_ns)
        atomic_fetch_add(&clock->violations, 1);
    while (now_ns > published_ns
           && !atomic_compare_exchange_weak(&clock->last_ns, &published_ns, now_ns)) {
    }
}

static void *observe_until_deadline(void *unused) {
    (void)unused;
    while (raw_monotonic_ns() < monotone_deadline_ns) {
        for (size_t i = 0; i < SHARED_CLOCK_COUNT; i++) {
            for (int read = 0; read < READS_PER_CHECK; read++)
                observe(&shared_clocks[i]);
            atomic_fetch_add(&shared_clocks[i].reads, READS_PER_CHECK);
        }
    }
    return NULL;
}

static int run_monotone(char **arguments) {
    int threads = atoi(arguments[1]);
    if (threads < 1 || threads > MAX_THREADS)
        return 2;
    pthread_t ids[MAX_THREADS];
    monotone_deadline_ns = raw_monotonic_ns() + (long long)(atof(arguments[0]) * NS_PER_SECOND);
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, observe_until_deadline, NULL) != 0)
            return 1;
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    for (size_t i = 0; i < SHARED_CLOCK_COUNT; i++) {
        struct shared_clock *clock = &shared_clocks[i];
        printf("VIOLATIONS %s %lld %lld\n", clock->name, atomic_load(&clock->violations),
               atomic_load(&clock->reads));
    }
    return 0;
}

// ---------------------------------------------------------------------------------------------

#define ONE_OR_MORE (-1)

static const struct mode {
    const char *name;
    int argument_count; // ONE_OR_MORE, or just so many
    int (*run)(char **arguments);
} MODES[] = {
    {"raw", 1, run_raw},   {"loop", 1, run_loop},       {"exec", 1, run_exec},
    {"fork", 1, run_fork}, {"threads", 1, run_threads}, {"vfork", 0, run_vfork},
    {"auxv", 0, run_auxv}, {"signals", 0, run_signals}, {"monotone", 2, run_monotone},
    {"then", ONE_OR_MORE, run_then},
};

static int takes(const struct mode *mode, int argument_count) {
    return mode->argument_count == argument_count
        || (mode->argument_count == ONE_OR_MORE && argument_count > 0);
}

int main(int argc, char **argv) {
    static char buffer[1 << 16];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    if (argc < 2) {
        print_clocks();
        return 0;
    }
    for (size_t i = 0; i < sizeof MODES / sizeof MODES[0]; i++) {
        if (strcmp(MODES[i].name, argv[1]) == 0 && takes(&MODES[i], argc - 2))
            return MODES[i].run(argv + 2);
    }
    fprintf(stderr, "usage: clocks [raw CLOCK | loop N | exec N | fork N | threads N | vfork | auxv"
                    " | signals | monotone SECONDS THREADS | then PROGRAM [ARGUMENT...]]\n");
    return 2;
}
