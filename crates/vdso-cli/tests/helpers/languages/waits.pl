# Waits of Perl's own: `waits.pl SECONDS` prints for each whether it was as long as it was to be.
use strict;
use warnings;
use Time::HiRes qw(usleep nanosleep clock_nanosleep clock_gettime setitimer ualarm
    CLOCK_MONOTONIC CLOCK_REALTIME ITIMER_REAL TIMER_ABSTIME);

my $span = shift;
my @waits = (
    [ "select"  => sub { select(undef, undef, undef, $span) } ],
    [ "usleep"  => sub { usleep($span * 1e6) } ],
    [ "nanosleep" => sub { nanosleep($span * 1e9) } ],
    [ "until" => sub { clock_nanosleep(CLOCK_REALTIME, (clock_gettime(CLOCK_REALTIME) + $span) * 1e9, TIMER_ABSTIME) } ],
    [ "setitimer" => sub { local $SIG{ALRM} = sub { }; setitimer(ITIMER_REAL, $span); select(undef, undef, undef, undef) } ],
);
for my $each (@waits) {
    my ($name, $wait) = @$each;
    my $began = clock_gettime(CLOCK_MONOTONIC);
    $wait->();
    # Times are numbers of 53 bits.
    my $took = clock_gettime(CLOCK_MONOTONIC) - $began;
    print "$name ", $took >= $span - 1e-5 ? "waited" : "early", "\n";
}
