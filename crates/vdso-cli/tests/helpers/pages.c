// Tries to get write access to the clock's pages, which other processes share, and prints what came
// of each try. Sources: mprotect(2), proc_pid_map_files(5).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *outcome(int failed) {
    return failed ? strerrorname_np(errno) : "allowed";
}

// A store, in a child: it is to die of it.
static const char *store(char *at) {
    pid_t child = fork();
    if (child == 0) {
        *(volatile char *)at = 1;
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "allowed";
}

static const char *open_file(unsigned long start, unsigned long end) {
    char path[128];
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", start, end);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return outcome(1);
    if (pwrite(fd, "x", 1, 0) == 1)
        return "written";
    void *mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return outcome(mapping == MAP_FAILED);
}

int main(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        char rights[8];
        if (strstr(line, "/memfd:vdso-") == NULL
            || sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3)
            continue;
        printf("%s store: %s\n", rights, store((char *)start));
        printf("%s file: %s\n", rights, open_file(start, end));
        if (rights[3] == 's')
            printf("%s mprotect: %s\n", rights,
                   outcome(mprotect((void *)start, end - start, PROT_READ | PROT_WRITE)));
    }
    return 0;
}
