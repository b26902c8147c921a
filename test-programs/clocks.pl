#!/usr/bin/env perl
# Prints the clocks that Perl can read, each between two raw system calls for the same clock.
# Time::HiRes gives the time as a floating-point number, which near 2^31 seconds is exact only to
# some 240 ns: it is rounded to microseconds here. Sources: Time::HiRes, clock_gettime(2), time(2).

use strict;
use warnings;
use Config;
use Time::HiRes ();

my $on_arm = $Config{archname} =~ /^aarch64/;
my $SYS_CLOCK_GETTIME = $on_arm ? 113 : 228;
my $REALTIME_COARSE = 5;

my @CLOCKS = (
    [REALTIME => 0],
    [MONOTONIC => 1],
    [MONOTONIC_RAW => 4],
    [REALTIME_COARSE => $REALTIME_COARSE],
    [MONOTONIC_COARSE => 6],
    [BOOTTIME => 7],
    [TAI => 11],
);

sub at { my ($addr, $form, $bytes) = @_; return unpack $form, unpack "P$bytes", pack "Q", $addr }

# What marks a system call that gives the host's clock: see host_clock.h.
sub host_clock_mark {
    open my $file, "<:raw", "/proc/self/auxv" or die "auxv: $!";
    my %auxv = unpack "Q*", do { local $/; <$file> };
    my $page = $auxv{33};
    return 0 if $on_arm || !$page || at($page + 24, "Q", 8) == 0;
    $page += 4096 while at($page, "Q", 8) != unpack "Q>", "vdsoproc";
    return at($page + 36, "L", 4);
}

my $MARK = host_clock_mark();

sub raw_moment {
    my ($clock_id) = @_;
    my $timespec = "\0" x 16;
    syscall($SYS_CLOCK_GETTIME, $clock_id, $timespec, $MARK) == 0 or die "clock_gettime: $!";
    return unpack "qq", $timespec;
}

sub raw_ns {
    my ($seconds, $ns) = raw_moment(@_);
    return $seconds * 1_000_000_000 + $ns;
}

# time(2) is the second of the coarse clock, and exists under its own number only on some machines.
sub raw_time_ns { return (raw_moment($REALTIME_COARSE))[0] * 1_000_000_000 }

sub print_line {
    my ($name, $raw, $library) = @_;
    my ($before, $read, $after) = ($raw->(), $library->(), $raw->());
    print "$name $before $read $after\n";
}

for (@CLOCKS) {
    my ($name, $id) = @$_;
    print_line "$name:HiRes.clock_gettime", sub { raw_ns($id) },
        sub { sprintf("%.0f", Time::HiRes::clock_gettime($id) * 1e6) . "000" };
}
print_line "REALTIME:HiRes.gettimeofday", sub { raw_ns(0) },
    sub { sprintf "%d%06d000", Time::HiRes::gettimeofday() };
print_line "TIME:time", \&raw_time_ns, sub { time . "000000000" };
