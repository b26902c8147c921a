// Draws random bytes from the vDSO's getrandom in all the ways in which a program's memory is shared,
// copied and interrupted, all at once, and says whether any bytes came twice.
//
//     storm ROUNDS [kept | reentered]
//
// Each of the threads has a state of its own, as with a C library, and in each round is forked, vforked
// and cloned, with and without its memory, while signals interrupt it; their handlers draw from the
// same state, and now and then fork. All blocks go to memory that is shared by all. At the end each
// half of a block is compared with every other.
//
// With `kept`, states are in memory that a child has as its parent has it: then bytes must come twice,
// or this program would not notice when they do.
//
// With `reentered`, a child that a handler has made draws in the handler from the state that was
// interrupted. The state is wiped, so nothing in it says that it is in use, and what was interrupted
// goes on with what it has in registers: the kernel's function then gives what the parent is given.
// C libraries therefore note elsewhere that they are in the function, as this program does otherwise.
//
// It prints NAME COUNT on each line, and ends with 0 if no bytes came twice, with 3 if some did.

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/futex.h>
#include <unistd.h>

#include "vgetrandom.h"

#define WORKERS 4
#define STATES_PER_WORKER 3
#define BLOCK_BYTES 32
#define HALF_BYTES 16
#define MOST_BLOCKS (1 << 20)
#define BLOCKS_PER_CALL 64
#define STACK_BYTES 65536
#define SIGNALS_PER_FORK 16
#define LEAST_SIGNALS 64
#define EXIT_REPEATED 3

// The states of a worker: its own, that of what it clones into its own memory, that of a thread.
enum { OWN, CLONED, THREAD };

enum count { FORKS, VFORKS, CLONES, VM_PROCESSES, VM_THREADS, THREADS, SIGNALS, HANDLER_FORKS, COUNTS };

static const char *const count_names[COUNTS] = {
    "FORKS",      "VFORKS",  "CLONES",  "VM_PROCESSES",
    "VM_THREADS", "THREADS", "SIGNALS", "HANDLER_FORKS",
};

// Shared by every process.
struct arena {
    _Atomic size_t used;
    _Atomic size_t errors;
    _Atomic size_t counts[COUNTS];
    unsigned char blocks[MOST_BLOCKS][BLOCK_BYTES];
};

struct worker {
    pthread_t thread;
    size_t index;
    unsigned int rounds;
    // A signal is under way to it.
    _Atomic int is_signalled;
    _Atomic unsigned int signals;
    _Atomic int is_done;
    unsigned char *stack;
    // For the kernel, which clears it when a cloned thread has ended.
    _Atomic pid_t cloned_tid;
};

static vgetrandom_function *function;
static struct states states;
static struct arena *arena;
static struct worker workers[WORKERS];

static _Thread_local struct worker *self;
// Whether the function has been entered and not left.
static _Thread_local volatile sig_atomic_t is_drawing;
// Set where a handler has made this process.
static volatile sig_atomic_t is_handlers_child;
static int is_reentered;

static void *state_of(const struct worker *worker, int which) {
    return state_at(&states, worker->index * STATES_PER_WORKER + (size_t)which);
}

static void count(enum count which) { atomic_fetch_add(&arena->counts[which], 1); }

static void fill(void *state, unsigned char *buffer, size_t wanted) {
    int was_drawing = is_drawing;
    is_drawing = 1;
    for (size_t filled = 0; filled < wanted;) {
        ssize_t answer = function(buffer + filled, wanted - filled, 0, state, states.state_length);
        if (answer > 0) {
            filled += (size_t)answer;
        } else if (answer != -EINTR) {
            atomic_fetch_add(&arena->errors, 1);
            break;
        }
    }
    is_drawing = was_drawing;
}

// Draws so many blocks by one call.
static void draw(void *state, size_t number) {
    unsigned char blocks[BLOCKS_PER_CALL][BLOCK_BYTES];
    // Their place is taken beforehand. A handler's child goes on with what was interrupted as its parent
    // does, and may well have been given the same bytes already: those then come to the same place.
    size_t place = atomic_fetch_add(&arena->used, number);
    if (place + number > MOST_BLOCKS) {
        atomic_fetch_add(&arena->errors, 1);
        return;
    }
    fill(state, *blocks, number * BLOCK_BYTES);
    memcpy(arena->blocks[place], blocks, number * BLOCK_BYTES);
}

