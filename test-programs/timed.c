// System calls with times, made by a program whose clocks are moved: that they end when the program's own clock says
// so, give what they give, and leave everything else as it was.
//
// `timed [frozen|files|sets]` makes the checks one after another, and says how many were as they should be; or which was not,
// exit code 1. With `frozen` REALTIME stands still: no deadline on it may come. With `files` they have its times, too.
// With `sets` it sets its clock, which must not be the machine's.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include "host_clock.h"

#define SEC 1000000000LL
// Of the program's time. Long enough that a wait which the host's clocks end is told from one that its own do.
#define SPAN (SEC / 4)

static int as_they_should, is_frozen;

static void expect(int is_so, const char *what, long long found)
{
	if (!is_so) {
		printf("%s: %lld\n", what, found);
		exit(1);
	}
	as_they_should++;
}

static long long now(int clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * SEC + now.tv_nsec;
}

static struct timespec timespec(long long ns)
{
	return (struct timespec){ ns / SEC, ns % SEC };
}

static long result_of(long result)
{
	return result < 0 ? -errno : result;
}

#define CALL(...) result_of(syscall(__VA_ARGS__))

// ---------------------------------------------------------------------------------------------
// Waits until a time of a clock, and for a span: each as a function of the time's address.

static int word;

static long sleep_until(int clock, struct timespec *time) { return CALL(SYS_clock_nanosleep, clock, TIMER_ABSTIME, time, NULL); }
static long sleep_for(int clock, struct timespec *time) { return CALL(SYS_clock_nanosleep, clock, 0, time, NULL); }
static long plain_sleep(int clock, struct timespec *time) { (void)clock; return CALL(SYS_nanosleep, time, NULL); }

static long futex_until(int clock, struct timespec *time)
{
	int by_realtime = clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0;
	return CALL(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE | by_realtime, 0, time, NULL, FUTEX_BITSET_MATCH_ANY);
}

static long futex_for(int clock, struct timespec *time) { (void)clock; return CALL(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, time, NULL, 0); }

static long futexes_until(int clock, struct timespec *time)
{
	struct { uint64_t value, address; uint32_t flags, reserved; } one = { 0, (uint64_t)&word, 2 | 128, 0 };
	return CALL(449 /* futex_waitv */, &one, 1, 0, time, clock);
}

static long polled(int clock, struct timespec *time) { (void)clock; return CALL(SYS_ppoll, NULL, 0, time, NULL, 8); }
static long selected(int clock, struct timespec *time) { (void)clock; return CALL(SYS_pselect6, 0, NULL, NULL, NULL, time, NULL); }

static long epolled(int clock, struct timespec *time)
{
	struct epoll_event event;
	(void)clock;
	int fd = epoll_create1(0);
	long result = CALL(SYS_epoll_pwait, fd, &event, 1, (int)(time->tv_sec * 1000 + time->tv_nsec / 1000000), NULL, 8);
	close(fd);
	return result;
}

static long epolled_finely(int clock, struct timespec *time)
{
	struct epoll_event event;
	(void)clock;
	int fd = epoll_create1(0);
	long result = CALL(441 /* epoll_pwait2 */, fd, &event, 1, time, NULL, 8);
	close(fd);
	return result;
}

static long signalled(int clock, struct timespec *time)
{
	uint64_t set = 1 << (SIGUSR2 - 1);
	(void)clock;
	return CALL(SYS_rt_sigtimedwait, &set, NULL, time, sizeof set);
}

static long semaphore(int clock, struct timespec *time)
{
	struct sembuf down = { 0, -1, 0 };
	(void)clock;
	int set = semget(IPC_PRIVATE, 1, 0600);
	long result = CALL(SYS_semtimedop, set, &down, 1, time);
	semctl(set, 0, IPC_RMID);
	return result;
}

static long timerfd(int clock, int flags, struct timespec *time)
{
	struct itimerspec value = { { 0, 0 }, *time };
	uint64_t times;
	int fd = timerfd_create(clock, 0);
	long result = CALL(SYS_timerfd_settime, fd, flags, &value, NULL);
	if (!result && read(fd, &times, sizeof times) < 0)
		result = -errno;
	close(fd);
	return result;
}

static long timerfd_until(int clock, struct timespec *time) { return timerfd(clock, TFD_TIMER_ABSTIME, time); }
static long timerfd_for(int clock, struct timespec *time) { return timerfd(clock, 0, time); }

