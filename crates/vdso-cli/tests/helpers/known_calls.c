// Reads the time as often as it is told, by the C library's clock_gettime(3), gettimeofday(3) and time(3), in turns, and
// says who did: `PID n`. A C library makes each of these by one of the three system calls, if there is no vDSO.

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int count = argc == 2 ? atoi(argv[1]) : 0;
    printf("PID %d\n", getpid());
    for (int done = 0; done < count; done++) {
        struct timespec now;
        struct timeval then;
        if (done % 3 == 0)
            clock_gettime(done % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &now);
        else if (done % 3 == 1)
            gettimeofday(&then, NULL);
        else
            time(NULL);
    }
    return 0;
}
