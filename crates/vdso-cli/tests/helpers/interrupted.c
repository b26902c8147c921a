// Waits that are interrupted, abandoned, or made where nobody expects them. `interrupted WHAT SCALE` prints what came
// of it, in words that do not depend on how fast the program's clock runs; SCALE is how many seconds of it pass in one
// of the host's, or 1 if that is less.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __i386__
// The number that has this name there takes the address of its arguments.
#undef SYS_select
#define SYS_select SYS__newselect
#endif

#define SEC 1000000000LL

static long long scale = 1;
// Ends in any case, or never without a signal; of the program's time.
static long long short_ns, long_ns, slack_ns;

static long long now_ns(int clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * SEC + now.tv_nsec;
}

static struct timespec spec(long long ns) { return (struct timespec){ ns / SEC, ns % SEC }; }
static long long ns_of(struct timespec time) { return time.tv_sec * SEC + time.tv_nsec; }

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}

#define ADDR(what) ((long)(what))

static void read_of(int tid, const char *what, char *text, size_t bytes)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, what);
	int fd = open(path, O_RDONLY);
	ssize_t got = fd < 0 ? 0 : read(fd, text, bytes - 1);
	text[got > 0 ? got : 0] = 0;
	close(fd);
}

// Whether that is where the kernel sleeps in one of these calls, and not in the report of one.
static int is_wait(const char *where)
{
	static const char *const names[] = { "nanosleep", "futex", "poll", "select", "hrtimeout", "sigtimedwait", "wq_sleep" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strstr(where, names[i]))
			return 1;
	return 0;
}

static void until_waiting(int tid)
{
	for (;;) {
		char where[128];
		read_of(tid, "wchan", where, sizeof where);
		if (is_wait(where))
			return;
		sched_yield();
	}
}

// ---------------------------------------------------------------------------------------------
// Signals that interrupt each call, with and without SA_RESTART

static int word;

static long sleep_for(struct timespec *span, struct timespec *rest) { return call(SYS_nanosleep, ADDR(span), ADDR(rest), 0, 0, 0, 0); }
static long clock_sleep_for(struct timespec *span, struct timespec *rest) { return call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, ADDR(span), ADDR(rest), 0, 0); }
static long sleep_until(struct timespec *span, struct timespec *rest)
{
	struct timespec until = spec(now_ns(CLOCK_REALTIME) + ns_of(*span));
	return call(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, ADDR(&until), ADDR(rest), 0, 0);
}
static long futex_for(struct timespec *span, struct timespec *rest) { (void)rest; return call(SYS_futex, ADDR(&word), FUTEX_WAIT, 0, ADDR(span), 0, 0); }
static long futex_until(struct timespec *span, struct timespec *rest)
{
	struct timespec until = spec(now_ns(CLOCK_REALTIME) + ns_of(*span));
	(void)rest;
	return call(SYS_futex, ADDR(&word), FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, ADDR(&until), 0, -1);
}
static long poll_for(struct timespec *span, struct timespec *rest) { (void)rest; return call(SYS_poll, 0, 0, ns_of(*span) / 1000000, 0, 0, 0); }
static long ppoll_for(struct timespec *span, struct timespec *rest) { *rest = *span; return call(SYS_ppoll, 0, 0, ADDR(rest), 0, 0, 0); }
static long pselect_for(struct timespec *span, struct timespec *rest) { *rest = *span; return call(SYS_pselect6, 0, 0, 0, 0, ADDR(rest), 0); }
static long select_for(struct timespec *span, struct timespec *rest)
{
	struct timeval time = { span->tv_sec, span->tv_nsec / 1000 };
	long result = call(SYS_select, 0, 0, 0, 0, ADDR(&time), 0);
	*rest = (struct timespec){ time.tv_sec, time.tv_usec * 1000 };
	return result;
}
static long epoll_for(struct timespec *span, struct timespec *rest)
{
	struct epoll_event event;
	int fd = epoll_create1(0);
	(void)rest;
	long result = call(SYS_epoll_wait, fd, ADDR(&event), 1, ns_of(*span) / 1000000, 0, 0);
	close(fd);
	return result;
}
static long signal_for(struct timespec *span, struct timespec *rest)
{
	uint64_t set = 1 << (SIGUSR2 - 1);
	(void)rest;
	return call(SYS_rt_sigtimedwait, ADDR(&set), 0, ADDR(span), 8, 0, 0);
}
static long message_until(struct timespec *span, struct timespec *rest)
{
	struct { long flags, most, bytes, current, reserved[4]; } attributes = { 0, 1, 1, 0, { 0 } };
	struct timespec until = spec(now_ns(CLOCK_REALTIME) + ns_of(*span));
	char name[32], byte;
	snprintf(name, sizeof name, "vdso-interrupted-%d", getpid());
	int fd = syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, &attributes);
	syscall(SYS_mq_unlink, name);
	(void)rest;
	long result = call(SYS_mq_timedreceive, fd, ADDR(&byte), 1, 0, ADDR(&until), 0);
	close(fd);
	return result;
}

