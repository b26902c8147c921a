// Writes random bytes of the vDSO's getrandom to standard output, for statistical tests.
//
//     stream BYTES
//
// They come from calls of many lengths, one after another, and from one state, as in a program.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vgetrandom.h"

#define BUFFER_BYTES 65536

// Below, at and above what a state holds at once, and what programs ask for.
static const size_t lengths[] = {1, 7, 16, 32, 48, 95, 96, 97, 256, 479, 480, 481, 1000, 4096};

static void fill(vgetrandom_function *function, const struct states *states,
                 unsigned char *buffer) {
    static size_t next;
    for (size_t filled = 0; filled < BUFFER_BYTES;) {
        size_t length = lengths[next++ % (sizeof lengths / sizeof *lengths)];
        if (length > BUFFER_BYTES - filled) length = BUFFER_BYTES - filled;
        ssize_t answer =
            function(buffer + filled, length, 0, state_at(states, 0), states->state_length);
        if (answer <= 0) {
            fprintf(stderr, "the function gives no bytes, but %zd\n", answer);
            exit(1);
        }
        filled += (size_t)answer;
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: stream BYTES\n");
        return 2;
    }
    unsigned long long left = strtoull(argv[1], NULL, 10);
    vgetrandom_function *function = find_vgetrandom();
    if (!function) return EXIT_NO_FUNCTION;
    struct parameters parameters = parameters_of(function);
    struct states states = map_states(&parameters, 1, parameters.flags);
    static unsigned char buffer[BUFFER_BYTES];
    while (left > 0) {
        fill(function, &states, buffer);
        size_t wanted = left < sizeof buffer ? (size_t)left : sizeof buffer;
        for (size_t written = 0; written < wanted;) {
            ssize_t result = write(STDOUT_FILENO, buffer + written, wanted - written);
            if (result < 0 && errno == EINTR) continue;
            if (result < 0) {
                perror("cannot write");
                return 1;
            }
            written += (size_t)result;
        }
        left -= wanted;
    }
    if (!is_used(&states, 0)) {
        fprintf(stderr, "the function has not used its state\n");
        return 1;
    }
    return 0;
}
