// Looks whether a system call with a time leaves an i386 thread all that the kernel leaves it: `registers_i386 SECONDS` makes
// some, each with patterns in all registers and above the stack pointer. Prints what differs, or `the same`.

#include "registers.h"

enum { WORDS = 8, VECTORS = 8, ABOVE = 64 };
// As the instruction encodes them.
enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };

struct state {
	uint32_t words[WORDS];
	uint32_t flags, mxcsr, control, above[ABOVE];
	uint8_t vectors[VECTORS][16];
};

// Used by the assembly, which has no register left for an address.
struct state given, found;
uint32_t saved[5];

__attribute__((target("sse2"), noinline)) static void make(void)
{
	__asm__ volatile(
		"mov %%ebx, saved\n"
		"mov %%ebp, saved+4\n"
		"mov %%esi, saved+8\n"
		"mov %%edi, saved+12\n"
		"mov %%esp, saved+16\n"
		".set vector, 0\n"
		".irp register, 0,1,2,3,4,5,6,7\n"
		"movdqu given+%c[vectors]+16*vector, %%xmm\\register\n"
		".set vector, vector+1\n"
		".endr\n"
		"ldmxcsr given+%c[mxcsr]\n"
		"fldcw given+%c[control]\n"
		"fld1\n"
		"mov given+16, %%esp\n"
		"pushl given+%c[flags]\n"
		"popfl\n"
		"mov given, %%eax\n"
		"mov given+4, %%ecx\n"
		"mov given+8, %%edx\n"
		"mov given+12, %%ebx\n"
		"mov given+20, %%ebp\n"
		"mov given+24, %%esi\n"
		"mov given+28, %%edi\n"
		"int $0x80\n"
		"mov %%eax, found\n"
		"mov %%ecx, found+4\n"
		"mov %%edx, found+8\n"
		"mov %%ebx, found+12\n"
		"mov %%esp, found+16\n"
		"mov %%ebp, found+20\n"
		"mov %%esi, found+24\n"
		"mov %%edi, found+28\n"
		"pushfl\n"
		"popl found+%c[flags]\n"
		"cld\n"
		"mov saved+16, %%esp\n"
		"stmxcsr found+%c[mxcsr]\n"
		"fnstcw found+%c[control]\n"
		"fstp %%st(0)\n"
		".set vector, 0\n"
		".irp register, 0,1,2,3,4,5,6,7\n"
		"movdqu %%xmm\\register, found+%c[vectors]+16*vector\n"
		".set vector, vector+1\n"
		".endr\n"
		"mov saved, %%ebx\n"
		"mov saved+4, %%ebp\n"
		"mov saved+8, %%esi\n"
		"mov saved+12, %%edi\n"
		:
		: [vectors] "i"(__builtin_offsetof(struct state, vectors)), [mxcsr] "i"(__builtin_offsetof(struct state, mxcsr)),
		  [control] "i"(__builtin_offsetof(struct state, control)), [flags] "i"(__builtin_offsetof(struct state, flags))
		: "memory", "cc", "eax", "ecx", "edx");
}

static void look(const char *call, long number, const unsigned long *arguments, long result, unsigned long flags)
{
	static const int places[6] = { EBX, ECX, EDX, ESI, EDI, EBP };
	uint32_t *top = (uint32_t *)(stack + STACK_BYTES / 2);
	given.words[EAX] = number;
	given.words[ESP] = (uint32_t)top;
	for (int i = 0; i < 6; i++)
		given.words[places[i]] = arguments[i];
	given.flags = flags | 2;
	given.mxcsr = 0x1f80 | 3 << 13;
	given.control = 0x037f | 3 << 10;
	memset(stack, 0xee, STACK_BYTES / 2);
	for (int i = 0; i < ABOVE; i++)
		top[i] = given.above[i] = 0xbbbb0000 | i;
	for (int i = 0; i < VECTORS * 16; i++)
		given.vectors[i / 16][i % 16] = i * 7;
	memset(&found, 0, sizeof found);
	make();
	for (int i = 1; i < WORDS; i++)
		if (found.words[i] != given.words[i])
			differs(call, "word", i);
	if ((long)found.words[EAX] != result) {
		printf("%s: result %ld\n", call, (long)found.words[EAX]);
		differences++;
	}
	if ((found.flags & FLAGS) != flags)
		differs(call, "flags", (int)found.flags);
	if (found.mxcsr != given.mxcsr || (uint16_t)found.control != (uint16_t)given.control)
		differs(call, "control", 0);
	for (int i = 0; i < ABOVE; i++)
		if (top[i] != given.above[i])
			differs(call, "stack", i);
	// Of a small stack little is used, of another not much.
	int untouched = 0;
	while (untouched < STACK_BYTES / 2 && stack[untouched] == 0xee)
		untouched++;
	int used = STACK_BYTES / 2 - untouched;
	if (used > (stack == low_stack ? 72 : 2000))
		differs(call, "room used: ", used);
	for (int i = 0; i < VECTORS; i++)
		if (memcmp(found.vectors[i], given.vectors[i], 16))
			differs(call, "vector", i);
}
