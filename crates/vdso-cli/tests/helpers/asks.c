// Makes system calls that a vDSO could have answered, so that each can be counted:
//   asks direct N    clock_gettime(CLOCK_MONOTONIC), by a system call of its own
//   asks vdso N      the same, by an instruction in the vDSO's mapping, as its own fallback does
//   asks plain N     the same, through the C library
//   asks cpu N       clock_gettime(CLOCK_PROCESS_CPUTIME_ID), through the C library
//   asks threads N   as direct, N times in each of four threads
//   asks exec WORD N executes itself with these
// The compiler must keep no red zone, as a call is made behind its back (-mno-red-zone).
// Source: the vDSO is an ELF file in memory, at AT_SYSINFO_EHDR, see vdso(7).

#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long count;

static void *direct(void *unused) {
    struct timespec now;
    for (long i = 0; i < count; i++)
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return unused;
}

static void library(clockid_t clock) {
    struct timespec now;
    for (long i = 0; i < count; i++)
        clock_gettime(clock, &now);
}

#ifdef __x86_64__
// Writes a system call and a return into the room behind the image, in the last page of its mapping.
static int inside_vdso(void) {
    char *image = (char *)getauxval(AT_SYSINFO_EHDR);
    if (image == NULL)
        return 77;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
    size_t end = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    char *function = (char *)(((uintptr_t)image + end) & ~4095UL) + 4080;
    if (end % 4096 == 0 || end % 4096 > 4000)
        return 77;
    // Not even mprotect may make it writable, but this file gives a process a copy of the page.
    int memory = open("/proc/self/mem", O_RDWR);
    if (memory < 0 || pwrite(memory, "\x0f\x05\xc3", 3, (off_t)(uintptr_t)function) != 3)
        return 77;
    for (long i = 0; i < count; i++) {
        struct timespec now;
        long result = SYS_clock_gettime;
        __asm__ volatile("call *%[function]"
                         : "+a"(result)
                         : [function] "r"(function), "D"((long)CLOCK_MONOTONIC), "S"(&now)
                         : "rcx", "r11", "memory");
        if (result != 0)
            return 1;
    }
    return 0;
}
#else
static int inside_vdso(void) { return 77; }
#endif

int main(int argc, char **argv) {
    if (argc >= 4 && strcmp(argv[1], "exec") == 0) {
        argv[1] = argv[0];
        execv(argv[0], argv + 1);
        return 1;
    }
    if (argc != 3)
        return 2;
    count = atol(argv[2]);
    if (strcmp(argv[1], "direct") == 0)
        direct(NULL);
    else if (strcmp(argv[1], "plain") == 0)
        library(CLOCK_MONOTONIC);
    else if (strcmp(argv[1], "cpu") == 0)
        library(CLOCK_PROCESS_CPUTIME_ID);
    else if (strcmp(argv[1], "vdso") == 0)
        return inside_vdso();
    else if (strcmp(argv[1], "threads") == 0) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, direct, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    } else
        return 2;
    return 0;
}
