// Looks whether a system call with a time leaves a thread all that the kernel leaves it: `registers SECONDS` makes some,
// each with patterns in all registers, below the stack pointer and above it. Prints what differs, or `the same`.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 16, VECTORS = 16, RED = 16, ABOVE = 64 };

struct state {
	// rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15
	uint64_t words[WORDS];
	uint64_t flags;
	uint32_t mxcsr, control;
	uint64_t red_zone[RED];
	uint64_t above[ABOVE];
	uint8_t vectors[VECTORS][32];
};

// Used by the assembly, which has no register left for an address.
struct state given, found;
uint64_t saved[8];

enum { STACK_BYTES = 1 << 16 };
// One in the program's data, where a program may have many and small ones, and one where the kernel maps stacks.
static uint8_t *stack, low_stack[STACK_BYTES] __attribute__((aligned(4096)));

extern char behind[];

__attribute__((target("avx"), noinline)) static void make(void)
{
	__asm__ volatile(
		"mov %%rbx, saved(%%rip)\n"
		"mov %%rbp, saved+8(%%rip)\n"
		"mov %%r12, saved+16(%%rip)\n"
		"mov %%r13, saved+24(%%rip)\n"
		"mov %%r14, saved+32(%%rip)\n"
		"mov %%r15, saved+40(%%rip)\n"
		"mov %%rsp, saved+48(%%rip)\n"
		".set vector, 0\n"
		".irp register, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		"vmovdqu given+%c[vectors]+32*vector(%%rip), %%ymm\\register\n"
		".set vector, vector+1\n"
		".endr\n"
		"ldmxcsr given+%c[mxcsr](%%rip)\n"
		"fldcw given+%c[control](%%rip)\n"
		"fld1\n"
		"mov given+7*8(%%rip), %%rsp\n"
		"pushq given+%c[flags](%%rip)\n"
		// Behind this pattern the red zone is written again.
		"popfq\n"
		"mov given+%c[red]-8+16*8(%%rip), %%rax\n"
		"mov %%rax, -8(%%rsp)\n"
		"mov given(%%rip), %%rax\n"
		"mov given+8(%%rip), %%rbx\n"
		"mov given+2*8(%%rip), %%rcx\n"
		"mov given+3*8(%%rip), %%rdx\n"
		"mov given+4*8(%%rip), %%rsi\n"
		"mov given+5*8(%%rip), %%rdi\n"
		"mov given+6*8(%%rip), %%rbp\n"
		"mov given+8*8(%%rip), %%r8\n"
		"mov given+9*8(%%rip), %%r9\n"
		"mov given+10*8(%%rip), %%r10\n"
		"mov given+11*8(%%rip), %%r11\n"
		"mov given+12*8(%%rip), %%r12\n"
		"mov given+13*8(%%rip), %%r13\n"
		"mov given+14*8(%%rip), %%r14\n"
		"mov given+15*8(%%rip), %%r15\n"
		"syscall\n"
		".globl behind\n"
		"behind:\n"
		"mov %%rax, found(%%rip)\n"
		"mov %%rbx, found+8(%%rip)\n"
		"mov %%rcx, found+2*8(%%rip)\n"
		"mov %%rdx, found+3*8(%%rip)\n"
		"mov %%rsi, found+4*8(%%rip)\n"
		"mov %%rdi, found+5*8(%%rip)\n"
		"mov %%rbp, found+6*8(%%rip)\n"
		"mov %%rsp, found+7*8(%%rip)\n"
		"mov %%r8, found+8*8(%%rip)\n"
		"mov %%r9, found+9*8(%%rip)\n"
		"mov %%r10, found+10*8(%%rip)\n"
		"mov %%r11, found+11*8(%%rip)\n"
		"mov %%r12, found+12*8(%%rip)\n"
		"mov %%r13, found+13*8(%%rip)\n"
		"mov %%r14, found+14*8(%%rip)\n"
		"mov %%r15, found+15*8(%%rip)\n"
		// The red zone is the caller's until here.
		".set word, 0\n"
		".rept 16\n"
		"mov -128+8*word(%%rsp), %%rax\n"
		"mov %%rax, found+%c[red]+8*word(%%rip)\n"
		".set word, word+1\n"
		".endr\n"
		"pushfq\n"
		"popq found+%c[flags](%%rip)\n"
		"cld\n"
		"stmxcsr found+%c[mxcsr](%%rip)\n"
		"fnstcw found+%c[control](%%rip)\n"
		"fstp %%st(0)\n"
		".set vector, 0\n"
		".irp register, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
		"vmovdqu %%ymm\\register, found+%c[vectors]+32*vector(%%rip)\n"
		".set vector, vector+1\n"
		".endr\n"
		"vzeroupper\n"
		"mov saved(%%rip), %%rbx\n"
		"mov saved+8(%%rip), %%rbp\n"
		"mov saved+16(%%rip), %%r12\n"
		"mov saved+24(%%rip), %%r13\n"
		"mov saved+32(%%rip), %%r14\n"
		"mov saved+40(%%rip), %%r15\n"
		"mov saved+48(%%rip), %%rsp\n"
		:
		: [vectors] "i"(__builtin_offsetof(struct state, vectors)), [mxcsr] "i"(__builtin_offsetof(struct state, mxcsr)),
		  [control] "i"(__builtin_offsetof(struct state, control)), [flags] "i"(__builtin_offsetof(struct state, flags)),
		  [red] "i"(__builtin_offsetof(struct state, red_zone))
		: "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}

static int differences;

static void differs(const char *call, const char *what, int which)
{
	printf("%s: %s %d differs\n", call, what, which);
	differences++;
}

// Carry, parity, zero, sign, direction, overflow
enum { FLAGS = 1 | 4 | 64 | 128 | 1024 | 2048 };

static void look(const char *call, long number, const uint64_t *arguments, long result, uint64_t flags)
{
	static const int places[6] = { 5, 4, 3, 10, 8, 9 };
	uint64_t *top = (uint64_t *)(stack + STACK_BYTES / 2);
	for (int i = 0; i < WORDS; i++)
		given.words[i] = 0x1111111111111111ull * (i + 1);
	given.words[0] = number;
	given.words[7] = (uint64_t)top;
	for (int i = 0; i < 6; i++)
		given.words[places[i]] = arguments[i];
	given.flags = flags | 2;
	given.mxcsr = 0x1f80 | 3 << 13;
	given.control = 0x037f | 3 << 10;
	memset(stack, 0xee, STACK_BYTES / 2);
	for (int i = 0; i < RED; i++)
		top[i - RED] = given.red_zone[i] = 0xaaaa000000000000 | i;
	for (int i = 0; i < ABOVE; i++)
		top[i] = given.above[i] = 0xbbbb000000000000 | i;
	for (int i = 0; i < VECTORS * 32; i++)
		given.vectors[i / 32][i % 32] = i * 7;
	memset(&found, 0, sizeof found);
	make();
	for (int i = 1; i < WORDS; i++)
		if (i != 2 && i != 11 && found.words[i] != given.words[i])
			differs(call, "word", i);
	if ((long)found.words[0] != result) {
		printf("%s: result %ld\n", call, (long)found.words[0]);
		differences++;
	}
	// The instruction's own: where it was, and the flags.
	if (found.words[2] != (uint64_t)behind)
		differs(call, "word", 2);
	if ((found.words[11] & FLAGS) != flags)
		differs(call, "word", 11);
	if ((found.flags & FLAGS) != flags)
		differs(call, "flags", (int)found.flags);
	if (found.mxcsr != given.mxcsr || (uint16_t)found.control != (uint16_t)given.control)
		differs(call, "control", 0);
	for (int i = 0; i < RED; i++)
		if (found.red_zone[i] != given.red_zone[i])
			differs(call, "red zone", i);
	for (int i = 0; i < ABOVE; i++)
		if (top[i] != given.above[i])
			differs(call, "stack", i);
	// Of a small stack little is used beyond the red zone, of another not much.
	int untouched = 0;
	while (untouched < STACK_BYTES / 2 && stack[untouched] == 0xee)
		untouched++;
	int used = STACK_BYTES / 2 - 8 * RED - untouched;
	if (used > (stack == low_stack ? 144 : 1200))
		differs(call, "room used: ", used);
	for (int i = 0; i < VECTORS; i++)
		if (memcmp(found.vectors[i], given.vectors[i], 32))
			differs(call, "vector", i);
}

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
	timer_t id;
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	timer_create(CLOCK_MONOTONIC, &event, &id);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += span.tv_sec + 1;
	timer.it_value = far;
	uint64_t patterns[6];
	for (int i = 0; i < 6; i++)
		patterns[i] = 0xcccc0000dddd0000 | i;
	uint8_t *high_stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 4; i++) {
		uint64_t flags = i % 2 * FLAGS;
		stack = i < 2 ? low_stack : high_stack;
#define LOOK(call, result, ...)                                                                                        \
	do {                                                                                                           \
		uint64_t all[6] = { __VA_ARGS__ };                                                                     \
		for (int i = sizeof((uint64_t[]){ __VA_ARGS__ }) / 8; i < 6; i++)                                      \
			all[i] = patterns[i];                                                                          \
		look(#call, SYS_##call, all, result, flags);                                                           \
	} while (0)
		LOOK(nanosleep, 0, (uint64_t)&span, 0);
		LOOK(clock_nanosleep, 0, CLOCK_MONOTONIC, 0, (uint64_t)&span, 0);
		LOOK(clock_nanosleep, 0, CLOCK_REALTIME, TIMER_ABSTIME, (uint64_t)&until, 0);
		LOOK(clock_nanosleep, -EINVAL, CLOCK_REALTIME, 0, (uint64_t)&(struct timespec){ -1, 0 }, 0);
		LOOK(clock_nanosleep, -EFAULT, CLOCK_REALTIME, TIMER_ABSTIME, 8, 0);
		LOOK(futex, -ETIMEDOUT, (uint64_t)&word, FUTEX_WAIT, 0, (uint64_t)&span);
		LOOK(futex, -ETIMEDOUT, (uint64_t)&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, (uint64_t)&until, 0, ~0u);
		LOOK(poll, 0, 0, 0, 5);
		LOOK(ppoll, 0, 0, 0, (uint64_t)&(struct timespec){ 0, 5000000 }, 0, 8);
		LOOK(pselect6, 0, 0, 0, 0, 0, (uint64_t)&(struct timespec){ 0, 5000000 }, 0);
		LOOK(select, 0, 0, 0, 0, 0, (uint64_t)&(struct timespec){ 0, 5000 });
		LOOK(timer_settime, 0, (uint64_t)id, 0, (uint64_t)&timer, 0);
		LOOK(timer_settime, 0, (uint64_t)id, TIMER_ABSTIME, (uint64_t)&timer, 0);
		LOOK(alarm, 0, 0);
	}
	puts(differences ? "not the same" : "the same");
	return 0;
}
