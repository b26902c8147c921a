// Every system call with a time-out, a deadline or an expiry, each with times of several kinds.
//
// `waits MS TIMES` makes all of them at once, each in a child of its own, and prints a line for each that comes back:
//
//     CALL INPUT KIND CLOCK RESULT HOST_MS BEGAN_NS ENDED_NS WANTED_NS
//
// KIND is what the time is: `deadline` on CLOCK, `span` of it, `left`, where WANTED_NS was set and ENDED_NS is what
// the call says of it, or `unused` by a call that does not come to wait. RESULT is the system call's, an error negative. Times are those that the program reads,
// but for HOST_MS: how long it took by /proc/uptime, in hundredths of a second. MS is how long a short wait is.
// Before that the same instruction has made TIMES short waits, as a call site that is used often may be rewritten.
// Whoever waits for ever prints nothing. Ends, and ends all of them, at the end of standard input.
//
// As an i386 program it makes the calls with times of 32 bits, or with _TIME_BITS=64 their siblings with times of 64.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wait
#define SYS_futex_wait 455
#endif
#define LOCK_PI2 13

#ifdef __i386__
#undef SYS_select
#define SYS_select 142
#define SYS_old_select 82
#define SYS_io_pgetevents_old 385
#else
#define SYS_io_pgetevents_old 333
#endif

// Those with times of 64 bits: include/uapi/asm-generic/unistd.h.
#if defined __i386__ && defined _TIME_BITS
#undef SYS_clock_nanosleep
#define SYS_clock_nanosleep 407
#undef SYS_timer_gettime
#define SYS_timer_gettime 408
#undef SYS_timer_settime
#define SYS_timer_settime 409
#undef SYS_timerfd_gettime
#define SYS_timerfd_gettime 410
#undef SYS_timerfd_settime
#define SYS_timerfd_settime 411
#undef SYS_pselect6
#define SYS_pselect6 413
#undef SYS_ppoll
#define SYS_ppoll 414
#define SYS_pgetevents 416
#undef SYS_recvmmsg
#define SYS_recvmmsg 417
#undef SYS_mq_timedsend
#define SYS_mq_timedsend 418
#undef SYS_mq_timedreceive
#define SYS_mq_timedreceive 419
#undef SYS_semtimedop
#define SYS_semtimedop 420
#undef SYS_rt_sigtimedwait
#define SYS_rt_sigtimedwait 421
#undef SYS_futex
#define SYS_futex 422
#else
#define SYS_pgetevents SYS_io_pgetevents_old
#endif

// What calls without such a sibling take.
struct old_val { long tv_sec, tv_usec; };
struct old_interval { struct old_val it_interval, it_value; };
#define FUTEX2_32_PRIVATE (2 | 128)

#define SEC 1000000000LL

static long long span_ns;
static int semaphores, times;

__attribute__((noinline)) static long call(long number, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}

static long long now_ns(int clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * SEC + now.tv_nsec;
}

static long long host_ms(void)
{
	char text[64] = "";
	int fd = open("/proc/uptime", O_RDONLY);
	if (read(fd, text, sizeof text - 1) <= 0)
		abort();
	close(fd);
	return (long long)(atof(text) * 1000 + .5);
}

// ---------------------------------------------------------------------------------------------
// The calls. `time` is what is given as their time: an address, or a number.

#define ADDR(what) ((long)(what))

static long sleep_until_realtime(long time) { return call(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, time, 0, 0, 0); }
static long sleep_until_monotonic(long time) { return call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, time, 0, 0, 0); }
static long sleep_until_boottime(long time) { return call(SYS_clock_nanosleep, CLOCK_BOOTTIME, TIMER_ABSTIME, time, 0, 0, 0); }
static long sleep_until_tai(long time) { return call(SYS_clock_nanosleep, CLOCK_TAI, TIMER_ABSTIME, time, 0, 0, 0); }
static long sleep_until_alarm(long time) { return call(SYS_clock_nanosleep, CLOCK_REALTIME_ALARM, TIMER_ABSTIME, time, 0, 0, 0); }
static long sleep_realtime(long time) { return call(SYS_clock_nanosleep, CLOCK_REALTIME, 0, time, 0, 0, 0); }
static long sleep_monotonic(long time) { return call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, time, 0, 0, 0); }
static long sleep_boottime(long time) { return call(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, time, 0, 0, 0); }
static long sleep_no_clock(long time) { return call(SYS_clock_nanosleep, 77, 0, time, 0, 0, 0); }
static long plain_nanosleep(long time) { return call(SYS_nanosleep, time, 0, 0, 0, 0, 0); }

static int word;

static long futex(int operation, int value, long time)
{
	return call(SYS_futex, ADDR(&word), operation, value, time, 0, FUTEX_BITSET_MATCH_ANY);
}

static long futex_wait(long time) { return futex(FUTEX_WAIT, 0, time); }
static long futex_wait_private(long time) { return futex(FUTEX_WAIT_PRIVATE, 0, time); }
static long futex_wait_other(long time) { return futex(FUTEX_WAIT_PRIVATE, 1, time); }
static long futex_bitset(long time) { return futex(FUTEX_WAIT_BITSET_PRIVATE, 0, time); }
static long futex_bitset_realtime(long time) { return futex(FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, time); }
static long futex_bitset_other(long time) { return futex(FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 1, time); }

