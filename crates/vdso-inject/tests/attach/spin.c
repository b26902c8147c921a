/*
 * Threads that read clocks without a pause and compare them with what system calls say. Told by letters what else
 * happens: s others sleep, g signals come all the time, f children are forked. OFFSET is what REALTIME may be ahead.
 *
 * Says "ready", and at the end of its input how many reads there were, how many of them were ahead, and what was wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef long long ns_t;

static ns_t offset_ns;
static atomic_int stops;
static atomic_llong reads, ahead, wrong;
static pthread_t spinners[64];
static int spinner_count;

static ns_t ns(struct timespec ts) { return ts.tv_sec * 1000000000LL + ts.tv_nsec; }

static ns_t asked(clockid_t id)
{
	struct timespec ts;
	syscall(SYS_clock_gettime, id, &ts);
	return ns(ts);
}

static void is_wrong(const char *what, ns_t before, ns_t value, ns_t after)
{
	if (atomic_fetch_add(&wrong, 1) < 10)
		fprintf(stderr, "%s: %lld is not within %lld and %lld\n", what, value, before, after);
}

/* Whether the value is the host's, or the program's own. A function may be slower than the call by `late_ns`. */
static void check(const char *what, ns_t before, ns_t value, ns_t after, ns_t late_ns)
{
	int is_hosts = before - late_ns <= value && value <= after;
	int is_ahead = before - late_ns + offset_ns <= value && value <= after + offset_ns;
	reads++;
	if (!is_hosts && !is_ahead)
		is_wrong(what, before, value, after);
	else if (!is_hosts)
		ahead++;
}

static void read_all(void)
{
	struct timespec ts;
	struct timeval tv;
	ns_t before = asked(CLOCK_MONOTONIC), after;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		is_wrong("clock_gettime", 0, errno, 0);
	after = asked(CLOCK_MONOTONIC);
	reads++;
	if (ns(ts) < before || ns(ts) > after)
		is_wrong("MONOTONIC", before, ns(ts), after);

	before = asked(CLOCK_REALTIME);
	clock_gettime(CLOCK_REALTIME, &ts);
	check("REALTIME", before, ns(ts), asked(CLOCK_REALTIME), 0);

	before = asked(CLOCK_REALTIME);
	gettimeofday(&tv, NULL);
	check("gettimeofday", before, tv.tv_sec * 1000000000LL + tv.tv_usec * 1000LL, asked(CLOCK_REALTIME), 1000);

	/* Whole seconds, of the last tick. */
	before = asked(CLOCK_REALTIME_COARSE);
	ts.tv_sec = time(NULL);
	check("time", before, ts.tv_sec * 1000000000LL, asked(CLOCK_REALTIME_COARSE), 1000000000LL);

	if (clock_getres(CLOCK_MONOTONIC, &ts) != 0 || ns(ts) != 1)
		is_wrong("clock_getres", 1, ns(ts), 1);
}

static void *spin(void *unused)
{
	(void)unused;
	while (!stops)
		read_all();
	return NULL;
}

static void *sleep_for_a_moment(void *unused)
{
	struct timespec moment = { 0, 5000000 };
	(void)unused;
	while (!stops) {
		ns_t before = asked(CLOCK_MONOTONIC);
		if (nanosleep(&moment, NULL) != 0)
			is_wrong("nanosleep", 0, errno, 0);
		if (poll(NULL, 0, 5) != 0)
			is_wrong("poll", 0, errno, 0);
		int word = 0;
		if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, &moment, NULL, 0) == 0 || errno != ETIMEDOUT)
			is_wrong("futex", ETIMEDOUT, errno, ETIMEDOUT);
		if (asked(CLOCK_MONOTONIC) - before < 15000000)
			is_wrong("sleep", before, asked(CLOCK_MONOTONIC), 0);
	}
	return NULL;
}

static void handler(int signal)
{
	int saved = errno;
	(void)signal;
	read_all();
	errno = saved;
}

static void *send_signals(void *unused)
{
	(void)unused;
	while (!stops)
		for (int i = 0; i < spinner_count; i++) {
			pthread_kill(spinners[i], SIGUSR1);
			usleep(100);
		}
	return NULL;
}

static void *fork_children(void *unused)
{
	(void)unused;
	while (!stops) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			long long before = wrong;
			for (int i = 0; i < 20; i++)
				read_all();
			_exit(wrong != before);
		}
		while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
		if (status != 0)
			is_wrong("child", 0, status, 0);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t others[3];
	int other_count = 0;
	char input;

	if (argc != 4)
		return 2;
	spinner_count = atoi(argv[1]);
	offset_ns = atoll(argv[2]) * 1000000000LL;
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < spinner_count; i++)
		pthread_create(&spinners[i], NULL, spin, NULL);
	if (strchr(argv[3], 's'))
		pthread_create(&others[other_count++], NULL, sleep_for_a_moment, NULL);
	if (strchr(argv[3], 'g'))
		pthread_create(&others[other_count++], NULL, send_signals, NULL);
	if (strchr(argv[3], 'f'))
		pthread_create(&others[other_count++], NULL, fork_children, NULL);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		ssize_t got = read(0, &input, 1);
		if (got < 0)
			is_wrong("read", 0, errno, 0);
		if (got <= 0)
			break;
		/* Asked in between. */
		printf("%lld %lld %lld\n", (long long)reads, (long long)ahead, (long long)wrong);
		fflush(stdout);
	}
	stops = 1;
	/* Whoever sends signals first: a thread that was joined is none that they can be sent to. */
	for (int i = 0; i < other_count; i++)
		pthread_join(others[i], NULL);
	for (int i = 0; i < spinner_count; i++)
		pthread_join(spinners[i], NULL);
	printf("%lld %lld %lld\n", (long long)reads, (long long)ahead, (long long)wrong);
	return wrong != 0;
}
