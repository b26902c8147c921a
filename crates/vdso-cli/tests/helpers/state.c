// Prints what a process gets from whoever starts it, as text in which nothing differs from run to
// run but process ids. unchanged.rs compares a plain run with one under vdso. What the kernel
// randomises is left out. Sources: execve(2), fork(2), prctl(2), getauxval(3), proc_pid_stat(5).

#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void print_bytes(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (isprint((unsigned char)bytes[i]) && bytes[i] != '\\')
            putchar(bytes[i]);
        else
            printf("\\%02x", (unsigned char)bytes[i]);
    }
    putchar('\n');
}

static void print_file(const char *path) {
    static char bytes[1 << 20];
    FILE *file = fopen(path, "r");
    size_t length = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    printf("%s: ", path);
    print_bytes(bytes, length);
    if (file != NULL)
        fclose(file);
}

static void print_link(const char *path) {
    char target[4096];
    ssize_t length = readlink(path, target, sizeof target);
    printf("%s -> ", path);
    // A pipe's number differs from run to run.
    char *colon = length > 5 && strncmp(target, "pipe:", 5) == 0 ? strchr(target, ':') : NULL;
    print_bytes(target, colon != NULL ? colon - target : length < 0 ? 0 : length);
}

static void print_strings(const char *what, char **strings) {
    for (int i = 0; strings[i] != NULL; i++) {
        printf("%s %d ", what, i);
        print_bytes(strings[i], strlen(strings[i]));
    }
}

// Left out: what is about the process itself, its memory, its parent, and the filter that follows.
static void print_status(void) {
    static const char *const WANTED[] = {
        "Name:",   "Umask:",  "State:",     "TracerPid:", "Uid:",         "Gid:",
        "Groups:", "SigPnd:", "ShdPnd:",    "SigBlk:",    "SigIgn:",      "SigCgt:",
        "Cap",     "Threads:", "NoNewPrivs:", "Cpus_allowed", "Mems_allowed", "THP_enabled:",
        "x86_Thread_features:",
    };
    FILE *file = fopen("/proc/self/status", "r");
    char line[4096];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        for (size_t i = 0; i < sizeof WANTED / sizeof WANTED[0]; i++) {
            if (strncmp(line, WANTED[i], strlen(WANTED[i])) == 0)
                fputs(line, stdout);
        }
    }
    if (file != NULL)
        fclose(file);
}

static void print_descriptors(void) {
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0)
            continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        printf("fd %d flags %x status %x offset %lld ", fd, flags, fcntl(fd, F_GETFL),
               (long long)lseek(fd, 0, SEEK_CUR));
        print_link(path);
    }
}

static void print_limits(void) {
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit = {0, 0};
        getrlimit(i, &limit);
        printf("limit %d %llx %llx\n", i, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void print_scheduling(void) {
    struct sched_param parameter = {0};
    sched_getparam(0, &parameter);
    printf("nice %d policy %d priority %d ioprio %ld\n", getpriority(PRIO_PROCESS, 0),
           sched_getscheduler(0), parameter.sched_priority, syscall(SYS_ioprio_get, 1, 0));
}

static void print_signals(void) {
    for (int i = 1; i < NSIG; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("signal %d %s\n", i, action.sa_handler == SIG_IGN ? "ignored" : "caught");
    }
    stack_t stack;
    sigaltstack(NULL, &stack);
    printf("alternate stack %x\n", stack.ss_flags);
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        struct itimerval timer;
        getitimer(which, &timer);
        printf("timer %d %ld\n", which, timer.it_value.tv_sec + timer.it_value.tv_usec);
    }
}

static void print_group(void) {
    int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC);
    printf("session %d group %d terminal %s foreground %d\n", getsid(0), getpgrp(),
           terminal >= 0 ? "yes" : "no", terminal >= 0 ? tcgetpgrp(terminal) : -1);
    if (terminal >= 0)
        close(terminal);
}