static void *own_word(void *unused)
{
	__atomic_store_n(&word, gettid(), __ATOMIC_SEQ_CST);
	pause();
	return unused;
}

// With a lock that another thread has.
static long locked(int operation, long time)
{
	pthread_t owner;
	pthread_create(&owner, NULL, own_word, NULL);
	while (!__atomic_load_n(&word, __ATOMIC_SEQ_CST))
		sched_yield();
	return futex(operation, 0, time);
}

static long futex_lock(long time) { return locked(FUTEX_LOCK_PI_PRIVATE, time); }
static long futex_lock2(long time) { return locked(LOCK_PI2, time); }
static long futex_lock2_realtime(long time) { return locked(LOCK_PI2 | FUTEX_CLOCK_REALTIME | FUTEX_PRIVATE_FLAG, time); }

static long requeued(int operation, long time)
{
	static int other;
	return call(SYS_futex, ADDR(&word), operation, 0, time, ADDR(&other), 0);
}

static long futex_requeue(long time) { return requeued(FUTEX_WAIT_REQUEUE_PI_PRIVATE, time); }
static long futex_requeue_realtime(long time) { return requeued(FUTEX_WAIT_REQUEUE_PI_PRIVATE | FUTEX_CLOCK_REALTIME, time); }

static long futex2(int clock, long time)
{
	return call(SYS_futex_wait, ADDR(&word), 0, UINT32_MAX, FUTEX2_32_PRIVATE, time, clock);
}

static long futex2_monotonic(long time) { return futex2(CLOCK_MONOTONIC, time); }
static long futex2_realtime(long time) { return futex2(CLOCK_REALTIME, time); }
static long futex2_no_clock(long time) { return futex2(CLOCK_BOOTTIME, time); }

static long futexes(int clock, long time)
{
	struct { uint64_t value, address; uint32_t flags, reserved; } all[2] = {
		{ 0, (uintptr_t)&word, FUTEX2_32_PRIVATE, 0 },
		{ 0, (uintptr_t)&span_ns + 4, FUTEX2_32_PRIVATE, 0 },
	};
	return call(SYS_futex_waitv, ADDR(all), 1, 0, time, clock, 0);
}

static long futexes_monotonic(long time) { return futexes(CLOCK_MONOTONIC, time); }
static long futexes_realtime(long time) { return futexes(CLOCK_REALTIME, time); }

static long poll_none(long time) { return call(SYS_poll, 0, 0, time, 0, 0, 0); }
static long ppoll_none(long time) { return call(SYS_ppoll, 0, 0, time, 0, 0, 0); }

static long poll_one(long time)
{
	int ends[2];
	if (pipe(ends))
		return -errno;
	struct pollfd one = { ends[0], POLLIN, 0 };
	return call(SYS_poll, ADDR(&one), 1, time, 0, 0, 0);
}

static long ppoll_one(long time)
{
	int ends[2];
	if (pipe(ends))
		return -errno;
	struct pollfd one = { ends[0], POLLIN, 0 };
	uint64_t set = 1 << (SIGUSR2 - 1);
	return call(SYS_ppoll, ADDR(&one), 1, time, ADDR(&set), sizeof set, 0);
}

static long poll_bad(long time) { return call(SYS_poll, 8, 1, time, 0, 0, 0); }

static long select_one(long time)
{
	int ends[2];
	if (pipe(ends))
		return -errno;
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return call(SYS_select, ends[0] + 1, ADDR(&set), 0, 0, time, 0);
}

#ifdef SYS_old_select
static long old_select_one(long time)
{
	int ends[2];
	if (pipe(ends))
		return -errno;
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	long arguments[] = { ends[0] + 1, ADDR(&set), 0, 0, time };
	return call(SYS_old_select, ADDR(arguments), 0, 0, 0, 0, 0);
}

static long old_select_bad(long time) { return call(SYS_old_select, time == 8 ? 8 : 12, 0, 0, 0, 0, 0); }

static long receive_by_socketcall(long time)
{
	char byte;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return -errno;
	long arguments[] = { ends[0], SOL_SOCKET, 20 /* SO_RCVTIMEO_OLD */, time, 8 };
	long result = call(SYS_socketcall, 14 /* SYS_SETSOCKOPT */, ADDR(arguments), 0, 0, 0, 0);
	return result ? result : call(SYS_recvfrom, ends[0], ADDR(&byte), 1, 0, 0, 0);
}

static long socketcall_bad(long time) { return call(SYS_socketcall, 14, time == 8 ? 8 : 12, 0, 0, 0, 0); }

static long epoll_pwait_masked(long time)
{
	struct epoll_event event;
	uint64_t set = 1 << (SIGUSR2 - 1);
	return call(SYS_epoll_pwait, epoll_create1(0), ADDR(&event), 1, time, ADDR(&set), sizeof set);
}

