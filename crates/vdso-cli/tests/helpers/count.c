// Counts a signal until it reads `end`: says `go`, then `got N VALUE` for each, then `total N`. VALUE is
// what sigqueue(3) sent along. When it reads `group` it sends the signal to its process group, itself.
// Source: signalfd(2).

#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    // The kernel's own calls: the C library keeps signals 32 and 33 for itself.
    int number = argc == 2 ? atoi(argv[1]) : 0;
    if (number < 1 || number > 64)
        return 2;
    uint64_t counted = UINT64_C(1) << (number - 1);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &counted, NULL, sizeof counted);
    int signals = syscall(SYS_signalfd4, -1, &counted, sizeof counted, SFD_CLOEXEC);
    struct pollfd fds[] = {{signals, POLLIN, 0}, {0, POLLIN, 0}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("go");
    int count = 0;
    while (poll(fds, 2, -1) >= 0) {
        // Signals first: what was sent before `end` was written is there by then.
        struct signalfd_siginfo info;
        if (fds[0].revents != 0 && read(fds[0].fd, &info, sizeof info) == sizeof info) {
            printf("got %d value %d\n", ++count, info.ssi_int);
            continue;
        }
        char line[64] = "";
        if (fds[1].revents != 0 && (read(0, line, sizeof line - 1) <= 0 || strstr(line, "end")))
            break;
        if (strstr(line, "group"))
            kill(0, number);
    }
    printf("total %d\n", count);
    return 0;
}