static long timer_until(int clock, struct timespec *time)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec value = { { 0, 0 }, *time };
	uint64_t set = 1 << (SIGUSR1 - 1);
	int id;
	if (syscall(SYS_timer_create, clock, &event, &id))
		return -errno;
	long result = CALL(SYS_timer_settime, id, TIMER_ABSTIME, &value, NULL);
	if (!result && CALL(SYS_rt_sigtimedwait, &set, NULL, NULL, sizeof set) != SIGUSR1)
		result = -errno;
	syscall(SYS_timer_delete, id);
	return result;
}

static long interval(int clock, struct timespec *time)
{
	struct itimerval value = { { 0, 0 }, { time->tv_sec, time->tv_nsec / 1000 } };
	uint64_t set = 1 << (SIGALRM - 1);
	(void)clock;
	long result = CALL(SYS_setitimer, ITIMER_REAL, &value, NULL);
	if (!result && CALL(SYS_rt_sigtimedwait, &set, NULL, NULL, sizeof set) != SIGALRM)
		result = -errno;
	return result;
}

struct wait {
	const char *name;
	long (*make)(int clock, struct timespec *time);
	int clock, timed_out;
};

static const struct wait untils[] = {
	{ "clock_nanosleep until REALTIME", sleep_until, CLOCK_REALTIME, 0 },
	{ "clock_nanosleep until MONOTONIC", sleep_until, CLOCK_MONOTONIC, 0 },
	{ "clock_nanosleep until BOOTTIME", sleep_until, CLOCK_BOOTTIME, 0 },
	{ "clock_nanosleep until TAI", sleep_until, CLOCK_TAI, 0 },
	{ "futex until REALTIME", futex_until, CLOCK_REALTIME, -ETIMEDOUT },
	{ "futex until MONOTONIC", futex_until, CLOCK_MONOTONIC, -ETIMEDOUT },
	{ "futex_waitv until REALTIME", futexes_until, CLOCK_REALTIME, -ETIMEDOUT },
	{ "timerfd until REALTIME", timerfd_until, CLOCK_REALTIME, 0 },
	{ "timerfd until MONOTONIC", timerfd_until, CLOCK_MONOTONIC, 0 },
	{ "timer until REALTIME", timer_until, CLOCK_REALTIME, 0 },
	{ "timer until MONOTONIC", timer_until, CLOCK_MONOTONIC, 0 },
};

static const struct wait fors[] = {
	{ "clock_nanosleep", sleep_for, CLOCK_MONOTONIC, 0 },
	{ "nanosleep", plain_sleep, CLOCK_MONOTONIC, 0 },
	{ "futex", futex_for, CLOCK_MONOTONIC, -ETIMEDOUT },
	{ "ppoll", polled, CLOCK_MONOTONIC, 0 },
	{ "pselect6", selected, CLOCK_MONOTONIC, 0 },
	{ "epoll_pwait", epolled, CLOCK_MONOTONIC, 0 },
	{ "epoll_pwait2", epolled_finely, CLOCK_MONOTONIC, 0 },
	{ "rt_sigtimedwait", signalled, CLOCK_MONOTONIC, -EAGAIN },
	{ "semtimedop", semaphore, CLOCK_MONOTONIC, -EAGAIN },
	{ "timerfd", timerfd_for, CLOCK_MONOTONIC, 0 },
	{ "setitimer", interval, CLOCK_MONOTONIC, 0 },
};

static void check_waits(const struct wait *waits, int count, int is_until)
{
	for (const struct wait *wait = waits; wait < waits + count; wait++) {
		int is_own = wait->clock == CLOCK_REALTIME || wait->clock == CLOCK_TAI;
		if (is_frozen && is_until && is_own)
			continue;
		long long began = now(wait->clock), wanted = began + SPAN;
		struct timespec time = timespec(is_until ? wanted : SPAN);
		long result = wait->make(wait->clock, &time);
		long long late = now(wait->clock) - wanted;
		if (result == -ENOSYS || result == -EINVAL)
			continue;
		expect(result == wait->timed_out, wait->name, result);
		expect(late >= 0, wait->name, late);
	}
}