static long get_events_masked(long time)
{
	aio_context_t context = 0;
	struct io_event event;
	uint64_t set = 1 << (SIGUSR2 - 1);
	struct { uint64_t *set; size_t bytes; } mask = { &set, sizeof set };
	if (syscall(SYS_io_setup, 1, &context))
		return -errno;
	return call(SYS_pgetevents, context, 1, 1, ADDR(&event), time, ADDR(&mask));
}
#endif

static long select_closed(long time)
{
	/* select looks at no descriptor beyond the table's size, which depends on the parent's unless it has grown. */
	if (dup2(0, 200) != 200 || close(200))
		return -errno;
	fd_set set;
	FD_ZERO(&set);
	FD_SET(200, &set);
	return call(SYS_select, 201, ADDR(&set), 0, 0, time, 0);
}

static long pselect_none(long time) { return call(SYS_pselect6, 0, 0, 0, 0, time, 0); }

static long pselect_masked(long time)
{
	uint64_t set = 1 << (SIGUSR2 - 1);
	struct { uint64_t *set; size_t bytes; } mask = { &set, sizeof set };
	return call(SYS_pselect6, 0, 0, 0, 0, time, ADDR(&mask));
}

static long epoll(long number, long time)
{
	struct epoll_event event;
	return call(number, epoll_create1(0), ADDR(&event), 1, time, 0, 8);
}

static long epoll_wait_none(long time) { return epoll(SYS_epoll_wait, time); }
static long epoll_pwait_none(long time) { return epoll(SYS_epoll_pwait, time); }
static long epoll_pwait2_none(long time) { return epoll(SYS_epoll_pwait2, time); }
static long epoll_closed(long time)
{
	struct epoll_event event;
	return call(SYS_epoll_wait, 200, ADDR(&event), 1, time, 0, 0);
}

