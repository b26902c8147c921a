// The calls of vsyscall.h: linked to a program, or a library.

#include "vsyscall.h"

CALL(page_gettimeofday, 0xffffffffff600000)
CALL(page_time, 0xffffffffff600400)
CALL(page_getcpu, 0xffffffffff600800)
