// Throws from a deep call that reads a clock, and catches in main: C++ exceptions need the same
// unwinder that would stumble over a damaged vDSO entry in the list of loaded objects.
// Prints `CAUGHT depth` and ends with 0 when the exception arrived with the right depth.

#include <cstdio>
#include <ctime>
#include <stdexcept>

namespace {

constexpr int kDepth = 64;

struct TooDeep : std::runtime_error {
    explicit TooDeep(int depth) : std::runtime_error("too deep"), depth(depth) {}
    int depth;
};

__attribute__((noinline)) int Descend(int depth) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (depth == kDepth)
        throw TooDeep(depth);
    // What is done with the result keeps this from becoming a loop.
    return Descend(depth + 1) + static_cast<int>(now.tv_nsec & 1);
}

}  // namespace

int main() {
    try {
        return Descend(0) < 0;
    } catch (const TooDeep& caught) {
        std::printf("CAUGHT %d\n", caught.depth);
        return caught.depth == kDepth ? 0 : 1;
    }
}