static const struct waiting {
	const char *name;
	long (*make)(struct timespec *span, struct timespec *rest);
	int has_rest, restarts;
} all[] = {
	{ "nanosleep", sleep_for, 1, 0 },
	{ "clock_nanosleep", clock_sleep_for, 1, 0 },
	{ "clock_nanosleep-until", sleep_until, 0, 0 },
	{ "futex", futex_for, 0, 0 },
	{ "futex-until", futex_until, 0, 0 },
	{ "poll", poll_for, 0, 0 },
	{ "ppoll", ppoll_for, 1, 0 },
	{ "select", select_for, 1, 0 },
	{ "pselect6", pselect_for, 1, 0 },
	{ "epoll_wait", epoll_for, 0, 0 },
	{ "rt_sigtimedwait", signal_for, 0, 0 },
	{ "mq_timedreceive", message_until, 0, 1 },
};
enum { ALL = sizeof all / sizeof *all };

static volatile sig_atomic_t handled;
static void handle(int signal) { (void)signal; handled++; }

static void on_usr1(void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigaction(SIGUSR1, &action, NULL);
}

static long long passed_ns;

// Interrupts a thread in its wait, when a tenth of a second of the host's, or of the program's, has passed in it.
static void *interrupt(void *thread)
{
	int tid = *(int *)thread;
	until_waiting(tid);
	long long began = now_ns(CLOCK_MONOTONIC);
	struct timespec tenth = spec(100000000 * scale);
	nanosleep(&tenth, NULL);
	passed_ns = now_ns(CLOCK_MONOTONIC) - began;
	syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
	return NULL;
}

static void interrupted(const struct waiting *waiting, int flags)
{
	int restarts = flags && waiting->restarts;
	struct timespec span = spec(restarts ? short_ns : long_ns), rest = span;
	int tid = gettid();
	pthread_t other;
	on_usr1(handle, flags);
	handled = 0;
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	// The other thread must not get it.
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	pthread_create(&other, NULL, interrupt, &tid);
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	long long began = now_ns(CLOCK_MONOTONIC);
	long result = waiting->make(&span, &rest);
	long long took = now_ns(CLOCK_MONOTONIC) - began;
	pthread_join(other, NULL);
	const char *is_right = "right";
	if (result != -EINTR)
		is_right = took >= ns_of(span) ? "waited" : "early";
	// The kernel adds a timer's slack to it, and select rounds down.
	else if (waiting->has_rest && (ns_of(rest) < ns_of(span) - took - 1000 * scale || ns_of(rest) > ns_of(span) - passed_ns + slack_ns))
		is_right = "wrong rest";
	printf("%s %s: %ld, %s, %d handled\n", waiting->name, flags ? "SA_RESTART" : "plain", result, is_right, handled);
}

static int eintr(void)
{
	for (int i = 0; i < ALL; i++)
		for (int flags = 0; flags < 2; flags++)
			interrupted(&all[i], flags ? SA_RESTART : 0);
	return 0;
}

// Stopped and continued: no call gives EINTR but epoll_wait and the like, which the kernel documents.
static int stopped(void)
{
	for (int i = 0; i < ALL; i++) {
		int ready[2];
		if (pipe(ready))
			return 1;
		pid_t child = fork();
		if (!child) {
			struct timespec span = spec(short_ns * 2), rest = span;
			long long began = now_ns(CLOCK_MONOTONIC);
			long result = all[i].make(&span, &rest);
			long long took = now_ns(CLOCK_MONOTONIC) - began;
			// The time that it was stopped for may have been all.
			int is_over = took >= ns_of(span);
			_exit(result == -EINTR ? 3 : is_over ? 0 : 1);
		}
		char path[64], where[128] = "";
		snprintf(path, sizeof path, "/proc/%d/wchan", child);
		do {
			int fd = open(path, O_RDONLY);
			ssize_t got = read(fd, where, sizeof where - 1);
			where[got > 0 ? got : 0] = 0;
			close(fd);
			sched_yield();
		} while (!is_wait(where));
		kill(child, SIGSTOP);
		int status;
		waitpid(child, &status, WUNTRACED);
		kill(child, SIGCONT);
		waitpid(child, &status, 0);
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		// Whether it was over when it was stopped depends on the machine, so both are right where EINTR is.
		int may_end = !strcmp(all[i].name, "epoll_wait") || !strcmp(all[i].name, "rt_sigtimedwait");
		printf("%s: %s\n", all[i].name, code == 0 || (may_end && code == 3) ? "right" : code == 3 ? "EINTR" : "early");
	}
	return 0;
}

