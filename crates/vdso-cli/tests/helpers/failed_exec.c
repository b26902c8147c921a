// Tries to execute what is not there, and then waits in one of those calls that give EINTR after a stop,
// without any signal: signal(7). Says what came of each.

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 150

static const struct timespec WAIT = {0, WAIT_MS * 1000000L};

static int by_epoll(void) {
    struct epoll_event event;
    return epoll_wait(epoll_create1(0), &event, 1, WAIT_MS);
}

static int by_semaphore(void) {
    int set = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf down = {0, -1, 0};
    int result = semtimedop(set, &down, 1, &WAIT);
    int error = errno;
    semctl(set, 0, IPC_RMID);
    errno = error;
    return result;
}

static int by_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return sigtimedwait(&set, NULL, &WAIT);
}

static int by_socket(void) {
    int ends[2];
    struct timeval wait = {0, WAIT_MS * 1000};
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return recv(ends[0], &byte, 1, 0);
}

static const struct way {
    const char *name;
    int (*wait)(void);
} WAYS[] = {{"epoll", by_epoll}, {"semaphore", by_semaphore}, {"signal", by_signal}, {"socket", by_socket}};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof WAYS / sizeof WAYS[0]; i++) {
        execv("/nonexistent/program", argv);
        errno = 0;
        int result = WAYS[i].wait();
        printf("%s %d %s\n", WAYS[i].name, result, strerrorname_np(errno));
    }
    fflush(stdout);
    if (argc > 1)
        execv(argv[1], argv + 1);
    return argc > 1;
}