static int queue(void)
{
	char name[32];
	snprintf(name, sizeof name, "vdso-waits-%d", getpid());
	struct { long flags, most, bytes, current, reserved[4]; } attributes = { 0, 1, 1, 0, { 0 } };
	int fd = syscall(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	syscall(SYS_mq_unlink, name);
	return fd;
}

static long send_message(long time)
{
	int fd = queue();
	char byte = 0;
	call(SYS_mq_timedsend, fd, ADDR(&byte), 1, 0, 0, 0);
	return call(SYS_mq_timedsend, fd, ADDR(&byte), 1, 0, time, 0);
}

static long receive_message(long time)
{
	char byte;
	return call(SYS_mq_timedreceive, queue(), ADDR(&byte), 1, 0, time, 0);
}

static long semaphore(long time)
{
	struct sembuf down = { 0, -1, 0 };
#ifdef SYS_semtimedop
	return call(SYS_semtimedop, semaphores, ADDR(&down), 1, time, 0, 0);
#else
	return call(SYS_ipc, 4 /* SEMTIMEDOP */, semaphores, 1, 0, ADDR(&down), time);
#endif
}

static long wait_signal(long time)
{
	uint64_t set = 1 << (SIGUSR1 - 1);
	return call(SYS_rt_sigtimedwait, ADDR(&set), 0, time, 8, 0, 0);
}

static int ends[2];

static void *send_some(void *unused)
{
	for (int i = 0; i < 40; i++) {
		struct timespec pause = { span_ns / 20 / SEC, span_ns / 20 % SEC };
		if (send(ends[1], "", 1, 0) != 1)
			break;
		nanosleep(&pause, NULL);
	}
	pause();
	return unused;
}

static long receive_some(long time)
{
	static struct mmsghdr messages[1024];
	pthread_t sender;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
		return -errno;
	pthread_create(&sender, NULL, send_some, NULL);
	long result = call(SYS_recvmmsg, ends[0], ADDR(messages), 1024, 0, time, 0);
	// How many have come depends on how busy the machine is.
	return result > 0 ? 0 : result;
}

static long get_events(long time)
{
	aio_context_t context = 0;
	struct io_event event;
	if (syscall(SYS_io_setup, 1, &context))
		return -errno;
	return call(SYS_io_getevents, context, 1, 1, ADDR(&event), time, 0);
}

static long get_events_unmasked(long time)
{
	aio_context_t context = 0;
	struct io_event event;
	if (syscall(SYS_io_setup, 1, &context))
		return -errno;
	return call(SYS_pgetevents, context, 1, 1, ADDR(&event), time, 0);
}

static long ring(unsigned flags, long time)
{
	struct { uint32_t words[30]; } parameters = { { 0 } };
	struct { uint64_t set; uint32_t set_bytes, least_usec; uint64_t time; } argument = { 0, 8, 0, (unsigned long)time };
	int fd = syscall(425 /* io_uring_setup */, 1, &parameters);
	if (fd < 0)
		return -errno;
	// IORING_ENTER_GETEVENTS and _EXT_ARG
	return call(426 /* io_uring_enter */, fd, 0, 1, flags | 1 | 1 << 3, ADDR(&argument), sizeof argument);
}

static long ring_for(long time) { return ring(0, time); }
static long ring_until(long time) { return ring(1 << 5 /* IORING_ENTER_ABS_TIMER */, time); }

static long receive(int option, long bytes, long time)
{
	char byte;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return -errno;
	long result = call(SYS_setsockopt, ends[0], SOL_SOCKET, option, time, bytes, 0);
	return result ? result : call(SYS_recvfrom, ends[0], ADDR(&byte), 1, 0, 0, 0);
}

static long receive_old(long time) { return receive(20 /* SO_RCVTIMEO_OLD */, sizeof(struct old_val), time); }
static long receive_new(long time) { return receive(66 /* SO_RCVTIMEO_NEW */, 16, time); }

// A send that waits for room.
static long send_much(long time)
{
	char bytes[4096] = "";
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return -errno;
	while (send(ends[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	long result = call(SYS_setsockopt, ends[0], SOL_SOCKET, 21 /* SO_SNDTIMEO_OLD */, time, sizeof(struct old_val), 0);
	return result ? result : call(SYS_sendto, ends[0], ADDR(bytes), sizeof bytes, 0, 0, 0);
}

static uint64_t usr1 = 1 << (SIGUSR1 - 1), alrm = 1 << (SIGALRM - 1);

static void wait_for_ever(uint64_t *set)
{
	if (syscall(SYS_rt_sigtimedwait, set, NULL, NULL, 8) < 0)
		abort();
}

static int made_timer(int clock)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	int id;
	return call(SYS_timer_create, clock, ADDR(&event), ADDR(&id), 0, 0, 0) ? -1 : id;
}

// A timer that is set to `time`, which has two members as struct itimerspec, and waited for.
static long timer(int clock, int flags, long time)
{
	long result = call(SYS_timer_settime, made_timer(clock), flags, time, 0, 0, 0);
	if (!result)
		wait_for_ever(&usr1);
	return result;
}

static long timer_until_realtime(long time) { return timer(CLOCK_REALTIME, TIMER_ABSTIME, time); }
static long timer_until_monotonic(long time) { return timer(CLOCK_MONOTONIC, TIMER_ABSTIME, time); }
static long timer_until_boottime(long time) { return timer(CLOCK_BOOTTIME, TIMER_ABSTIME, time); }
static long timer_until_tai(long time) { return timer(CLOCK_TAI, TIMER_ABSTIME, time); }
static long timer_realtime(long time) { return timer(CLOCK_REALTIME, 0, time); }
static long timer_monotonic(long time) { return timer(CLOCK_MONOTONIC, 0, time); }
static long timer_none(long time) { return call(SYS_timer_settime, 9999, 0, time, 0, 0, 0); }

static long timer_fd(int clock, int flags, long time)
{
	int fd = timerfd_create(clock, 0);
	uint64_t times = 0;
	long result = call(SYS_timerfd_settime, fd, flags, time, 0, 0, 0);
	if (!result && read(fd, &times, sizeof times) < 0)
		abort();
	return result;
}

static long timerfd_until_realtime(long time) { return timer_fd(CLOCK_REALTIME, TFD_TIMER_ABSTIME, time); }
static long timerfd_until_cancel(long time) { return timer_fd(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, time); }
static long timerfd_until_monotonic(long time) { return timer_fd(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, time); }
static long timerfd_until_boottime(long time) { return timer_fd(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, time); }
static long timerfd_realtime(long time) { return timer_fd(CLOCK_REALTIME, 0, time); }
static long timerfd_monotonic(long time) { return timer_fd(CLOCK_MONOTONIC, 0, time); }
static long timerfd_closed(long time) { return call(SYS_timerfd_settime, 200, 0, time, 0, 0, 0); }

static long interval_timer(long time)
{
	long result = call(SYS_setitimer, ITIMER_REAL, time, 0, 0, 0, 0);
	if (!result && time)
		wait_for_ever(&alrm);
	return result;
}

static long interval_timer_of_cpu(long time) { return call(SYS_setitimer, ITIMER_VIRTUAL, time, 0, 0, 0, 0); }

static long alarm_clock(long time)
{
	long result = call(SYS_alarm, time, 0, 0, 0, 0, 0);
	wait_for_ever(&alrm);
	return result;
}

// Four times a quarter of the span; `time` is not used.
static long intervals_of_timerfd(long time)
{
	struct timespec quarter = { span_ns / 4 / SEC, span_ns / 4 % SEC };
	struct itimerspec each = { quarter, quarter };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t times = 0, more;
	long result = call(SYS_timerfd_settime, fd, 0, ADDR(&each), 0, 0, 0);
	for (; times < 4 && read(fd, &more, sizeof more) > 0; times += more)
		;
	(void)time;
	return result;
}

static long intervals_of_timer(long time)
{
	struct timespec quarter = { span_ns / 4 / SEC, span_ns / 4 % SEC };
	struct itimerspec each = { quarter, quarter };
	long result = call(SYS_timer_settime, made_timer(CLOCK_MONOTONIC), 0, ADDR(&each), 0, 0, 0);
	for (int i = 0; i < 4; i++)
		wait_for_ever(&usr1);
	(void)time;
	return result;
}

static long intervals_of_setitimer(long time)
{
	struct old_val quarter = { span_ns / 4 / SEC, span_ns / 4 % SEC / 1000 };
	struct old_interval each = { quarter, quarter };
	long result = call(SYS_setitimer, ITIMER_REAL, ADDR(&each), 0, 0, 0, 0);
	for (int i = 0; i < 4; i++)
		wait_for_ever(&alrm);
	(void)time;
	return result;
}

// ---------------------------------------------------------------------------------------------
// What is left of what was set far ahead: `time` is that, and what is given is what is left, ns.

static long long of_spec(struct timespec left) { return left.tv_sec * SEC + left.tv_nsec; }
static long long of_val(struct old_val left) { return left.tv_sec * SEC + left.tv_usec * 1000LL; }

static long long left_of_timer(int clock, int flags, long time)
{
	int id = made_timer(clock);
	struct itimerspec left = { { 0 }, { 0 } };
	if (syscall(SYS_timer_settime, id, flags, time, NULL) || syscall(SYS_timer_gettime, id, &left))
		return -errno;
	return of_spec(left.it_value);
}

static long long left_timer(long time) { return left_of_timer(CLOCK_MONOTONIC, 0, time); }
static long long left_timer_until(long time) { return left_of_timer(CLOCK_REALTIME, TIMER_ABSTIME, time); }

static long long left_timer_set_again(long time)
{
	int id = made_timer(CLOCK_MONOTONIC);
	struct itimerspec none = { { 0 }, { 0 } }, left = none;
	if (syscall(SYS_timer_settime, id, 0, time, NULL) || syscall(SYS_timer_settime, id, 0, &none, &left))
		return -errno;
	return of_spec(left.it_value);
}

static long long left_timerfd(long time)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec left = { { 0 }, { 0 } };
	if (syscall(SYS_timerfd_settime, fd, 0, time, NULL) || syscall(SYS_timerfd_gettime, fd, &left))
		return -errno;
	return of_spec(left.it_value);
}

static long long left_timerfd_set_again(long time)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec none = { { 0 }, { 0 } }, left = none;
	if (syscall(SYS_timerfd_settime, fd, 0, time, NULL) || syscall(SYS_timerfd_settime, fd, 0, &none, &left))
		return -errno;
	return of_spec(left.it_value);
}

static long long left_setitimer(long time)
{
	struct old_interval none = { { 0 }, { 0 } }, left = none;
	if (syscall(SYS_setitimer, ITIMER_REAL, time, NULL) || syscall(SYS_setitimer, ITIMER_REAL, &none, &left))
		return -errno;
	return of_val(left.it_value);
}

static long long left_getitimer(long time)
{
	struct old_interval left = { { 0 }, { 0 } };
	if (syscall(SYS_setitimer, ITIMER_REAL, time, NULL) || syscall(SYS_getitimer, ITIMER_REAL, &left))
		return -errno;
	return of_val(left.it_value);
}

static long long left_alarm(long time)
{
	syscall(SYS_alarm, time);
	return syscall(SYS_alarm, 0) * SEC;
}

static long long left_receive(long time)
{
	struct old_val left = { 0, 0 };
	socklen_t bytes = sizeof left;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || syscall(SYS_setsockopt, ends[0], SOL_SOCKET, 20, time, bytes) ||
	    syscall(SYS_getsockopt, ends[0], SOL_SOCKET, 20, &left, &bytes))
		return -errno;
	return of_val(left);
}