// ---------------------------------------------------------------------------------------------
// What a handler does besides returning

static sigjmp_buf back;
static void jump(int signal) { (void)signal; siglongjmp(back, 1); }

static int longjmp_out(void)
{
	volatile int jumps = 0;
	int tid = gettid();
	on_usr1(jump, 0);
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	for (volatile int i = 0; i < ALL; i++) {
		pthread_t other;
		pthread_sigmask(SIG_BLOCK, &usr1, NULL);
		pthread_create(&other, NULL, interrupt, &tid);
		struct timespec span = spec(long_ns), rest;
		if (sigsetjmp(back, 1))
			jumps++;
		else {
			pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
			all[i].make(&span, &rest);
			printf("%s came back\n", all[i].name);
		}
		pthread_join(other, NULL);
	}
	struct timespec span = spec(short_ns), rest;
	long long began = now_ns(CLOCK_MONOTONIC);
	long result = sleep_for(&span, &rest);
	printf("%d jumps, then %ld %s\n", jumps, result, now_ns(CLOCK_MONOTONIC) - began >= short_ns ? "waited" : "early");
	return 0;
}

static volatile int in_handler;

static void wait_inside(int signal)
{
	struct timespec span = spec(short_ns), rest;
	long long began = now_ns(CLOCK_MONOTONIC);
	(void)signal;
	in_handler = sleep_for(&span, &rest) == 0 && now_ns(CLOCK_MONOTONIC) - began >= short_ns ? 1 : 2;
}

static void fork_inside(int signal)
{
	(void)signal;
	pid_t child = fork();
	if (!child) {
		wait_inside(0);
		_exit(in_handler);
	}
	int status;
	waitpid(child, &status, 0);
	in_handler = WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static const char *self;
static char scale_text[32];

static void exec_inside(int signal)
{
	char *arguments[] = { "interrupted", "slept", scale_text, NULL };
	(void)signal;
	execv(self, arguments);
}

static int inside(void (*handler)(int))
{
	int tid = gettid();
	pthread_t other;
	on_usr1(handler, SA_NODEFER);
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	pthread_create(&other, NULL, interrupt, &tid);
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	struct timespec span = spec(long_ns), rest;
	long result = clock_sleep_for(&span, &rest);
	pthread_join(other, NULL);
	printf("%ld, and in the handler %d\n", result, in_handler);
	return 0;
}

static int slept(void)
{
	struct timespec span = spec(short_ns), rest;
	long long began = now_ns(CLOCK_MONOTONIC);
	long result = sleep_for(&span, &rest);
	printf("slept: %ld %s\n", result, now_ns(CLOCK_MONOTONIC) - began >= short_ns ? "waited" : "early");
	return 0;
}

static int vfork_waits(void)
{
	struct timespec span = spec(short_ns);
	long long began = now_ns(CLOCK_MONOTONIC);
	pid_t child = vfork();
	if (!child)
		_exit(syscall(SYS_nanosleep, &span, NULL) != 0);
	int is_over = now_ns(CLOCK_MONOTONIC) - began >= short_ns, status;
	waitpid(child, &status, 0);
	printf("%d, %s\n", WEXITSTATUS(status), is_over ? "waited" : "early");
	return 0;
}

// ---------------------------------------------------------------------------------------------
// Cancellation

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int cleaned, cancelled_tid;
static void clean(void *mutex) { cleaned++; if (mutex) pthread_mutex_unlock(mutex); }

static void *cancelled(void *which)
{
	struct timespec span = spec(long_ns), until = spec(now_ns(CLOCK_REALTIME) + long_ns);
	struct timeval time = { long_ns / SEC, 0 };
	int kind = *(int *)which;
	if (kind == 4)
		pthread_mutex_lock(&mutex);
	pthread_cleanup_push(clean, kind == 4 ? &mutex : NULL);
	__atomic_store_n(&cancelled_tid, gettid(), __ATOMIC_SEQ_CST);
	switch (kind) {
	case 0: nanosleep(&span, NULL); break;
	case 1: clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL); break;
	case 2: poll(NULL, 0, long_ns / 1000000); break;
	case 3: select(0, NULL, NULL, NULL, &time); break;
	case 4: pthread_cond_timedwait(&condition, &mutex, &until); break;
	}
	pthread_cleanup_pop(0);
	return NULL;
}

