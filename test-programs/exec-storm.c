// Starts programs as fast as it can, each of which reads a clock as the first thing it does, while
// somebody disturbs those that are to give them the clock: `cargo xtask faults`.
//
//     exec-storm                  as a child with the number 0
//     exec-storm child NUMBER     reads the clock, and ends with 0
//     exec-storm drive FILE MOST  starts children until FILE exists, or MOST were started, and ends with 7
//
// Each line is written at once, so that many processes may write to one file:
//
//     CLOCK NUMBER PID RAW_BEFORE LIBRARY RAW_AFTER   what a child has read, in nanoseconds
//     FAILED NUMBER PID ERRNO                         a child's execve failed
//     SIGNAL NUMBER PID SIGNAL                        a child was ended by a signal
//     CODE NUMBER PID CODE                            a child ended with a code that is not 0
//     END STARTED                                     the driver has waited for all of its children
//
// Source: vdso(7), execve(2), clock_gettime(2).

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host_clock.h"

#define NS_PER_SECOND 1000000000ll
// So many that whoever gives them their clock is at work all the time.
#define IN_FLIGHT 6
#define EXIT_DRIVEN 7
#define EXIT_NOT_EXECUTED 120
#define REST_AFTER_FAILURE_US 1000

static long long ns_of(struct timespec time) {
    return time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

static struct timespec raw_realtime(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now, host_clock_mark());
    return now;
}

static void say(const char *line) {
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(1);
}

static void read_clock(const char *number) {
    struct timespec library;
    struct timespec before = raw_realtime();
    clock_gettime(CLOCK_REALTIME, &library);
    struct timespec after = raw_realtime();
    char line[160];
    snprintf(line, sizeof line, "CLOCK %s %d %lld %lld %lld\n", number, getpid(), ns_of(before),
             ns_of(library), ns_of(after));
    say(line);
}

struct child {
    pid_t pid;
    long number;
};

static void say_of(const char *what, const struct child *child, int value) {
    char line[96];
    snprintf(line, sizeof line, "%s %ld %d %d\n", what, child->number, child->pid, value);
    say(line);
}

static struct child start(const char *path, long number) {
    char text[24];
    snprintf(text, sizeof text, "%ld", number);
    pid_t pid = fork();
    if (pid != 0)
        return (struct child){pid, number};
    execl(path, "exec-storm", "child", text, (char *)NULL);
    struct child self = {getpid(), number};
    say_of("FAILED", &self, errno);
    _exit(EXIT_NOT_EXECUTED);
}

// Waits for one of the children, and makes its place free.
static void wait_for_one(struct child *children) {
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct child *child = &children[i];
        if (pid < 0 || child->pid != pid)
            continue;
        if (WIFSIGNALED(status))
            say_of("SIGNAL", child, WTERMSIG(status));
        else if (WEXITSTATUS(status) == EXIT_NOT_EXECUTED)
            usleep(REST_AFTER_FAILURE_US);
        else if (WEXITSTATUS(status) != 0)
            say_of("CODE", child, WEXITSTATUS(status));
        child->pid = 0;
    }
}

static int drive(const char *path, const char *until, long most) {
    struct child children[IN_FLIGHT] = {{0, 0}};
    long started = 0;
    int running = 0;
    while (running > 0 || (started < most && access(until, F_OK) != 0)) {
        int is_over = started >= most || access(until, F_OK) == 0;
        for (int i = 0; i < IN_FLIGHT && !is_over; i++) {
            if (children[i].pid == 0 && started < most) {
                children[i] = start(path, started + 1);
                if (children[i].pid < 0)
                    return 1;
                started++;
                running++;
            }
        }
        if (running > 0) {
            wait_for_one(children);
            running--;
        }
    }
    char line[48];
    snprintf(line, sizeof line, "END %ld\n", started);
    say(line);
    return EXIT_DRIVEN;
}

int main(int argc, char **argv) {
    if (argc == 1 || (argc == 3 && strcmp(argv[1], "child") == 0)) {
        read_clock(argc == 3 ? argv[2] : "0");
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "drive") == 0) {
        read_clock("0");
        return drive(argv[0], argv[2], atol(argv[3]));
    }
    fprintf(stderr, "usage: exec-storm [child NUMBER | drive FILE MOST]\n");
    return 2;
}
