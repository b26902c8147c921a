/*
 * Two threads, the second of which never sleeps, and a seccomp filter that kills for what attaching takes. "second": that thread
 * has it from the start. "both": they have it when there is a line of input. "ends": the first thread ends then. "32": the second
 * one executes 32-bit code. Says "ready", and "done" after that line.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *when;
static pthread_barrier_t begun;

static void filter(unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program))
		exit(3);
}

static void *spin(void *unused)
{
	/* Others measure meanwhile. */
	setpriority(PRIO_PROCESS, 0, 19);
	if (strcmp(when, "second") == 0)
		filter(0);
	pthread_barrier_wait(&begun);
	if (strcmp(when, "32") == 0) {
		char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		/* Jumps to itself. */
		memcpy(page, "\xeb\xfe", 2);
		__asm__ volatile("mov %1, %%rsp; push $0x23; push %0; lretq" ::"r"(page), "r"(page + 4000) : "memory");
	}
	for (;;)
		__asm__ volatile("" ::: "memory");
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	when = argc > 1 ? argv[1] : "";
	pthread_barrier_init(&begun, NULL, 2);
	if (pthread_create(&thread, NULL, spin, NULL))
		return 3;
	pthread_barrier_wait(&begun);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	puts("ready");
	getchar();
	if (strcmp(when, "both") == 0)
		filter(SECCOMP_FILTER_FLAG_TSYNC);
	puts("done");
	if (strcmp(when, "ends") == 0)
		pthread_exit(NULL);
	for (;;)
		pause();
}