// No deadline comes on a clock that stands still.
static void check_never(void)
{
	pid_t child = fork();
	if (!child) {
		struct timespec deadline = timespec(now(CLOCK_REALTIME) + 1);
		sleep_until(CLOCK_REALTIME, &deadline);
		_exit(0);
	}
	struct timespec pause = timespec(SPAN);
	nanosleep(&pause, NULL);
	expect(waitpid(child, NULL, WNOHANG) == 0, "a deadline on a clock that stands still has come", 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

// ---------------------------------------------------------------------------------------------
// Clocks that are asked for by calls of the program's own, and bad addresses.

static void check_reads(void)
{
	struct timespec asked;
	struct timeval of_day;
	struct sysinfo info;
	for (int clock = 0; clock <= CLOCK_TAI; clock++) {
		if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
			continue;
		long long before = now(clock);
		expect(CALL(SYS_clock_gettime, clock, &asked) == 0, "clock_gettime", clock);
		long long found = asked.tv_sec * SEC + asked.tv_nsec;
		expect(before <= found && found <= now(clock), "clock_gettime", clock);
	}
	long long before = now(CLOCK_REALTIME) / 1000;
	expect(CALL(SYS_gettimeofday, &of_day, NULL) == 0, "gettimeofday", errno);
	long long found = of_day.tv_sec * 1000000LL + of_day.tv_usec;
	expect(before <= found && found <= now(CLOCK_REALTIME) / 1000, "gettimeofday", found - before);
	before = now(CLOCK_BOOTTIME) / SEC;
	expect(CALL(SYS_sysinfo, &info) == 0 && info.uptime >= before && info.uptime <= now(CLOCK_BOOTTIME) / SEC + 1,
	       "sysinfo", info.uptime - before);
	expect(CALL(SYS_clock_gettime, CLOCK_REALTIME, 8) == -EFAULT, "clock_gettime to a bad address", errno);
	expect(CALL(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, 8, NULL) == -EFAULT, "clock_nanosleep by a bad address", errno);
	struct timespec bad = { 1, SEC };
	expect(sleep_until(CLOCK_REALTIME, &bad) == -EINVAL, "clock_nanosleep until no time", errno);
}

// ---------------------------------------------------------------------------------------------
// Signals while a thread waits.

static volatile int handled;
static sigjmp_buf away;
static volatile int frames_to_waiter;

__attribute__((noinline)) static long waiter(struct timespec *deadline)
{
	long result = -clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, deadline, NULL);
	__asm__ volatile("" ::: "memory");
	return result;
}

// Again and again, as the first one may come before the wait has begun.
static void signal_every(long long us)
{
	struct itimerval value = { { 0, us }, { 0, us } };
	setitimer(ITIMER_REAL, &value, NULL);
}

// Whether a backtrace leads from a handler to what it interrupts: not by the kernel's vDSO of RISC-V.
static int leads_through_handlers;

__attribute__((noinline)) static void interrupted(void)
{
	raise(SIGALRM);
	__asm__ volatile("" ::: "memory");
}

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *count)
{
	uintptr_t function = (uintptr_t)_Unwind_FindEnclosingFunction((void *)(_Unwind_GetIP(context) - 1));
	++*(int *)count;
	if (function == (uintptr_t)waiter)
		frames_to_waiter = *(int *)count;
	if (function == (uintptr_t)interrupted)
		leads_through_handlers = 1;
	return _URC_NO_REASON;
}

static void count_signal(int signal)
{
	int count = 0;
	(void)signal;
	handled++;
	_Unwind_Backtrace(look, &count);
}

static void jump_away(int signal)
{
	(void)signal;
	siglongjmp(away, 1);
}

