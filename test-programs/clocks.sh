#!/usr/bin/env bash
# Prints the clocks that bash can read, each between two raw system calls for the same clock.
# bash has no system calls, so the C program `clocks` beside this script makes them; the two raw
# values are therefore a few milliseconds apart. Sources: bash(1), date(1).

export LC_ALL=C
raw_program="${0%/*}/clocks"

print_line() { # NAME:function raw-clock reader
    local before library after
    before=$("$raw_program" raw "$2")
    "$3"
    after=$("$raw_program" raw "$2")
    echo "$1 $before $library $after"
}

# The readers leave nanoseconds in `library`: a subshell would hide which process read the clock.
read_epochrealtime() { library="${EPOCHREALTIME/./}000"; }
read_printf() { printf -v library '%(%s)T000000000' -1; }
read_date() { library=$(date +%s%N); }

print_line REALTIME:EPOCHREALTIME REALTIME read_epochrealtime
print_line TIME:printf TIME read_printf
print_line REALTIME:date REALTIME read_date
