// Throws out of a handler that interrupts a wait, through the frames of whoever makes that call: `thrown SCALE`.
// Built with -fnon-call-exceptions, as what interrupts it is no call.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <poll.h>
#include <sys/time.h>

namespace {

struct Interrupted {};

int destroyed = 0;

struct Guard {
    ~Guard() { destroyed++; }
};

void Throw(int) { throw Interrupted(); }

long long scale;

__attribute__((noinline)) void Wait(int kind) {
    Guard guard;
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1000 * scale;
    timespec span = {static_cast<time_t>(1000 * scale), 0};
    switch (kind) {
    case 0: nanosleep(&span, nullptr); break;
    case 1: clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr); break;
    default: poll(nullptr, 0, 1000000); break;
    }
    std::puts("came back");
}

}  // namespace

int main(int, char** arguments) {
    scale = std::atoll(arguments[1]);
    struct sigaction action = {};
    action.sa_handler = Throw;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGALRM, &action, nullptr);
    int caught = 0;
    for (int i = 0; i < 9; i++) {
        const auto usec = 50000 * scale;
        itimerval soon = {{0, 0}, {static_cast<time_t>(usec / 1000000), static_cast<suseconds_t>(usec % 1000000)}};
        try {
            setitimer(ITIMER_REAL, &soon, nullptr);
            Wait(i % 3);
        } catch (Interrupted) {
            caught++;
        }
    }
    std::printf("caught %d, destroyed %d\n", caught, destroyed);
}