static void handle(void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigaction(SIGALRM, &action, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void check_signals(void)
{
	int clock = is_frozen ? CLOCK_MONOTONIC : CLOCK_REALTIME;
	handle(count_signal, 0);
	interrupted();
	// Interrupted, whatever the handler says.
	for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
		handle(count_signal, flags);
		handled = frames_to_waiter = 0;
		long long wanted = now(clock) + 4 * SPAN;
		struct timespec deadline = timespec(wanted);
		signal_every(SPAN / 4000);
		long result = clock == CLOCK_REALTIME ? waiter(&deadline) : sleep_until(clock, &deadline);
		long long late = now(clock) - wanted;
		signal_every(0);
		expect(handled > 0, "handlers", handled);
		expect(result == -EINTR, "an interrupted clock_nanosleep", result);
		expect(late < 0, "an interrupted clock_nanosleep ends early", late);
		expect(is_frozen || !leads_through_handlers || frames_to_waiter > 1, "frames from the handler to the waiter", frames_to_waiter);
	}
	handle(count_signal, SA_RESTART);
	handled = 0;
	long long wanted = now(clock) + 2 * SPAN;
	struct timespec deadline = timespec(wanted);
	signal_every(SPAN / 4000);
	long result = futexes_until(clock, &deadline);
	signal_every(0);
	if (result != -ENOSYS) {
		expect(handled > 0 && result == -ETIMEDOUT, "a restarted futex_waitv", result);
		expect(now(clock) >= wanted, "a restarted futex_waitv ends late", now(clock) - wanted);
	}
	// What is left of a span.
	handle(count_signal, 0);
	struct timespec span = timespec(4 * SPAN), left = { 0, 0 };
	signal_every(SPAN / 4000);
	result = CALL(SYS_nanosleep, &span, &left);
	signal_every(0);
	expect(result == -EINTR, "an interrupted nanosleep", result);
	long long rest = left.tv_sec * SEC + left.tv_nsec;
	expect(rest > 0 && rest < 4 * SPAN, "what is left", rest);
	// A handler that does not return.
	for (volatile int times = 0; times < 3; times++) {
		handle(jump_away, 0);
		if (!sigsetjmp(away, 1)) {
			signal_every(SPAN / 4000);
			deadline = timespec(now(clock) + 40 * SPAN);
			sleep_until(clock, &deadline);
			expect(0, "a wait that was left came back", 0);
		}
		signal_every(0);
		as_they_should++;
	}
	// What a handler blocks for good stays blocked.
	sigset_t set;
	sigprocmask(SIG_BLOCK, NULL, &set);
	expect(!sigismember(&set, SIGALRM), "blocked signals", 0);
}

static volatile int cleaned;

static void clean(void *unused)
{
	(void)unused;
	cleaned++;
}

static void *cancelled(void *unused)
{
	struct timespec deadline = timespec(now(CLOCK_REALTIME) + 400 * SPAN);
	pthread_cleanup_push(clean, NULL);
	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &deadline, NULL);
	pthread_cleanup_pop(0);
	return unused;
}

