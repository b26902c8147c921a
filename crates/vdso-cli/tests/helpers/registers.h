// What registers.c and registers_i386.c have in common: the calls, and what is printed of them.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 1 << 16 };
// One in the program's data, where a program may have many and small ones, and one where the kernel maps stacks.
static uint8_t *stack, low_stack[STACK_BYTES] __attribute__((aligned(4096)));

static int differences;

static void differs(const char *call, const char *what, int which)
{
	printf("%s: %s %d differs\n", call, what, which);
	differences++;
}

// Carry, parity, zero, sign, direction, overflow
enum { FLAGS = 1 | 4 | 64 | 128 | 1024 | 2048 };

// Makes a call with patterns everywhere else, and tells what differs afterwards.
static void look(const char *call, long number, const unsigned long *arguments, long result, unsigned long flags);

int main(int count, char **arguments)
{
	if (count != 2)
		return 2;
	static struct timespec span, until, far;
	static struct itimerspec timer;
	static int word;
	long long ns = atof(arguments[1]) * 1e9;
	span = (struct timespec){ ns / 1000000000, ns % 1000000000 };
	far = (struct timespec){ 1000000000, 0 };
	// Not timer_create: what that gives is no number for the kernel.
	int id = 0;
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += span.tv_sec + 1;
	timer.it_value = far;
	unsigned long patterns[6];
	for (int i = 0; i < 6; i++)
		patterns[i] = (unsigned long)0xcccc0000dddd0000ull | i;
	uint8_t *high_stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 4; i++) {
		unsigned long flags = i % 2 * FLAGS;
		stack = i < 2 ? low_stack : high_stack;
#define LOOK(call, result, ...)                                                                                        \
	do {                                                                                                           \
		unsigned long all[6] = { __VA_ARGS__ };                                                                     \
		for (int i = sizeof((unsigned long[]){ __VA_ARGS__ }) / sizeof *all; i < 6; i++)                                      \
			all[i] = patterns[i];                                                                          \
		look(#call, SYS_##call, all, result, flags);                                                           \
	} while (0)
		LOOK(nanosleep, 0, (unsigned long)&span, 0);
		LOOK(clock_nanosleep, 0, CLOCK_MONOTONIC, 0, (unsigned long)&span, 0);
		LOOK(clock_nanosleep, 0, CLOCK_REALTIME, TIMER_ABSTIME, (unsigned long)&until, 0);
		LOOK(clock_nanosleep, -EINVAL, CLOCK_REALTIME, 0, (unsigned long)&(struct timespec){ -1, 0 }, 0);
		LOOK(clock_nanosleep, -EFAULT, CLOCK_REALTIME, TIMER_ABSTIME, 8, 0);
		LOOK(futex, -ETIMEDOUT, (unsigned long)&word, FUTEX_WAIT, 0, (unsigned long)&span);
		LOOK(futex, -ETIMEDOUT, (unsigned long)&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, (unsigned long)&until, 0, ~0u);
		LOOK(poll, 0, 0, 0, 5);
		LOOK(ppoll, 0, 0, 0, (unsigned long)&(struct timespec){ 0, 5000000 }, 0, 8);
		LOOK(pselect6, 0, 0, 0, 0, 0, (unsigned long)&(struct timespec){ 0, 5000000 }, 0);
#ifdef SYS__newselect
		LOOK(_newselect, 0, 0, 0, 0, 0, (unsigned long)&(struct timespec){ 0, 5000 });
#else
		LOOK(select, 0, 0, 0, 0, 0, (unsigned long)&(struct timespec){ 0, 5000 });
#endif
		LOOK(timer_settime, 0, id, 0, (unsigned long)&timer, 0);
		LOOK(timer_settime, 0, id, TIMER_ABSTIME, (unsigned long)&timer, 0);
		LOOK(alarm, 0, 0);
	}
	puts(differences ? "not the same" : "the same");
	return 0;
}