// ---------------------------------------------------------------------------------------------

// Of the words of a time: those of `long` are of calls without a sibling that has 64 bits, and of those in the names.
enum form { SPEC, SPEC_OF_LONG, SPEC_OF_64, VAL, VAL_OF_64, PAIR_OF_SPEC, PAIR_OF_VAL, MILLIS, SECONDS, NONE };
enum kind { SPAN, DEADLINE, LEFT, UNUSED };
static const char *const kinds[] = { "span", "deadline", "left", "unused" };

static const struct wait {
	const char *name;
	enum kind kind;
	enum form form;
	int clock;
	union {
		long (*make)(long time);
		// Gives what is left.
		long long (*left)(long time);
	};
} waits[] = {
	{ "clock_nanosleep-until-realtime", DEADLINE, SPEC, CLOCK_REALTIME, { sleep_until_realtime } },
	{ "clock_nanosleep-until-monotonic", DEADLINE, SPEC, CLOCK_MONOTONIC, { sleep_until_monotonic } },
	{ "clock_nanosleep-until-boottime", DEADLINE, SPEC, CLOCK_BOOTTIME, { sleep_until_boottime } },
	{ "clock_nanosleep-until-tai", DEADLINE, SPEC, CLOCK_TAI, { sleep_until_tai } },
	{ "clock_nanosleep-until-alarm", DEADLINE, SPEC, CLOCK_REALTIME, { sleep_until_alarm } },
	{ "clock_nanosleep-realtime", SPAN, SPEC, CLOCK_MONOTONIC, { sleep_realtime } },
	{ "clock_nanosleep-monotonic", SPAN, SPEC, CLOCK_MONOTONIC, { sleep_monotonic } },
	{ "clock_nanosleep-boottime", SPAN, SPEC, CLOCK_MONOTONIC, { sleep_boottime } },
	{ "clock_nanosleep-no-clock", UNUSED, SPEC, CLOCK_MONOTONIC, { sleep_no_clock } },
	{ "nanosleep", SPAN, SPEC_OF_LONG, CLOCK_MONOTONIC, { plain_nanosleep } },
	{ "futex-wait", SPAN, SPEC, CLOCK_MONOTONIC, { futex_wait } },
	{ "futex-wait-private", SPAN, SPEC, CLOCK_MONOTONIC, { futex_wait_private } },
	{ "futex-wait-other", UNUSED, SPEC, CLOCK_MONOTONIC, { futex_wait_other } },
	{ "futex-bitset", DEADLINE, SPEC, CLOCK_MONOTONIC, { futex_bitset } },
	{ "futex-bitset-realtime", DEADLINE, SPEC, CLOCK_REALTIME, { futex_bitset_realtime } },
	{ "futex-bitset-other", UNUSED, SPEC, CLOCK_REALTIME, { futex_bitset_other } },
	{ "futex-lock-pi", DEADLINE, SPEC, CLOCK_REALTIME, { futex_lock } },
	{ "futex-lock-pi2", DEADLINE, SPEC, CLOCK_MONOTONIC, { futex_lock2 } },
	{ "futex-lock-pi2-realtime", DEADLINE, SPEC, CLOCK_REALTIME, { futex_lock2_realtime } },
	{ "futex-requeue-pi", DEADLINE, SPEC, CLOCK_MONOTONIC, { futex_requeue } },
	{ "futex-requeue-pi-realtime", DEADLINE, SPEC, CLOCK_REALTIME, { futex_requeue_realtime } },
	{ "futex_wait-monotonic", DEADLINE, SPEC_OF_64, CLOCK_MONOTONIC, { futex2_monotonic } },
	{ "futex_wait-realtime", DEADLINE, SPEC_OF_64, CLOCK_REALTIME, { futex2_realtime } },
	{ "futex_wait-no-clock", UNUSED, SPEC_OF_64, CLOCK_BOOTTIME, { futex2_no_clock } },
	{ "futex_waitv-monotonic", DEADLINE, SPEC_OF_64, CLOCK_MONOTONIC, { futexes_monotonic } },
	{ "futex_waitv-realtime", DEADLINE, SPEC_OF_64, CLOCK_REALTIME, { futexes_realtime } },
	{ "poll-none", SPAN, MILLIS, CLOCK_MONOTONIC, { poll_none } },
	{ "poll-one", SPAN, MILLIS, CLOCK_MONOTONIC, { poll_one } },
	{ "poll-bad", UNUSED, MILLIS, CLOCK_MONOTONIC, { poll_bad } },
	{ "ppoll-none", SPAN, SPEC, CLOCK_MONOTONIC, { ppoll_none } },
	{ "ppoll-one", SPAN, SPEC, CLOCK_MONOTONIC, { ppoll_one } },
	{ "select-one", SPAN, VAL, CLOCK_MONOTONIC, { select_one } },
#ifdef SYS_old_select
	{ "old_select", SPAN, VAL, CLOCK_MONOTONIC, { old_select_one } },
	{ "old_select-bad", UNUSED, VAL, CLOCK_MONOTONIC, { old_select_bad } },
	{ "socketcall", SPAN, VAL, CLOCK_MONOTONIC, { receive_by_socketcall } },
	{ "socketcall-bad", UNUSED, VAL, CLOCK_MONOTONIC, { socketcall_bad } },
	{ "io_pgetevents-masked", SPAN, SPEC, CLOCK_MONOTONIC, { get_events_masked } },
	{ "epoll_pwait-masked", SPAN, MILLIS, CLOCK_MONOTONIC, { epoll_pwait_masked } },
#endif
	{ "select-closed", UNUSED, VAL, CLOCK_MONOTONIC, { select_closed } },
	{ "pselect6-none", SPAN, SPEC, CLOCK_MONOTONIC, { pselect_none } },
	{ "pselect6-masked", SPAN, SPEC, CLOCK_MONOTONIC, { pselect_masked } },
	{ "epoll_wait", SPAN, MILLIS, CLOCK_MONOTONIC, { epoll_wait_none } },
	{ "epoll_wait-closed", UNUSED, MILLIS, CLOCK_MONOTONIC, { epoll_closed } },
	{ "epoll_pwait", SPAN, MILLIS, CLOCK_MONOTONIC, { epoll_pwait_none } },
	{ "epoll_pwait2", SPAN, SPEC_OF_64, CLOCK_MONOTONIC, { epoll_pwait2_none } },
	{ "mq_timedsend", DEADLINE, SPEC, CLOCK_REALTIME, { send_message } },
	{ "mq_timedreceive", DEADLINE, SPEC, CLOCK_REALTIME, { receive_message } },
	{ "semtimedop", SPAN, SPEC, CLOCK_MONOTONIC, { semaphore } },
	{ "rt_sigtimedwait", SPAN, SPEC, CLOCK_MONOTONIC, { wait_signal } },
	{ "recvmmsg", SPAN, SPEC, CLOCK_MONOTONIC, { receive_some } },
	{ "io_getevents", SPAN, SPEC_OF_LONG, CLOCK_MONOTONIC, { get_events } },
	{ "io_pgetevents", SPAN, SPEC, CLOCK_MONOTONIC, { get_events_unmasked } },
	{ "io_uring_enter", SPAN, SPEC_OF_64, CLOCK_MONOTONIC, { ring_for } },
	{ "io_uring_enter-until", DEADLINE, SPEC_OF_64, CLOCK_MONOTONIC, { ring_until } },
	{ "so_rcvtimeo", SPAN, VAL, CLOCK_MONOTONIC, { receive_old } },
	{ "so_rcvtimeo-new", SPAN, VAL_OF_64, CLOCK_MONOTONIC, { receive_new } },
	{ "so_sndtimeo", SPAN, VAL, CLOCK_MONOTONIC, { send_much } },
	{ "timer_settime-until-realtime", DEADLINE, PAIR_OF_SPEC, CLOCK_REALTIME, { timer_until_realtime } },
	{ "timer_settime-until-monotonic", DEADLINE, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timer_until_monotonic } },
	{ "timer_settime-until-boottime", DEADLINE, PAIR_OF_SPEC, CLOCK_BOOTTIME, { timer_until_boottime } },
	{ "timer_settime-until-tai", DEADLINE, PAIR_OF_SPEC, CLOCK_TAI, { timer_until_tai } },
	{ "timer_settime-realtime", SPAN, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timer_realtime } },
	{ "timer_settime-monotonic", SPAN, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timer_monotonic } },
	{ "timer_settime-none", UNUSED, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timer_none } },
	{ "timerfd_settime-until-realtime", DEADLINE, PAIR_OF_SPEC, CLOCK_REALTIME, { timerfd_until_realtime } },
	{ "timerfd_settime-until-cancel", DEADLINE, PAIR_OF_SPEC, CLOCK_REALTIME, { timerfd_until_cancel } },
	{ "timerfd_settime-until-monotonic", DEADLINE, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timerfd_until_monotonic } },
	{ "timerfd_settime-until-boottime", DEADLINE, PAIR_OF_SPEC, CLOCK_BOOTTIME, { timerfd_until_boottime } },
	{ "timerfd_settime-realtime", SPAN, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timerfd_realtime } },
	{ "timerfd_settime-monotonic", SPAN, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timerfd_monotonic } },
	{ "timerfd_settime-closed", UNUSED, PAIR_OF_SPEC, CLOCK_MONOTONIC, { timerfd_closed } },
	{ "setitimer", SPAN, PAIR_OF_VAL, CLOCK_MONOTONIC, { interval_timer } },
	{ "setitimer-of-cpu", UNUSED, PAIR_OF_VAL, CLOCK_MONOTONIC, { interval_timer_of_cpu } },
	{ "alarm", SPAN, SECONDS, CLOCK_MONOTONIC, { alarm_clock } },
	{ "timerfd_settime-interval", SPAN, NONE, CLOCK_MONOTONIC, { intervals_of_timerfd } },
	{ "timer_settime-interval", SPAN, NONE, CLOCK_MONOTONIC, { intervals_of_timer } },
	{ "setitimer-interval", SPAN, NONE, CLOCK_MONOTONIC, { intervals_of_setitimer } },
	{ "timer_gettime", LEFT, PAIR_OF_SPEC, CLOCK_MONOTONIC, { .left = left_timer } },
	{ "timer_gettime-until", LEFT, PAIR_OF_SPEC, CLOCK_REALTIME, { .left = left_timer_until } },
	{ "timer_settime-again", LEFT, PAIR_OF_SPEC, CLOCK_MONOTONIC, { .left = left_timer_set_again } },
	{ "timerfd_gettime", LEFT, PAIR_OF_SPEC, CLOCK_MONOTONIC, { .left = left_timerfd } },
	{ "timerfd_settime-again", LEFT, PAIR_OF_SPEC, CLOCK_MONOTONIC, { .left = left_timerfd_set_again } },
	{ "setitimer-again", LEFT, PAIR_OF_VAL, CLOCK_MONOTONIC, { .left = left_setitimer } },
	{ "getitimer", LEFT, PAIR_OF_VAL, CLOCK_MONOTONIC, { .left = left_getitimer } },
	{ "alarm-again", LEFT, SECONDS, CLOCK_MONOTONIC, { .left = left_alarm } },
	{ "so_rcvtimeo-again", LEFT, VAL, CLOCK_MONOTONIC, { .left = left_receive } },
};

