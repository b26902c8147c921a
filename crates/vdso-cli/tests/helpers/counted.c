/*
 * Makes known numbers of calls, and prints them: a line for each clock, with its number and how often it was read by
 * clock_gettime. What it does beside is its argument.
 */

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, CALLS = 200000, FORKS = 40, CHILDS_CALLS = 1000, CLOCKS = 16 };

/* Of this process, but for what children made, which it knows beforehand. */
static atomic_ulong made[CLOCKS];
static atomic_bool is_done;

static void *quietly(clockid_t clock, int times)
{
	struct timespec now;

	for (int i = 0; i < times; i++)
		clock_gettime(clock, &now);
	return NULL;
}

static void read_clock(clockid_t clock, int times)
{
	quietly(clock, times);
	atomic_fetch_add(&made[clock], times);
}

static void *thread(void *unused)
{
	(void)unused;
	read_clock(CLOCK_MONOTONIC, CALLS);
	read_clock(CLOCK_REALTIME_COARSE, CALLS);
	return NULL;
}

static void *until_done(void *unused)
{
	(void)unused;
	while (!atomic_load(&is_done))
		read_clock(CLOCK_MONOTONIC, 100);
	return NULL;
}

static void with_threads(void *(*function)(void *), void (*meanwhile)(pthread_t *))
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, function, NULL))
			abort();
	if (meanwhile)
		meanwhile(threads);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status)
		abort();
}

/* Each child reads a clock itself, by a thread as well, while its parent's threads go on. */
static void fork_children(pthread_t *unused)
{
	pid_t children[FORKS];

	(void)unused;
	for (int i = 0; i < FORKS; i++) {
		children[i] = fork();
		if (!children[i]) {
			quietly(CLOCK_MONOTONIC, CHILDS_CALLS);
			_exit(0);
		}
		read_clock(CLOCK_MONOTONIC, CHILDS_CALLS);
	}
	for (int i = 0; i < FORKS; i++)
		wait_for(children[i]);
	atomic_fetch_add(&made[CLOCK_MONOTONIC], FORKS * CHILDS_CALLS);
	atomic_store(&is_done, true);
}

/* Each child has its parent's memory and thread pointer until it ends. */
static void vfork_children(pthread_t *unused)
{
	(void)unused;
	for (int i = 0; i < FORKS; i++) {
		pid_t child = vfork();

		if (!child) {
			quietly(CLOCK_MONOTONIC, CHILDS_CALLS);
			_exit(0);
		}
		read_clock(CLOCK_MONOTONIC, CHILDS_CALLS);
		wait_for(child);
	}
	atomic_fetch_add(&made[CLOCK_MONOTONIC], FORKS * CHILDS_CALLS);
	atomic_store(&is_done, true);
}

static void on_signal(int signal)
{
	(void)signal;
	read_clock(CLOCK_MONOTONIC, 1);
}

static void send_signals(pthread_t *threads)
{
	for (int i = 0; i < 20000; i++)
		pthread_kill(threads[i % THREADS], SIGUSR1);
	atomic_store(&is_done, true);
}

/* What it writes over all memory that it can write to and that has the counts' name. */
static void write_garbage(int byte)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;

	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, "vdso-counts") && sscanf(line, "%lx-%lx rw", &start, &end) == 2)
			memset((void *)start, byte, end - start);
	if (maps)
		fclose(maps);
}

static void print(void)
{
	for (int clock = 0; clock < CLOCKS; clock++)
		if (made[clock])
			printf("%d %lu\n", clock, made[clock]);
	fflush(stdout);
}

static void functions(void)
{
	struct timeval tv;
	struct timespec ts;
	unsigned int cpu;

	for (int clock = 0; clock < 12; clock++)
		if (clock != 10)
			read_clock(clock, clock + 1);
	for (int i = 0; i < 31; i++)
		gettimeofday(&tv, NULL);
	for (int i = 0; i < 32; i++)
		time(NULL);
	for (int i = 0; i < 33; i++)
		getcpu(&cpu, NULL);
	for (int i = 0; i < 34; i++)
		clock_getres(CLOCK_MONOTONIC, &ts);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "threads")) {
		with_threads(thread, NULL);
	} else if (!strcmp(mode, "forks")) {
		with_threads(until_done, fork_children);
	} else if (!strcmp(mode, "vforks")) {
		with_threads(until_done, vfork_children);
	} else if (!strcmp(mode, "signals")) {
		signal(SIGUSR1, on_signal);
		with_threads(until_done, send_signals);
	} else if (!strcmp(mode, "functions")) {
		functions();
	} else if (!strcmp(mode, "exec")) {
		/* The number is told to the program that this one becomes. */
		char *args[] = { argv[0], "told", NULL };

		quietly(CLOCK_BOOTTIME, 123);
		execv("/proc/self/exe", args);
		abort();
	} else if (!strcmp(mode, "told")) {
		read_clock(CLOCK_BOOTTIME, 77);
		atomic_fetch_add(&made[CLOCK_BOOTTIME], 123);
	} else if (!strcmp(mode, "confined")) {
		/* What a sandbox of a few calls kills for. */
		struct sock_filter filter[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_gettid, 2, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getpid, 1, 0),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		};
		struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			abort();
		read_clock(CLOCK_BOOTTIME, 50);
	} else if (!strcmp(mode, "killed")) {
		with_threads(thread, NULL);
		print();
		kill(getpid(), SIGKILL);
	} else if (!strcmp(mode, "many")) {
		/* More threads than there are blocks, one after another or not. */
		for (int i = 0; i < 5000; i++) {
			pid_t child = fork();

			if (!child) {
				quietly(CLOCK_MONOTONIC, 1);
				_exit(0);
			}
			wait_for(child);
		}
		atomic_fetch_add(&made[CLOCK_MONOTONIC], 5000);
	} else if (!strcmp(mode, "garbage")) {
		read_clock(CLOCK_MONOTONIC, 1);
		write_garbage(0xff);
		quietly(CLOCK_MONOTONIC, 1);
		wait_for(({ pid_t child = fork(); if (!child) { quietly(CLOCK_MONOTONIC, 1); _exit(0); } child; }));
	} else {
		return 2;
	}
	print();
	return 0;
}
