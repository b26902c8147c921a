// Executes programs in unusual ways: from a second thread, by descriptor, in vain, while signals
// rain down. follow.rs says what each mode is for. Sources: execve(2), execveat(2), signal(7).

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_US 100
#define SPINS_PER_STEP 2000

extern char **environ;

static int failed(const char *what) {
    perror(what);
    return 1;
}

// ---------------------------------------------------------------------------------------------
// Executing, in vain

static void try_in_vain(const char *path, char **arguments) {
    errno = 0;
    int result = execve(path, arguments, environ);
    printf("EXEC %d %s\n", result, strerrorname_np(errno));
}

// Every descriptor: its number, its flags and what kind of file it is.
static int run_fds(char **arguments) {
    (void)arguments;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return failed("opendir");
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(folder))
            continue;
        char target[4096] = "";
        if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) < 0)
            return failed("readlink");
        // A pipe's number differs from run to run.
        target[strcspn(target, ":")] = 0;
        printf("FD %d %x %x %s\n", fd, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL), target);
    }
    closedir(folder);
    return 0;
}

static int run_fail(char **arguments) {
    char *small[] = {"x", NULL};
    try_in_vain("/no/such/file", small);
    try_in_vain("/etc", small);
    try_in_vain("/etc/passwd", small);
    try_in_vain("/etc/passwd/file", small);
    try_in_vain("", small);
    // One argument may have 32 pages.
    char *large[] = {calloc(1, 33 * 4096), NULL};
    memset(large[0], 'x', 33 * 4096 - 1);
    try_in_vain("/bin/true", large);
    try_in_vain((char *)1, small);
    return run_fds(arguments);
}

// ---------------------------------------------------------------------------------------------
// Executing, unusually

static void *exec_in_thread(void *path) {
    execl(path, path, (char *)NULL);
    return NULL;
}

static void *wait_in_thread(void *unused) {
    (void)unused;
    for (;;)
        pause();
}

static int run_thread(char **arguments) {
    pthread_t thread;
    for (int i = 0; i < 4; i++)
        pthread_create(&thread, NULL, wait_in_thread, NULL);
    pthread_create(&thread, NULL, exec_in_thread, arguments[0]);
    pthread_join(thread, NULL);
    return failed("execl");
}

static int run_fd(char **arguments) {
    int fd = open(arguments[0], O_RDONLY | O_CLOEXEC);
    char *program_arguments[] = {arguments[0], NULL};
    fexecve(fd, program_arguments, environ);
    return failed("fexecve");
}

static int run_at(char **arguments) {
    int folder = open(arguments[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *program_arguments[] = {arguments[1], NULL};
    syscall(SYS_execveat, folder, arguments[1], program_arguments, environ, 0);
    return failed("execveat");
}

// Without arguments and environment, as no shell would.
static int run_bare(char **arguments) {
    char *nothing[] = {NULL};
    execve(arguments[0], nothing, nothing);
    return failed("execve");
}

// ---------------------------------------------------------------------------------------------
// Executing under fire

static pid_t start(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    return child;
}

// Each child gets signals that it ignores or has blocked, and is stopped and continued, from before
// its exec to its end.
static int run_storm(char **arguments) {
    static const int SIGNALS[] = {SIGUSR1, SIGUSR2, SIGWINCH, SIGSTOP, SIGCONT, SIGURG};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGUSR2, SIG_IGN);
    for (int left = atoi(arguments[0]); left > 0; left--) {
        pid_t child = start(arguments[1]);
        int status;
        while (waitpid(child, &status, WNOHANG) == 0) {
            for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++)
                kill(child, SIGNALS[i]);
            usleep(PAUSE_US);
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "a child ended with status %#x\n", status);
            return 1;
        }
    }
    return 0;
}

// Each child's threads all execute the program at once: one does, and the others are killed for it.
static int run_race(char **arguments) {
    for (int left = atoi(arguments[0]); left > 0; left--) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            for (int i = 0; i < 8; i++)
                pthread_create(&thread, NULL, exec_in_thread, arguments[1]);
            wait_in_thread(NULL);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "a child ended with status %#x\n", status);
            return 1;
        }
    }
    return 0;
}

// Each child is killed a little later than the one before: somewhere between fork and its end.
static int run_die(char **arguments) {
    int children = atoi(arguments[0]);
    for (int i = 0; i < children; i++) {
        pid_t child = start(arguments[1]);
        for (volatile int spins = i * SPINS_PER_STEP; spins > 0; spins--) {
        }
        kill(child, SIGKILL);
        int status;
        if (waitpid(child, &status, 0) != child)
            return failed("waitpid");
    }
    return 0;
}

static const struct mode {
    const char *name;
    int argument_count;
    int (*run)(char **arguments);
} MODES[] = {
    {"fds", 0, run_fds}, {"fail", 0, run_fail},   {"thread", 1, run_thread}, {"fd", 1, run_fd},
    {"at", 2, run_at},   {"storm", 2, run_storm}, {"die", 2, run_die},       {"bare", 1, run_bare},
    {"race", 2, run_race},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof MODES / sizeof MODES[0]; i++) {
        if (strcmp(MODES[i].name, argv[1]) == 0 && MODES[i].argument_count == argc - 2) {
            int code = MODES[i].run(argv + 2);
            return fflush(stdout) == 0 ? code : 1;
        }
    }
    fprintf(stderr, "execs: no such mode\n");
    return 2;
}
