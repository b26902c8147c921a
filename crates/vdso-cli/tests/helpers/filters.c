// Programs that use seccomp for themselves, and one that makes the calls of a stub of vdso's.
// filters.rs says what each mode is for. Sources: seccomp(2), prctl(2), include/uapi/linux/seccomp.h.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <unistd.h>

#define VDSO_REQUEST 0x7664736f
#define MOST_REQUESTS 5
#define ANY_PROTECTION 0

static int failed(const char *what) {
    perror(what);
    return 1;
}

static long set_filter(unsigned flags, const struct sock_filter *filter, unsigned short length) {
    const struct sock_fprog program = {length, (struct sock_filter *)filter};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// ---------------------------------------------------------------------------------------------
// Refusing calls

// With a protection only calls that have all of it in their third argument are refused.
static const struct call {
    const char *name;
    unsigned number;
    unsigned protection;
} CALLS[] = {
    {"prctl", SYS_prctl, ANY_PROTECTION},       {"madvise", SYS_madvise, ANY_PROTECTION},
    {"munmap", SYS_munmap, ANY_PROTECTION},     {"mprotect", SYS_mprotect, ANY_PROTECTION},
    {"eventfd2", SYS_eventfd2, ANY_PROTECTION}, {"fstat", SYS_fstat, ANY_PROTECTION},
    {"close", SYS_close, ANY_PROTECTION},       {"brk", SYS_brk, ANY_PROTECTION},
    {"mmap", SYS_mmap, ANY_PROTECTION},         {"mmap-exec", SYS_mmap, PROT_EXEC},
};

static const struct action {
    const char *name;
    unsigned value;
} ACTIONS[] = {
    {"eperm", SECCOMP_RET_ERRNO | EPERM},
    {"enosys", SECCOMP_RET_ERRNO | ENOSYS},
    {"success", SECCOMP_RET_ERRNO | 0}, // Says that it was done, and does not do it.
    {"kill", SECCOMP_RET_KILL_PROCESS},
    {"trap", SECCOMP_RET_TRAP},
};

static int refuse(const struct call *call, unsigned action) {
    const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call->number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, call->protection),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call->protection, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, action),
    };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return set_filter(0, filter, sizeof filter / sizeof filter[0]);
}

// CALL ACTION PROGRAM [ARGUMENT...]
static int run_refuse(char **arguments) {
    for (size_t i = 0; i < sizeof CALLS / sizeof CALLS[0]; i++) {
        for (size_t j = 0; j < sizeof ACTIONS / sizeof ACTIONS[0]; j++) {
            if (strcmp(CALLS[i].name, arguments[0]) != 0 || strcmp(ACTIONS[j].name, arguments[1]) != 0)
                continue;
            if (refuse(&CALLS[i], ACTIONS[j].value) < 0)
                return failed("seccomp");
            execv(arguments[2], arguments + 2);
            return failed("execv");
        }
    }
    return 2;
}

// PROGRAM [ARGUMENT...]: only i386's `eventfd2` is killed for, by a program of another kind.
static int run_kill_i386(char **arguments) {
    enum { I386_EVENTFD2 = 328 };
    const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, I386_EVENTFD2, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || set_filter(0, filter, sizeof filter / sizeof filter[0]) < 0)
        return failed("seccomp");
    execv(arguments[0], arguments);
    return failed("execv");
}

// ---------------------------------------------------------------------------------------------
// Sandboxes of their own

static int run_listener(char **arguments) {
    (void)arguments;
    const struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return failed("prctl");
    errno = 0;
    int listener = set_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, filter, 1);
    printf("LISTENER %s\n", listener >= 0 ? "made" : strerrorname_np(errno));
    return 0;
}

// Only read, write and an end of this thread are allowed afterwards.
static int run_strict(char **arguments) {
    int by_prctl = strcmp(arguments[0], "prctl") == 0;
    errno = 0;
    long result = by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)
                           : syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
    char line[64];
    int length = snprintf(line, sizeof line, "STRICT %s\n", result == 0 ? "set" : strerrorname_np(errno));
    int is_written = write(STDOUT_FILENO, line, length) == length;
    syscall(SYS_exit, !is_written);
    return 1;
}

// ---------------------------------------------------------------------------------------------
// The calls of a stub

static int count_fds(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count;
}

// PROGRAM: is executed afterwards.
static int run_ask(char **arguments) {
    int before = count_fds();
    for (unsigned long request = 0; request < MOST_REQUESTS; request++) {
        errno = 0;
        int result = prctl(VDSO_REQUEST, request, 0x1234000ul, 0x5678ul, 0ul);
        printf("ASKED %lu %d %s\n", request, result, strerrorname_np(errno));
    }
    printf("FDS %+d\n", count_fds() - before);
    fflush(stdout);
    execv(arguments[0], arguments);
    return failed("execv");
}

// ---------------------------------------------------------------------------------------------

static const struct mode {
    const char *name;
    int least_arguments;
    int (*run)(char **arguments);
} MODES[] = {
    {"refuse", 3, run_refuse},
    {"kill-i386", 1, run_kill_i386},
    {"listener", 0, run_listener},
    {"strict", 1, run_strict},
    {"ask", 1, run_ask},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof MODES / sizeof MODES[0]; i++) {
        if (strcmp(MODES[i].name, argv[1]) == 0 && argc - 2 >= MODES[i].least_arguments)
            return MODES[i].run(argv + 2);
    }
    fprintf(stderr, "filters: no such mode\n");
    return 2;
}
