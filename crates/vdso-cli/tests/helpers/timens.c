// Enters a time namespace with a MONOTONIC that is 1000 s ahead, without executing anything, and
// prints every clock there: `fork` enters it with a child, `setns` enters it itself. Needs
// CAP_SYS_ADMIN. Source: time_namespaces(7).

#define main clocks_main
#include "clocks.c"
#undef main

#include <fcntl.h>
#include <sched.h>

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    // From before, so that a reader that keeps something keeps it.
    for (size_t i = 0; i < CLOCK_COUNT; i++)
        CLOCKS[i].library(CLOCKS[i].id);
    if (unshare(CLONE_NEWTIME) != 0)
        return fail("unshare");
    FILE *offsets = fopen("/proc/self/timens_offsets", "w");
    if (offsets == NULL || fputs("monotonic 1000 0\nboottime 2000 0\n", offsets) < 0
        || fclose(offsets) != 0)
        return fail("timens_offsets");
    if (strcmp(argv[1], "setns") == 0) {
        int inside = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
        if (inside < 0 || setns(inside, CLONE_NEWTIME) != 0)
            return fail("setns");
        print_clocks();
        return 0;
    }
    pid_t child = fork();
    if (child == 0) {
        print_clocks();
        _exit(0);
    }
    // The parent is still outside.
    int failed = wait_for(child);
    print_clocks();
    return failed;
}