static const struct input {
	const char *name;
	// Seconds, and nanoseconds or microseconds, where the time is not `short`.
	long long sec, nsec;
} inputs[] = {
	{ "short", 0, 0 },
	{ "readonly", 0, 0 },
	{ "null", 0, 0 },
	{ "address", 0, 0 },
	{ "edge", 0, 0 },
	{ "zero", 0, 0 },
	{ "past", 1, 0 },
	{ "negative", -1, 0 },
	{ "second", 0, SEC },
	{ "below", 1, -1 },
	{ "far", 1LL << 33, 0 },
	{ "huge", LLONG_MAX, SEC - 1 },
};

// Two pages, of which the second cannot be read.
static char *pages(void)
{
	char *start = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(start + 4096, 4096, PROT_NONE);
	return start;
}

// How long the words of a time are.
static size_t word_bytes(enum form form)
{
	switch (form) {
	case SPEC:
	case PAIR_OF_SPEC:
		return sizeof(time_t);
	case SPEC_OF_64:
	case VAL_OF_64:
		return 8;
	default:
		return sizeof(long);
	}
}

static void put(char *place, size_t bytes, long long value)
{
	int nearest = value > INT_MAX ? INT_MAX : value;
	if (bytes == sizeof value)
		memcpy(place, &value, bytes);
	else
		memcpy(place, &nearest, bytes);
}