static void check_cancellation(void)
{
	pthread_t thread;
	void *result = NULL;
	pthread_create(&thread, NULL, cancelled, NULL);
	usleep(100000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	expect(result == PTHREAD_CANCELED && cleaned == 1, "cleanups of a cancelled thread", cleaned);
}

// ---------------------------------------------------------------------------------------------
// Registers: all but that of the result are as they were.

#if defined __aarch64__
// Fills every register but x0 to x8, x18, x29 and sp from `known`, makes the call, and stores them to `found`.
static long with_known(const uint64_t known[96], uint64_t found[96], struct timespec *deadline)
{
	register long x0 __asm__("x0") = CLOCK_REALTIME;
	register long x1 __asm__("x1") = TIMER_ABSTIME;
	register void *x2 __asm__("x2") = deadline;
	register long x3 __asm__("x3") = 0;
	register long x8 __asm__("x8") = SYS_clock_nanosleep;
	register const uint64_t *x4 __asm__("x4") = known;
	register uint64_t *x5 __asm__("x5") = found;
	__asm__ volatile(
		"stp x4, x5, [sp, #-32]!\n"
		"stp x29, x30, [sp, #16]\n"
		".irp n, 6,7,9,10,11,12,13,14,15,16,17,19,20,21,22,23,24,25,26,27,28,30\n"
		"ldr x\\n, [x4, #8 * \\n]\n"
		".endr\n"
		"add x4, x4, #256\n"
		".irp n, 0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30\n"
		"ldr q\\n, [x4, #16 * \\n]\n"
		".endr\n"
		"sub x4, x4, #256\n"
		"msr nzcv, x30\n"
		"svc #0\n"
		"stp x28, x30, [sp, #-32]!\n"
		"mrs x28, nzcv\n"
		"str x28, [sp, #16]\n"
		"ldr x30, [sp, #40]\n"
		"ldp x28, xzr, [sp]\n"
		".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,19,20,21,22,23,24,25,26,27,28\n"
		"str x\\n, [x30, #8 * \\n]\n"
		".endr\n"
		"ldr x28, [sp, #8]\n"
		"str x28, [x30, #240]\n"
		"ldr x28, [sp, #16]\n"
		"str x28, [x30]\n"
		"add x30, x30, #256\n"
		".irp n, 0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30\n"
		"str q\\n, [x30, #16 * \\n]\n"
		".endr\n"
		"add sp, sp, #32\n"
		"ldp x29, x30, [sp, #16]\n"
		"add sp, sp, #32\n"
		: "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x8), "+r"(x4), "+r"(x5)
		:
		: "x6", "x7", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23",
		  "x24", "x25", "x26", "x27", "x28", "v0", "v2", "v4", "v6", "v8", "v10", "v12", "v14", "v16", "v18", "v20",
		  "v22", "v24", "v26", "v28", "v30", "memory", "cc");
	return x0;
}

static void check_registers(void)
{
	uint64_t known[96], found[96] = { 0 };
	for (int i = 0; i < 96; i++)
		known[i] = 0x0101010101010101ULL * (i + 1);
	// Flags N and C.
	known[30] = 0xa0000000;
	struct timespec deadline = timespec(now(CLOCK_REALTIME) + SPAN / 4);
	expect(with_known(known, found, &deadline) == 0, "clock_nanosleep", errno);
	expect((found[0] & 0xf0000000) == 0xa0000000, "flags", (long long)found[0]);
	expect(found[1] == TIMER_ABSTIME && found[2] == (uint64_t)&deadline && found[3] == 0, "arguments", (long long)found[1]);
	expect(found[4] == (uint64_t)known && found[8] == SYS_clock_nanosleep, "x4 and x8", (long long)found[8]);
	for (int i = 6; i <= 30; i++)
		if (i != 8 && i != 18 && i != 29)
			expect(found[i] == known[i], "a general register", i);
	for (int i = 0; i < 32; i += 2)
		expect(found[32 + 2 * i] == known[32 + 2 * i] && found[33 + 2 * i] == known[33 + 2 * i], "a vector register", i);
}
#elif defined __riscv
static long with_known(const uint64_t known[64], uint64_t found[64], struct timespec *deadline)
{
	register long a0 __asm__("a0") = CLOCK_REALTIME;
	register long a1 __asm__("a1") = TIMER_ABSTIME;
	register void *a2 __asm__("a2") = deadline;
	register long a3 __asm__("a3") = 0;
	register long a7 __asm__("a7") = SYS_clock_nanosleep;
	register const uint64_t *a4 __asm__("a4") = known;
	register uint64_t *a5 __asm__("a5") = found;
	__asm__ volatile(
		"addi sp, sp, -32\n"
		"sd s0, 0(sp)\n"
		"sd ra, 8(sp)\n"
		".irp n, 1,5,6,7,8,9,16,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
		"ld x\\n, 8 * \\n(a4)\n"
		".endr\n"
		".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
		"fld f\\n, 256 + 8 * \\n(a4)\n"
		".endr\n"
		"ecall\n"
		".irp n, 1,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
		"sd x\\n, 8 * \\n(a5)\n"
		".endr\n"
		".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
		"fsd f\\n, 256 + 8 * \\n(a5)\n"
		".endr\n"
		"ld s0, 0(sp)\n"
		"ld ra, 8(sp)\n"
		"addi sp, sp, 32\n"
		: "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a7), "+r"(a4), "+r"(a5)
		:
		: "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a6", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
		  "s11", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "ft8", "ft9", "ft10", "ft11", "fa0", "fa1", "fa2",
		  "fa3", "fa4", "fa5", "fa6", "fa7", "fs0", "fs1", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10",
		  "fs11", "memory");
	return a0;
}

static void check_registers(void)
{
	uint64_t known[64], found[64] = { 0 };
	for (int i = 0; i < 64; i++)
		known[i] = 0x0101010101010101ULL * (i + 1);
	struct timespec deadline = timespec(now(CLOCK_REALTIME) + SPAN / 4);
	expect(with_known(known, found, &deadline) == 0, "clock_nanosleep", errno);
	expect(found[11] == TIMER_ABSTIME && found[12] == (uint64_t)&deadline && found[13] == 0, "arguments", (long long)found[11]);
	expect(found[14] == (uint64_t)known && found[17] == SYS_clock_nanosleep, "a4 and a7", (long long)found[17]);
	for (int i = 1; i < 64; i++)
		if (!(i >= 2 && i <= 4) && !(i >= 10 && i <= 15) && i != 17 && i != 32)
			expect(found[i] == known[i], "a register", i);
	expect(found[32] == known[32], "a register", 32);
}
#else
static void check_registers(void)
{
}
#endif

// ---------------------------------------------------------------------------------------------
// Times of files, where they are the program's own.

static int has_time(long result, long long modified, long long least, long long most)
{
	return result == 0 && modified >= least && modified <= most;
}

static void check_files(void)
{
	static const char path[] = "/tmp/timed-file";
	// The kernel stores the time of its last tick.
	long long begun = now(CLOCK_REALTIME) - SPAN, set = begun - 1000 * SEC;
	struct stat status;
	struct statx extended;
	struct timespec times[2] = { timespec(set), { 0, UTIME_OMIT } };
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	expect(fd >= 0 && write(fd, "", 1) == 1, "a file is written", errno);
	long result = CALL(SYS_newfstatat, AT_FDCWD, path, &status, 0);
	expect(has_time(result, status.st_mtim.tv_sec * SEC + status.st_mtim.tv_nsec, begun, now(CLOCK_REALTIME)), "newfstatat", result);
	result = CALL(SYS_fstat, fd, &status);
	expect(has_time(result, status.st_mtim.tv_sec * SEC + status.st_mtim.tv_nsec, begun, now(CLOCK_REALTIME)), "fstat", result);
	result = CALL(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended);
	expect(has_time(result, extended.stx_mtime.tv_sec * SEC + extended.stx_mtime.tv_nsec, begun, now(CLOCK_REALTIME)), "statx", result);
	expect(CALL(SYS_utimensat, fd, NULL, times, 0) == 0, "utimensat", errno);
	result = CALL(SYS_fstat, fd, &status);
	expect(has_time(result, status.st_atim.tv_sec * SEC + status.st_atim.tv_nsec, set, set), "what was set", status.st_atim.tv_sec);
	close(fd);
	unlink(path);
}

// ---------------------------------------------------------------------------------------------
// A program that sets its clock: who waits until a time of it hears of that, and the host's stays.

static void *waits_for_setting(void *result)
{
	struct timespec deadline = timespec(now(CLOCK_REALTIME) + 500 * SEC);
	*(long *)result = sleep_until(CLOCK_REALTIME, &deadline);
	return NULL;
}

static long long host_now(void)
{
	struct timespec host;
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &host, host_clock_mark());
	return host.tv_sec * SEC + host.tv_nsec;
}

