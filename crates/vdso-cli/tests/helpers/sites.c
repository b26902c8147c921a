// What becomes of call sites that report often: for each of a few ways to write one, and in each process that has them,
// whether its instruction is still there.

#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 8 };

// Each is followed by room for a jump.
#define SITE(name, before, after) \
	__asm__(".text\n.p2align 6\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n" \
		"mov %rcx, %r10\n mov $230, %eax\n" before #name "_at:\nsyscall\n" after ".cfi_endproc\n.p2align 6\n"); \
	extern long name(clockid_t, int, const struct timespec *, struct timespec *); \
	extern const unsigned char name##_at[]

SITE(plain, "", "ret\n");
// What musl, and glibc from 2.41 on, have before theirs for all calls that are cancelled: its handler looks for the address.
SITE(cancelled, "sub $16, %rsp\n mov %r11, 8(%rsp)\n", "add $16, %rsp\n ret\n");

// Runs into the function behind it, through what fills the gap; there is no other gap in reach behind it.
SITE(through, "", "mov %rax, %rcx\n");
__asm__(".type behind, @function\nbehind:\n.cfi_startproc\n.fill 192, 1, 0x90\nret\n.cfi_endproc\n.p2align 6\n");

static void wait_at(long (*site)(clockid_t, int, const struct timespec *, struct timespec *))
{
	struct timespec past = { 1, 0 };
	for (int i = 0; i < TIMES; i++)
		site(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL);
}

static void tell(const char *who, const unsigned char *at)
{
	printf("%s %s\n", who, memcmp(at, "\x0f\x05", 2) ? "rewritten" : "kept");
	fflush(stdout);
}

// Workers that were forked before any of them waits.
static void workers(void)
{
	enum { WORKERS = 3 };
	int turns[WORKERS][2];
	for (int i = 0; i < WORKERS; i++) {
		char turn;
		if (pipe(turns[i]))
			_exit(1);
		if (fork())
			continue;
		if (read(turns[i][0], &turn, 1) != 1)
			_exit(1);
		wait_at(plain);
		tell("worker", plain_at);
		_exit(0);
	}
	for (int i = 0; i < WORKERS; i++) {
		if (write(turns[i][1], "", 1) != 1)
			_exit(1);
		wait(NULL);
	}
}

int main(void)
{
	workers();
	wait_at(plain);
	tell("plain", plain_at);
	wait_at(cancelled);
	tell("cancelled", cancelled_at);
	wait_at(through);
	puts("through came back");
	return 0;
}