// Calls of all lengths, across the ends of what a state holds at once.
static void draw_some(void *state) {
    for (size_t number = 1; number <= BLOCKS_PER_CALL; number *= 2) draw(state, number);
    for (int i = 0; i < 8; i++) draw(state, 1);
}

static pid_t clone_like_fork(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

static void handle(int signal) {
    (void)signal;
    int saved = errno;
    draw(state_of(self, OWN), 1);
    count(SIGNALS);
    if (atomic_fetch_add(&self->signals, 1) % SIGNALS_PER_FORK == 0 && !is_handlers_child) {
        // Not fork(3), which a handler may not call.
        pid_t child = clone_like_fork();
        if (child == 0) {
            is_handlers_child = 1;
            if (!is_drawing || is_reentered) draw_some(state_of(self, OWN));
            // Back into whatever was interrupted; who waits or is uninterrupted next ends the process.
        } else {
            count(HANDLER_FORKS);
        }
    }
    atomic_store(&self->is_signalled, 0);
    errno = saved;
}

// Draws once more, after what was interrupted has come to its end, and ends.
static void end_if_handlers_child(void) {
    if (!is_handlers_child) return;
    draw_some(state_of(self, OWN));
    _exit(0);
}

static void wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) == -1) {
        end_if_handlers_child();
        if (errno != EINTR) {
            atomic_fetch_add(&arena->errors, 1);
            return;
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) atomic_fetch_add(&arena->errors, 1);
}

static void set_signals(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, NULL);
}

// No signal until `interruptible`. A handler's child must not come to a C library's function that locks:
// another thread may have held the lock when it was made.
static void uninterrupted(void) {
    set_signals(SIG_BLOCK);
    end_if_handlers_child();
}

static void interruptible(void) { set_signals(SIG_UNBLOCK); }

// After a child has been made, uninterrupted: both draw from the state that they have from before.
static void draw_on_both_sides(pid_t child, enum count which) {
    if (child == 0) {
        draw_some(state_of(self, OWN));
        _exit(0);
    }
    count(which);
    interruptible();
    draw_some(state_of(self, OWN));
    wait_for(child);
}

static void draw_in_fork(void) {
    uninterrupted();
    draw_on_both_sides(fork(), FORKS);
}

static void draw_in_clone(void) {
    uninterrupted();
    draw_on_both_sides(clone_like_fork(), CLONES);
}

// Its parent waits in vfork, so it may use its state, as a C library's function does there.
static void draw_in_vfork(void) {
    uninterrupted();
    pid_t child = vfork();
    if (child == 0) {
        draw_some(state_of(self, OWN));
        _exit(0);
    }
    count(VFORKS);
    interruptible();
    wait_for(child);
}

// Without a C library's thread: no memory of its own but a stack and a state.
static int draw_as_clone(void *worker) {
    draw_some(state_of(worker, CLONED));
    return 0;
}

// It has its parent's thread-local variables, so no signal may come to it either.
static void draw_in_process_of_this_memory(void) {
    uninterrupted();
    pid_t child = clone(draw_as_clone, self->stack + STACK_BYTES, CLONE_VM | SIGCHLD, self);
    count(VM_PROCESSES);
    interruptible();
    draw_some(state_of(self, OWN));
    wait_for(child);
}

static void draw_in_bare_thread(void) {
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;
    uninterrupted();
    if (clone(draw_as_clone, self->stack + STACK_BYTES, flags, self, &self->cloned_tid, NULL,
              &self->cloned_tid) == -1)
        atomic_fetch_add(&arena->errors, 1);
    count(VM_THREADS);
    interruptible();
    draw_some(state_of(self, OWN));
    uninterrupted();
    pid_t tid;
    while ((tid = atomic_load(&self->cloned_tid)) != 0)
        syscall(SYS_futex, &self->cloned_tid, FUTEX_WAIT, tid, NULL, NULL, 0);
    interruptible();
}

static void *draw_as_thread(void *worker) {
    draw_some(state_of(worker, THREAD));
    return NULL;
}

static void draw_in_thread(void) {
    pthread_t thread;
    uninterrupted();
    if (pthread_create(&thread, NULL, draw_as_thread, self)) {
        atomic_fetch_add(&arena->errors, 1);
        return;
    }
    interruptible();
    draw_some(state_of(self, OWN));
    uninterrupted();
    pthread_join(thread, NULL);
    count(THREADS);
    interruptible();
}

