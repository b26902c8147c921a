// Throws out of a handler that interrupts a wait, through the frames of whoever makes that call: `thrown SCALE`.
// Built with -fnon-call-exceptions, as what interrupts it is no call.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

struct Interrupted {};

int destroyed = 0;

struct Guard {
    ~Guard() { destroyed++; }
};

void Throw(int) { throw Interrupted(); }

long long scale;

// Interrupts the first thread in its wait.
void* Interrupt(void*) {
    const auto path = "/proc/self/task/" + std::to_string(getpid()) + "/wchan";
    std::string where;
    do {
        sched_yield();
        char text[128];
        const int fd = open(path.c_str(), O_RDONLY);
        const auto bytes = read(fd, text, sizeof text);
        close(fd);
        where.assign(text, bytes > 0 ? bytes : 0);
    } while (where.find("nanosleep") == where.npos && where.find("poll") == where.npos);
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    return nullptr;
}

__attribute__((noinline)) void Wait(int kind) {
    Guard guard;
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1000 * scale;
    timespec span = {static_cast<time_t>(1000 * scale), 0};
    switch (kind) {
    case 0: nanosleep(&span, nullptr); break;
    case 1: clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr); break;
    default: poll(nullptr, 0, 1000000000); break;
    }
    std::puts("came back");
}

}  // namespace

int main(int, char** arguments) {
    scale = std::atoll(arguments[1]);
    struct sigaction action = {};
    action.sa_handler = Throw;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGUSR1, &action, nullptr);
    // A call site that is used often may be rewritten.
    for (int i = 0; i < 8; i++) {
        const timespec soon = {0, 1000};
        nanosleep(&soon, nullptr);
        clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &soon, nullptr);
        poll(nullptr, 0, 1);
    }
    int caught = 0;
    for (int i = 0; i < 9; i++) {
        pthread_t other;
        pthread_create(&other, nullptr, Interrupt, nullptr);
        try {
            Wait(i % 3);
        } catch (Interrupted) {
            caught++;
        }
        pthread_join(other, nullptr);
    }
    std::printf("caught %d, destroyed %d\n", caught, destroyed);
}
