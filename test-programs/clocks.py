#!/usr/bin/env python3
"""Prints the clocks that Python can read, each between two raw system calls for the same clock, the host's.

Sources: the `time` module's documentation, clock_gettime(2), syscall(2).
"""

import ctypes
import os
import time

CLOCKS = {
    "REALTIME": 0,
    "MONOTONIC": 1,
    "MONOTONIC_RAW": 4,
    "REALTIME_COARSE": 5,
    "MONOTONIC_COARSE": 6,
    "BOOTTIME": 7,
    "TAI": 11,
}
SYS_CLOCK_GETTIME = {"x86_64": 228, "aarch64": 113}[os.uname().machine]


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_int64), ("ns", ctypes.c_int64)]


libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def host_clock_mark():
    """What marks a system call that gives the host's clock: see host_clock.h."""
    libc.getauxval.restype = ctypes.c_ulong
    page = libc.getauxval(33)
    if os.uname().machine != "x86_64" or page == 0 or ctypes.c_uint64.from_address(page + 24).value == 0:
        return 0
    while ctypes.c_uint64.from_address(page).value != int.from_bytes(b"vdsoproc", "big"):
        page += 4096
    return ctypes.c_uint32.from_address(page + 36).value


MARK = ctypes.c_long(host_clock_mark())


def raw_ns(clock_id):
    """The clock by the system call itself."""
    now = Timespec()
    number, clock = ctypes.c_long(SYS_CLOCK_GETTIME), ctypes.c_long(clock_id)
    if libc.syscall(number, clock, ctypes.byref(now), MARK) != 0:
        raise OSError(ctypes.get_errno(), "clock_gettime")
    return now.seconds * 1_000_000_000 + now.ns


def print_line(name, read):
    """One line for the clock NAME[:function], which `read` reads in nanoseconds."""
    clock_id = CLOCKS[name.partition(":")[0]]
    before = raw_ns(clock_id)
    library = read()
    after = raw_ns(clock_id)
    print(name, before, library, after)


for name, clock_id in CLOCKS.items():
    print_line(name, lambda: time.clock_gettime_ns(clock_id))
print_line("REALTIME:time_ns", time.time_ns)
print_line("MONOTONIC:monotonic_ns", time.monotonic_ns)
print_line("MONOTONIC:perf_counter_ns", time.perf_counter_ns)
