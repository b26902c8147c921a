// Waits of C++'s own: prints for each whether it was as long as it was to be.

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <mutex>
#include <pthread.h>
#include <semaphore.h>
#include <shared_mutex>
#include <thread>
#include <threads.h>

using namespace std::chrono;

int main(int, char** arguments) {
    const auto span = duration_cast<nanoseconds>(duration<double>(std::atof(arguments[1])));
    // By the clock that the wait is on.
    const auto check = [span](const char* name, bool is_realtime, const std::function<void()>& wait) {
        const auto steady = steady_clock::now();
        const auto system = system_clock::now();
        wait();
        const nanoseconds took = is_realtime ? nanoseconds(system_clock::now() - system) : nanoseconds(steady_clock::now() - steady);
        std::printf("%s %s\n", name, took >= span ? "waited" : "early");
    };
    const auto until = [span] { return system_clock::now() + span; };
    const auto spec = [until] {
        const auto ns = duration_cast<nanoseconds>(until().time_since_epoch()).count();
        return timespec{static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};
    };
    std::mutex mutex;
    std::condition_variable condition;
    check("sleep_for", false, [&] { std::this_thread::sleep_for(span); });
    check("sleep_until", true, [&] { std::this_thread::sleep_until(until()); });
    check("wait_for", false, [&] {
        std::unique_lock lock(mutex);
        condition.wait_for(lock, span, [] { return false; });
    });
    check("wait_until", true, [&] {
        std::unique_lock lock(mutex);
        condition.wait_until(lock, until(), [] { return false; });
    });
    check("future", false, [&] {
        std::promise<int> promise;
        promise.get_future().wait_for(span);
    });
    check("timed_mutex", true, [&] {
        std::timed_mutex timed;
        timed.lock();
        std::thread([&] { timed.try_lock_until(until()); }).join();
    });
    check("shared_timed_mutex", true, [&] {
        std::shared_timed_mutex timed;
        timed.lock();
        std::thread([&] { timed.try_lock_shared_until(until()); }).join();
    });
    check("sem_timedwait", true, [&] {
        sem_t semaphore;
        sem_init(&semaphore, 0, 0);
        const auto when = spec();
        sem_timedwait(&semaphore, &when);
    });
    check("pthread_timedjoin", true, [&] {
        std::thread thread([&] { std::this_thread::sleep_for(2 * span); });
        const auto when = spec();
        pthread_timedjoin_np(thread.native_handle(), nullptr, &when);
        thread.join();
    });
    check("pthread_mutex_clocklock", false, [&] {
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&lock);
        timespec when;
        clock_gettime(CLOCK_MONOTONIC, &when);
        const auto ns = when.tv_sec * 1000000000LL + when.tv_nsec + span.count();
        when = {static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};
        pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &when);
    });
    check("cnd_timedwait", true, [&] {
        cnd_t cnd;
        mtx_t mtx;
        cnd_init(&cnd);
        mtx_init(&mtx, mtx_plain);
        mtx_lock(&mtx);
        const auto when = spec();
        while (cnd_timedwait(&cnd, &mtx, &when) != thrd_timedout) {
        }
    });
}
