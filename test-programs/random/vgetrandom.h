// The vDSO's getrandom, as a C library would use it: found in the auxiliary vector's image, asked for
// what its states need, given one state for each caller.
//
// Source of the interface: include/uapi/linux/random.h, getrandom(2), elf(5).

#ifndef VGETRANDOM_H
#define VGETRANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// include/uapi/linux/mman.h since 6.11; spelled out because older headers lack it.
#define DROPPABLE 0x08

// What a program ends with where there is no function: what kselftest calls a skip.
#define EXIT_NO_FUNCTION 4

typedef ssize_t vgetrandom_function(void *buffer, size_t length, unsigned int flags, void *state,
                                    size_t state_length);

// `struct vgetrandom_opaque_params`.
struct parameters {
    uint32_t state_length;
    uint32_t protection;
    uint32_t flags;
    uint32_t reserved[13];
};

// Memory for states.
struct states {
    unsigned char *memory;
    size_t state_length;
    size_t per_page;
};

// The function; null if the image has none.
vgetrandom_function *find_vgetrandom(void);

// The parameters. Ends the program if the function does not give any.
struct parameters parameters_of(vgetrandom_function *function);

// Maps `count` states with these flags for mmap(2).
struct states map_states(const struct parameters *parameters, size_t count, uint32_t flags);

// The state of this index. None straddles two pages.
void *state_at(const struct states *states, size_t index);

// Whether anything has been written there since it was mapped.
int is_used(const struct states *states, size_t index);

#endif