static void check_setting(void)
{
	pthread_t thread;
	long result = -1;
	struct timespec pause = timespec(SPAN);
	pthread_create(&thread, NULL, waits_for_setting, &result);
	nanosleep(&pause, NULL);
	long long host = host_now(), set = now(CLOCK_REALTIME) + 1000 * SEC;
	struct timespec new = timespec(set);
	expect(CALL(SYS_clock_settime, CLOCK_REALTIME, &new) == 0, "clock_settime", errno);
	expect(now(CLOCK_REALTIME) >= set, "what was set", now(CLOCK_REALTIME) - set);
	expect(host_now() - host < 500 * SEC, "the host's clock", host_now() - host);
	pthread_join(thread, NULL);
	expect(result == 0, "a wait until a clock is set", result);
}

// ---------------------------------------------------------------------------------------------

// A stack that has to grow for the way back.
__attribute__((noinline)) static void check_deep(int depth)
{
	volatile char page[900];
	page[0] = page[899] = 1;
	struct timespec deadline = timespec(now(CLOCK_REALTIME) + 1000000);
	expect(sleep_until(CLOCK_REALTIME, &deadline) == 0, "clock_nanosleep on a stack that grows", depth);
	if (depth)
		check_deep(depth - 1);
	page[1] = page[0];
}

int main(int argc, char **argv)
{
	int has_files = argc > 1 && !strcmp(argv[1], "files");
	is_frozen = argc > 1 && !strcmp(argv[1], "frozen");
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (has_files)
		check_files();
	if (argc > 1 && !strcmp(argv[1], "sets"))
		check_setting();
	check_waits(untils, sizeof untils / sizeof *untils, 1);
	check_waits(fors, sizeof fors / sizeof *fors, 0);
	check_reads();
	check_signals();
	check_cancellation();
	if (is_frozen) {
		check_never();
	} else {
		check_registers();
		check_deep(200);
	}
	printf("%d as they should be\n", as_they_should);
	return 0;
}
