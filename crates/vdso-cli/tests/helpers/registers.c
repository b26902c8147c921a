// Looks whether a system call with a time leaves a thread all that the kernel leaves it: `registers SECONDS` makes some,
// each with patterns in all registers, below the stack pointer and above it. Prints what differs, or `the same`.

#include "registers.h"

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

static void look(const char *call, long number, const unsigned long *arguments, long result, unsigned long flags)
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