// What a call of that form is given for the time; -1 if it has no such input.
static long given(const struct wait *wait, const struct input *input, long long wanted_ns)
{
	int is_short = input - inputs < 2;
	int has_usec = wait->form == VAL || wait->form == VAL_OF_64 || wait->form == PAIR_OF_VAL;
	int is_pair = wait->form == PAIR_OF_SPEC || wait->form == PAIR_OF_VAL;
	long long sec = is_short ? wanted_ns / SEC : input->sec;
	long long part = is_short ? wanted_ns % SEC : input->nsec;
	if (has_usec)
		part = part < 0 ? part : part / 1000;
	if (wait->kind == LEFT && !is_short)
		return -1;
	if (!strcmp(input->name, "past") && wait->kind != DEADLINE)
		return -1;
	if (wait->form == NONE)
		return input == inputs ? 0 : -1;
	if (wait->form == MILLIS || wait->form == SECONDS) {
		// In the upper half of the register is what nobody looks at.
		static const struct { const char *name; int number; } numbers[] = {
			{ "zero", 0 }, { "negative", -1 }, { "huge", INT_MAX } };
		if (input == inputs)
			return wait->form == MILLIS ? (long)(wanted_ns / 1000000 | 7LL << 32) : (long)(wanted_ns / SEC);
		for (int i = 0; i < 3; i++)
			if (!strcmp(numbers[i].name, input->name))
				return wait->form == SECONDS && i == 1 ? -1 : (long)(unsigned)numbers[i].number;
		return -1;
	}
	if (!strcmp(input->name, "null"))
		return 0;
	if (!strcmp(input->name, "address"))
		return 8;
	char *page = pages();
	size_t bytes = word_bytes(wait->form);
	if (!strcmp(input->name, "edge"))
		return ADDR(page + 4096 - (is_pair ? 3 : 1) * bytes);
	put(page + (is_pair ? 2 : 0) * bytes, bytes, sec);
	put(page + (is_pair ? 3 : 1) * bytes, bytes, part);
	if (!strcmp(input->name, "readonly"))
		mprotect(page, 4096, PROT_READ);
	return ADDR(page);
}

