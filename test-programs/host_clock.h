// The host's clocks in a program that has clocks of its own: by a system call that is marked as the image marks
// its own, behind the arguments. An unmarked one gives the program's own clock where that is moved.
//
// Source: docs/DATAPAGE.md, the process page.

#ifndef HOST_CLOCK_H
#define HOST_CLOCK_H

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>

// The mark; zero on the kernel's own vDSO, which has no entry point, or on i386 the one that AT_SYSINFO says. Behind an image
// of ours are its pages. Not where calls are not moved: there the kernel's image may have an entry point.
static inline unsigned long host_clock_mark(void) {
#if defined __x86_64__ || defined __i386__ || defined __aarch64__ || defined __riscv
    static const uint64_t magic = 0x7664736f70726f63ULL;
    const unsigned char *page = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
    if (page == NULL || ((const ElfW(Ehdr) *)page)->e_entry == 0)
        return 0;
#ifdef __i386__
    if (page + ((const ElfW(Ehdr) *)page)->e_entry == (const unsigned char *)getauxval(AT_SYSINFO))
        return 0;
#endif
    while (*(const uint64_t *)page != magic)
        page += 4096;
    return *(const uint32_t *)(page + 36);
#else
    return 0;
#endif
}

#endif