static void print_attributes(void) {
    int death_signal = -1, subreaper = -1, tsc = -1;
    prctl(PR_GET_PDEATHSIG, &death_signal);
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
    prctl(PR_GET_TSC, &tsc);
    printf("dumpable %d keepcaps %d slack %d securebits %d thp %d\n", prctl(PR_GET_DUMPABLE),
           prctl(PR_GET_KEEPCAPS), prctl(PR_GET_TIMERSLACK), prctl(PR_GET_SECUREBITS),
           prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    printf("death %d subreaper %d tsc %d personality %x\n", death_signal, subreaper, tsc,
           personality(0xffffffff));
}

// Tags in their order, and the values that are no addresses.
static void print_vector(void) {
    static const unsigned long NUMBERS[] = {
        AT_PAGESZ, AT_CLKTCK, AT_PHENT, AT_PHNUM,  AT_FLAGS,  AT_UID,    AT_EUID,
        AT_GID,    AT_EGID,   AT_HWCAP, AT_HWCAP2, AT_SECURE, AT_MINSIGSTKSZ,
    };
    unsigned long pairs[256];
    FILE *file = fopen("/proc/self/auxv", "r");
    size_t words = file != NULL ? fread(pairs, sizeof pairs[0], 256, file) : 0;
    for (size_t i = 0; i + 1 < words; i += 2) {
        printf("vector %lu", pairs[i]);
        for (size_t known = 0; known < sizeof NUMBERS / sizeof NUMBERS[0]; known++) {
            if (pairs[i] == NUMBERS[known])
                printf(" %lx", pairs[i + 1]);
        }
        if (getauxval(pairs[i]) != pairs[i + 1])
            printf(" but getauxval says otherwise");
        putchar('\n');
    }
    if (file != NULL)
        fclose(file);
    printf("random %d\n", getauxval(AT_RANDOM) != 0);
    printf("execfn ");
    print_bytes((char *)getauxval(AT_EXECFN), strlen((char *)getauxval(AT_EXECFN)));
}

// The kernel's idea of where arguments and environment are, from where they are.
static void print_layout(char **argv) {
    unsigned long long fields[53] = {0};
    static char text[4096];
    FILE *file = fopen("/proc/self/stat", "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        return;
    fclose(file);
    char *rest = strrchr(text, ')') + 4;
    for (int field = 4; field < 53; field++)
        fields[field] = strtoull(rest, &rest, 10);
    unsigned long long first_argument = (unsigned long)argv[0];
    unsigned long long first_variable = environ[0] != NULL ? (unsigned long)environ[0] : fields[50];
    printf("layout: arguments %lld long %lld, environment %lld long %lld, stack %lld\n",
           fields[48] - first_argument, fields[49] - fields[48], fields[50] - first_variable,
           fields[51] - fields[50], fields[28] - ((unsigned long)argv - sizeof argv));
    // Code and data from this function on: the kernel chooses where a program is, not its layout.
    unsigned long long here = (unsigned long)&print_layout;
    extern char end;
    printf("layout: code %lld %lld data %lld %lld heap %d\n", fields[26] - here, fields[27] - here,
           fields[45] - here, fields[46] - here, fields[47] >= (unsigned long)&end);
}

int main(int argc, char **argv) {
    static char buffer[1 << 22];
    void *heap = sbrk(0);
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    printf("argc %d\n", argc);
    print_strings("argv", argv);
    print_strings("environ", environ);
    print_descriptors();
    print_status();
    print_limits();
    print_scheduling();
    print_signals();
    print_group();
    print_attributes();
    print_vector();
    print_layout(argv);
    printf("heap is page-aligned %d\n", (unsigned long)heap % 4096 == 0);
    static const char *const FILES[] = {"cmdline", "environ", "comm", "cgroup", "oom_score_adj",
                                        "coredump_filter", "timerslack_ns", "loginuid"};
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/%s", FILES[i]);
        print_file(path);
    }
    static const char *const LINKS[] = {"cwd",    "root",   "exe",    "ns/mnt",  "ns/pid", "ns/net",
                                        "ns/ipc", "ns/uts", "ns/user", "ns/cgroup", "ns/time"};
    for (size_t i = 0; i < sizeof LINKS / sizeof LINKS[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/%s", LINKS[i]);
        print_link(path);
    }
    return 0;
}