// A call site that is used often may be rewritten.
static void wait_often(void)
{
	for (int i = 0; i < 8; i++) {
		struct timespec span = spec(1000), past = spec(now_ns(CLOCK_REALTIME));
		struct timeval time = { 0, 1 };
		nanosleep(&span, NULL);
		clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL);
		poll(NULL, 0, 1);
		select(0, NULL, NULL, NULL, &time);
		past.tv_nsec = (past.tv_nsec + 1000000) % SEC;
		pthread_mutex_lock(&mutex);
		pthread_cond_timedwait(&condition, &mutex, &past);
		pthread_mutex_unlock(&mutex);
	}
}

static int cancel(void)
{
	for (int kind = 0; kind < 5; kind++) {
		pthread_t thread;
		void *result;
		cleaned = cancelled_tid = 0;
		pthread_create(&thread, NULL, cancelled, &kind);
		while (!__atomic_load_n(&cancelled_tid, __ATOMIC_SEQ_CST))
			sched_yield();
		until_waiting(cancelled_tid);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		printf("%d: %s, %d cleaned, mutex %d\n", kind, result == PTHREAD_CANCELED ? "cancelled" : "not cancelled",
		       cleaned, pthread_mutex_trylock(&mutex));
		pthread_mutex_unlock(&mutex);
	}
	return 0;
}

static int cancel_often(void)
{
	wait_often();
	return cancel();
}

// ---------------------------------------------------------------------------------------------
// Many threads

static int wrong, done;

static void *wait_once(void *unused)
{
	long long began = now_ns(CLOCK_REALTIME);
	struct timespec until = spec(began + short_ns * 4);
	int result = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
	if (result || now_ns(CLOCK_REALTIME) - began < short_ns * 4)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	return unused;
}

static int threads(void)
{
	static pthread_t all[2000];
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (int i = 0; i < 2000; i++)
		if (pthread_create(&all[i], &attributes, wait_once, NULL))
			return 1;
	for (int i = 0; i < 2000; i++)
		pthread_join(all[i], NULL);
	printf("%d done, %d wrong\n", done, wrong);
	return 0;
}

static void *wait_long(void *unused)
{
	struct timespec span = spec(long_ns);
	for (;;)
		nanosleep(&span, NULL);
	return unused;
}

static int exec_beside(void)
{
	for (int i = 0; i < 100; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, wait_long, NULL);
	}
	exec_inside(0);
	return 1;
}

// ---------------------------------------------------------------------------------------------
// A storm of signals

static int storm(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { { 0, 300000 * scale }, { 0, 300000 * scale } };
	timer_t timer;
	often.it_interval = often.it_value = spec(300000 * scale);
	on_usr1(handle, 0);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &often, NULL);
	int early = 0, errors = 0, over = 0;
	for (int i = 0; i < 2000; i++) {
		struct timespec span = spec(1000000 * scale), rest = span;
		const struct waiting *waiting = &all[i % ALL];
		long long began = now_ns(CLOCK_MONOTONIC);
		long result = waiting->make(&span, &rest);
		long long took = now_ns(CLOCK_MONOTONIC) - began;
		int is_time_out = result == 0 || result == -ETIMEDOUT || result == -EAGAIN;
		if (is_time_out) {
			over++;
			early += took < ns_of(span);
		} else if (result != -EINTR)
			errors++;
	}
	printf("%d early, %d errors, %s\n", early, errors, over + handled ? "over" : "never over");
	return 0;
}

// As often as it is asked: waits one after another, of which none may be early.
static int again(void)
{
	int early = 0, errors = 0;
	for (int i = 0; i < 3000; i++) {
		struct timespec span = spec(1000000 * scale), rest = span;
		const struct waiting *waiting = &all[i % ALL];
		long long began = now_ns(CLOCK_MONOTONIC);
		long result = waiting->make(&span, &rest);
		early += now_ns(CLOCK_MONOTONIC) - began < ns_of(span);
		errors += result && result != -ETIMEDOUT && result != -EAGAIN;
		if (i == 10) {
			printf("started\n");
			fflush(stdout);
		}
	}
	printf("%d early, %d errors\n", early, errors);
	return 0;
}

