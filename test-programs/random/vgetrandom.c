#include "vgetrandom.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

// arm64, riscv64 and loongarch64 name it `__kernel_`.
static const char *const names[] = {"__vdso_getrandom", "__kernel_getrandom"};

struct tables {
    const ElfW(Sym) *symbols;
    const char *strings;
    const uint32_t *hash;
};

static struct tables tables_of(uintptr_t base) {
    const ElfW(Ehdr) *header = (const void *)base;
    const ElfW(Phdr) *segments = (const void *)(base + header->e_phoff);
    struct tables tables = {0};
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(base + segments[i].p_offset);
    }
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        const void *table = (const void *)(base + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_SYMTAB) tables.symbols = table;
        if (dynamic->d_tag == DT_STRTAB) tables.strings = table;
        if (dynamic->d_tag == DT_HASH) tables.hash = table;
    }
    return tables;
}

vgetrandom_function *find_vgetrandom(void) {
    uintptr_t base = getauxval(AT_SYSINFO_EHDR);
    if (!base) return NULL;
    struct tables tables = tables_of(base);
    if (!tables.symbols || !tables.strings || !tables.hash) return NULL;
    // The second word of the hash table is how many symbols there are.
    for (uint32_t i = 0; i < tables.hash[1]; i++) {
        const ElfW(Sym) *symbol = &tables.symbols[i];
        if (symbol->st_shndx == SHN_UNDEF) continue;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            if (strcmp(tables.strings + symbol->st_name, names[j]) == 0)
                return (vgetrandom_function *)(base + symbol->st_value);
        }
    }
    return NULL;
}

struct parameters parameters_of(vgetrandom_function *function) {
    struct parameters parameters;
    memset(&parameters, 0xa5, sizeof parameters);
    ssize_t answer = function(NULL, 0, 0, &parameters, ~0UL);
    if (answer != 0) {
        fprintf(stderr, "the function gives no parameters, but %zd\n", answer);
        exit(1);
    }
    return parameters;
}

struct states map_states(const struct parameters *parameters, size_t count, uint32_t flags) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct states states = {.state_length = parameters->state_length};
    // Not two in one cache line, as a C library does it.
    size_t stride = (states.state_length + 63) & ~(size_t)63;
    states.per_page = page / stride;
    if (states.per_page == 0) {
        fprintf(stderr, "a state of %zu bytes does not fit a page\n", states.state_length);
        exit(1);
    }
    size_t length = (count + states.per_page - 1) / states.per_page * page;
    void *memory = mmap(NULL, length, (int)parameters->protection, (int)flags, -1, 0);
    if (memory == MAP_FAILED) {
        perror("cannot map states");
        exit(1);
    }
    states.memory = memory;
    return states;
}

void *state_at(const struct states *states, size_t index) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t stride = (states->state_length + 63) & ~(size_t)63;
    return states->memory + index / states->per_page * page + index % states->per_page * stride;
}

int is_used(const struct states *states, size_t index) {
    const unsigned char *state = state_at(states, index);
    for (size_t i = 0; i < states->state_length; i++) {
        if (state[i] != 0) return 1;
    }
    return 0;
}
