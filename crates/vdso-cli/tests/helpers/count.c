// Counts a signal until it reads `end`: says `go`, then `got N` for each, then `total N`.
// Source: signalfd(2).

#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int main(int argc, char **argv) {
    sigset_t counted;
    sigemptyset(&counted);
    if (argc != 2 || sigaddset(&counted, atoi(argv[1])) != 0)
        return 2;
    sigprocmask(SIG_BLOCK, &counted, NULL);
    struct pollfd fds[] = {{signalfd(-1, &counted, SFD_CLOEXEC), POLLIN, 0}, {0, POLLIN, 0}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("go");
    int count = 0;
    while (poll(fds, 2, -1) >= 0) {
        // Signals first: what was sent before `end` was written is there by then.
        struct signalfd_siginfo info;
        if (fds[0].revents != 0 && read(fds[0].fd, &info, sizeof info) == sizeof info) {
            printf("got %d\n", ++count);
            continue;
        }
        char line[64] = "";
        if (fds[1].revents != 0 && (read(0, line, sizeof line - 1) <= 0 || strstr(line, "end")))
            break;
    }
    printf("total %d\n", count);
    return 0;
}