static void make(const struct wait *wait, const struct input *input)
{
	struct timespec past = { .tv_nsec = 1 };
	for (int i = 0; i < times; i++)
		call(SYS_clock_nanosleep, i % 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC, TIMER_ABSTIME, ADDR(&past), 0, 0, 0);
	uint64_t blocked = usr1 | alrm;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, 8);
	long long wanted_ns = wait->kind == LEFT ? span_ns * 1000 : span_ns;
	if (wait->form == SECONDS)
		wanted_ns = (wanted_ns + SEC - 1) / SEC * SEC;
	long long left_ns = wanted_ns, host_before = host_ms(), began_ns = now_ns(wait->clock);
	int is_until = wait->kind == DEADLINE || !strcmp(wait->name, "timer_gettime-until");
	if (is_until)
		wanted_ns += began_ns;
	long time = given(wait, input, wanted_ns);
	if (time == -1)
		_exit(0);
	long long result = wait->kind == LEFT ? wait->left(time) : wait->make(time);
	long long ended_ns = now_ns(wait->clock);
	if (wait->kind == LEFT) {
		ended_ns = result;
		wanted_ns = left_ns;
		result = result < 0 ? result : 0;
	} else if (!is_until)
		wanted_ns += began_ns;
	char line[256];
	int bytes = snprintf(line, sizeof line, "%s %s %s %d %lld %lld %lld %lld %lld\n", wait->name, input->name,
			     kinds[wait->kind], wait->clock, result, host_ms() - host_before, began_ns, ended_ns, wanted_ns);
	_exit(write(1, line, bytes) != bytes);
}

int main(int count, char **arguments)
{
	if (count != 3)
		return 2;
	enum { WAITS = sizeof waits / sizeof *waits, INPUTS = sizeof inputs / sizeof *inputs };
	static pid_t children[WAITS * INPUTS];
	span_ns = atoll(arguments[1]) * 1000000;
	times = atoi(arguments[2]);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	for (int i = 0; i < WAITS * INPUTS; i++)
		if (!(children[i] = fork()))
			make(&waits[i / INPUTS], &inputs[i % INPUTS]);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	for (int i = 0; i < WAITS * INPUTS; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return semctl(semaphores, 0, IPC_RMID) < 0;
}