// A wait that is long enough to look at, and ends when there is something to read.
static int paused(void)
{
	printf("%d\n", getpid());
	fflush(stdout);
	int early = 0, errors = 0;
	struct pollfd input = { 0, POLLIN, 0 };
	while (!poll(&input, 1, 0)) {
		struct timespec span = spec(short_ns * 2), rest;
		long long began = now_ns(CLOCK_MONOTONIC);
		errors += sleep_for(&span, &rest) != 0;
		early += now_ns(CLOCK_MONOTONIC) - began < ns_of(span);
	}
	printf("%d early, %d errors\n", early, errors);
	return 0;
}

// Filters of its own that refuse one of these calls, and all that the image makes beside them.
static int filtered(void)
{
	static const int refused[] = { SYS_nanosleep, SYS_rt_sigprocmask, SYS_clock_gettime };
	for (int i = 0; i < 3; i++) {
		if (fork()) {
			wait(NULL);
			continue;
		}
		struct sock_filter filter[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		};
		struct sock_fprog program = { 4, filter };
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			_exit(1);
		for (int j = 0; j < ALL; j++) {
			struct timespec span = spec(short_ns / 4), rest;
			long long began = now_ns(CLOCK_MONOTONIC);
			long result = all[j].make(&span, &rest);
			int is_over = now_ns(CLOCK_MONOTONIC) - began >= ns_of(span);
			printf("%d %s: %ld %s\n", i, all[j].name, result, is_over ? "waited" : result == -EPERM ? "refused" : "early");
		}
		fflush(stdout);
		_exit(0);
	}
	return 0;
}

// Children that are killed on their way into a wait, more of them than reports may be in work at a time.
static int killed(void)
{
	for (int i = 0; i < 1500; i++) {
		pid_t child = fork();
		if (!child) {
			struct timespec span = spec(long_ns), rest;
			for (;;)
				all[i % ALL].make(&span, &rest);
		}
		for (volatile int j = 0; j < i % 50 * 1000; j++)
			;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return slept();
}

// Threads that set timers without end, which is reported each time.
static void *set_often(void *unused)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec time = { { 0 }, spec(long_ns) }, left;
	timer_t id;
	timer_create(CLOCK_MONOTONIC, &event, &id);
	for (int i = 0; i < 1000; i++) {
		if (timer_settime(id, 0, &time, NULL) || timer_gettime(id, &left))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		long long left_ns = ns_of(left.it_value);
		if (left_ns > long_ns || left_ns < long_ns / 2)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	return unused;
}

static int timers(void)
{
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, set_often, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	printf("%d done, %d wrong\n", done, wrong);
	return 0;
}

// A tracer of its own, by system call stops.
static int traced(void)
{
	pid_t child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		struct timespec span = spec(200000000), rest;
		int is_wrong = 0;
		for (int i = 0; i < 3; i++)
			is_wrong |= sleep_for(&span, &rest) != 0;
		_exit(is_wrong);
	}
	int status, stops = 0;
	for (waitpid(child, &status, 0); WIFSTOPPED(status); waitpid(child, &status, 0)) {
		stops++;
		ptrace(PTRACE_SYSCALL, child, 0, 0);
	}
	printf("%s, %d\n", stops > 4 ? "traced" : "not traced", WEXITSTATUS(status));
	return 0;
}

int main(int count, char **arguments)
{
	static const struct { const char *name; int (*run)(void); } runs[] = {
		{ "eintr", eintr }, { "stopped", stopped }, { "longjmp", longjmp_out }, { "slept", slept },
		{ "vfork", vfork_waits }, { "cancel", cancel }, { "threads", threads }, { "exec-beside", exec_beside },
		{ "storm", storm }, { "again", again }, { "traced", traced },
		{ "paused", paused }, { "killed", killed }, { "timers", timers }, { "cancel-often", cancel_often }, { "filtered", filtered },
	};
	if (count != 3)
		return 2;
	self = "/proc/self/exe";
	scale = atoll(arguments[2]);
	snprintf(scale_text, sizeof scale_text, "%lld", scale);
	short_ns = 200000000 * scale;
	long_ns = 1000 * SEC * scale;
	slack_ns = 1000000 * scale;
	setvbuf(stdout, NULL, _IOFBF, 65536);
	int result = 2;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
		if (!strcmp(runs[i].name, arguments[1]))
			result = runs[i].run();
	if (!strcmp(arguments[1], "nested"))
		result = inside(wait_inside);
	if (!strcmp(arguments[1], "fork"))
		result = inside(fork_inside);
	if (!strcmp(arguments[1], "exec"))
		result = inside(exec_inside);
	fflush(stdout);
	return result;
}
