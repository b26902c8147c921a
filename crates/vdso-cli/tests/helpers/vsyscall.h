// Calls of the legacy vsyscall page, as programs of old make them: through a register, in code of their own.
// Each gives what the page's function gives.

#include <sys/time.h>

// glibc 2.12's gettimeofday.S, time.S and sched_getcpu.S.
#define CALL(name, addr)                                                                            \
    __asm__(".globl " #name "\n.type " #name ", @function\n" #name ":\n"                            \
            "sub $8, %rsp\nmovq $" #addr ", %rax\ncall *%rax\nadd $8, %rsp\nret\n"                  \
            ".size " #name ", .-" #name "\n");

long page_gettimeofday(struct timeval *time, void *zone);
long page_time(long *time);
long page_getcpu(unsigned *cpu, unsigned *node, void *unused);