static void *work(void *worker) {
    self = worker;
    interruptible();
    for (unsigned int round = 0; round < self->rounds; round++) {
        draw_in_fork();
        draw_in_vfork();
        draw_in_clone();
        draw_in_process_of_this_memory();
        draw_in_bare_thread();
        draw_in_thread();
    }
    // On a busy machine nobody may have come to interrupt it.
    while (atomic_load(&self->signals) < LEAST_SIGNALS) {
        unsigned char unrecorded[BLOCKS_PER_CALL * BLOCK_BYTES];
        fill(state_of(self, OWN), unrecorded, sizeof unrecorded);
        end_if_handlers_child();
    }
    uninterrupted();
    atomic_store(&self->is_done, 1);
    return NULL;
}

// The next signal goes out when the last one has been handled, so handlers do not starve the rest.
static int signal_workers(void) {
    int working = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        if (atomic_load(&workers[i].is_done)) continue;
        working = 1;
        // Half of the room is for whatever the workers do by themselves.
        if (atomic_load(&workers[i].signals) >= LEAST_SIGNALS &&
            atomic_load(&arena->used) > MOST_BLOCKS / 2)
            continue;
        if (!atomic_exchange(&workers[i].is_signalled, 1)) pthread_kill(workers[i].thread, SIGUSR1);
    }
    return working;
}

static void storm(unsigned int rounds) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    set_signals(SIG_BLOCK);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i].index = i;
        workers[i].rounds = rounds;
        workers[i].stack = malloc(STACK_BYTES);
        if (!workers[i].stack || pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
            fprintf(stderr, "cannot start a thread\n");
            exit(1);
        }
    }
    while (signal_workers()) sched_yield();
    for (size_t i = 0; i < WORKERS; i++) pthread_join(workers[i].thread, NULL);
    // The children of handlers.
    int status;
    while (wait(&status) != -1) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) atomic_fetch_add(&arena->errors, 1);
    }
}

static int compare(const void *one, const void *other) { return memcmp(one, other, HALF_BYTES); }

// Prints what came twice and what is all zeros; whether anything is.
static int report(void) {
    static const unsigned char zeros[HALF_BYTES];
    size_t used = atomic_load(&arena->used);
    size_t halves = (used < MOST_BLOCKS ? used : MOST_BLOCKS) * 2, repeats = 0, empty = 0;
    unsigned char(*half)[HALF_BYTES] = (void *)arena->blocks;
    qsort(half, halves, HALF_BYTES, compare);
    for (size_t i = 0; i < halves; i++) {
        repeats += i > 0 && compare(half[i - 1], half[i]) == 0;
        empty += compare(half[i], zeros) == 0;
    }
    for (int i = 0; i < COUNTS; i++)
        printf("%s %zu\n", count_names[i], atomic_load(&arena->counts[i]));
    size_t states_used = 0;
    for (size_t i = 0; i < WORKERS * STATES_PER_WORKER; i++)
        states_used += (size_t)is_used(&states, i);
    printf("STATE_BYTES %zu\nSTATES_USED %zu\nHALVES %zu\nREPEATS %zu\nEMPTY %zu\nERRORS %zu\n",
           states.state_length, states_used, halves, repeats, empty, atomic_load(&arena->errors));
    return repeats > 0 || empty > 0;
}

int main(int argc, char **argv) {
    int is_kept = argc == 3 && strcmp(argv[2], "kept") == 0;
    is_reentered = argc == 3 && strcmp(argv[2], "reentered") == 0;
    if (argc < 2 || (argc > 2 && !is_kept && !is_reentered)) {
        fprintf(stderr, "usage: storm ROUNDS [kept | reentered]\n");
        return 2;
    }
    function = find_vgetrandom();
    if (!function) return EXIT_NO_FUNCTION;
    struct parameters parameters = parameters_of(function);
    uint32_t flags = is_kept ? MAP_PRIVATE | MAP_ANONYMOUS : parameters.flags;
    states = map_states(&parameters, WORKERS * STATES_PER_WORKER, flags);
    arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        perror("cannot map shared memory");
        return 1;
    }
    storm((unsigned int)atoi(argv[1]));
    int is_repeated = report();
    if (atomic_load(&arena->errors) > 0) return 1;
    return is_repeated ? EXIT_REPEATED : 0;
}
