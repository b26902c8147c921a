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

#if defined(__x86_64__) || defined(__i386__)
#ifdef __x86_64__
typedef Elf64_Ehdr Header;
#else
typedef Elf32_Ehdr Header;
#endif

// Writes a function that makes the system call in eax into the room behind the image, in the last page
// of its mapping. Not even mprotect may make that writable, but /proc/self/mem gives a process a copy.
static unsigned char *function_behind_image(void) {
    unsigned char *image = (unsigned char *)getauxval(AT_SYSINFO_EHDR);
    int memory = open("/proc/self/mem", O_RDWR);
    if (image == NULL || memory < 0)
        return NULL;
    const Header *header = (const Header *)image;
    size_t end = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    if (end % 4096 == 0 || end % 4096 > 4000)
        return NULL;
    unsigned char *function = (unsigned char *)(((uintptr_t)image + end) & ~4095UL) + 4080;
#ifdef __x86_64__
    // syscall; ret
    unsigned char code[] = {0x0f, 0x05, 0xc3};
#else
    // call __kernel_vsyscall; ret
    unsigned char code[] = {0xe8, 0, 0, 0, 0, 0xc3};
    int32_t distance = (int32_t)(getauxval(AT_SYSINFO) - (uintptr_t)(function + 5));
    memcpy(code + 1, &distance, sizeof distance);
#endif
    if (pwrite64(memory, code, sizeof code, (off64_t)(uintptr_t)function) != sizeof code)
        return NULL;
    return function;
}

static int inside_vdso(void) {
    unsigned char *function = function_behind_image();
    if (function == NULL)
        return 77;
    for (long i = 0; i < count; i++) {
        struct timespec now;
        long result = SYS_clock_gettime;
#ifdef __x86_64__
        __asm__ volatile("call *%[function]"
                         : "+a"(result)
                         : [function] "r"(function), "D"((long)CLOCK_MONOTONIC), "S"(&now)
                         : "rcx", "r11", "memory");
#else
        __asm__ volatile("call *%[function]"
                         : "+a"(result)
                         : [function] "r"(function), "b"(CLOCK_MONOTONIC), "c"(&now)
                         : "memory");
#endif
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
