// Writes the vDSO that the auxiliary vector announces to the file named first, the whole of its
// mapping, says so, and waits for the end of its input. With "undumpable" behind it, it first takes
// away the right to look into it; with "headless" its first thread ends and another one waits. Sources:
// getauxval(3), proc_pid_maps(5), PR_SET_DUMPABLE(2const), pthread_exit(3).

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *wait_for_the_end(void *first) {
    pthread_join(*(pthread_t *)first, NULL);
    printf("ready %lx\n", getauxval(AT_SYSINFO_EHDR));
    fflush(stdout);
    getchar();
    _exit(0);
}

int main(int argc, char **argv) {
    unsigned long image = getauxval(AT_SYSINFO_EHDR), start = 0, end = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    while (start != image && fgets(line, sizeof line, maps))
        sscanf(line, "%lx-%lx", &start, &end);
    FILE *out = fopen(argc > 1 ? argv[1] : "/dev/null", "w");
    fwrite((void *)image, 1, end - start, out);
    fclose(out);
    if (argc > 2 && strcmp(argv[2], "undumpable") == 0)
        prctl(PR_SET_DUMPABLE, 0);
    if (argc > 2 && strcmp(argv[2], "headless") == 0) {
        static pthread_t first, other;
        first = pthread_self();
        pthread_create(&other, NULL, wait_for_the_end, &first);
        pthread_exit(NULL);
    }
    printf("ready %lx\n", image);
    fflush(stdout);
    getchar();
    return 0;
}
