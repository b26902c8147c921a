# Runs programs under `vdso run` by busybox' shell, and says what they saw in the lines that `console.rs`
# reads. Lines before this one name the ABI, and why /signals is not there; the first program has mounted
# what there is.
#
# What the shell knows by name it may run in a mere fork: /busybox, by its path, is executed.

export PATH=/
/busybox mkdir -p /tmp
for applet in sh date cat true wc env seq grep kill sed ps timeout pidof sleep; do
    /busybox ln -s /busybox /$applet
done

group=none
count=0

say() {
    count=$((count + 1))
    echo "vdso-check $ABI/$group/$1 $2 $3"
}

close() {
    echo "vdso-check $ABI/$group end $count"
    count=0
}

# What a command says in its output, and its exit code, in one line.
result() {
    output=$("$@" 2>/tmp/said)
    code=$?
    echo $output exit $code
}

# check NAME EXPECTED COMMAND...: compares `result`.
check() {
    name=$1 expected=$2
    shift 2
    found=$(result "$@")
    case $found in
    $expected) say $name ok "$found" ;;
    *) say $name fail "$found instead of $expected; $(cat /tmp/said | /busybox tr '\n' ' ')" ;;
    esac
}

# bracketed AHEAD TOLERANCE: reads lines of test-programs/clocks.c. Clocks of the group of REALTIME must be
# ahead of the kernel by so many ns, and all others must be the kernel's.
bracketed() {
    lines=0
    while read name before library after; do
        case $name in
        REALTIME* | TAI* | GETTIMEOFDAY* | TIME*) ahead=$1 ;;
        *) ahead=0 ;;
        esac
        if [ $library -lt $((before + ahead - $2)) ] || [ $library -gt $((after + ahead + $2)) ]; then
            echo "$name: $before $library $after"
            return
        fi
        lines=$((lines + 1))
    done
    [ $lines -ge 7 ] && echo all as they should be || echo only $lines lines
}

# clocks_under TOLERANCE OPTION...
clocks_under() {
    tolerance=$1
    shift
    vdso run "$@" /clocks | bracketed 2592000000000000 $tolerance
}

# from_i386 PROGRAM: executed by an i386 program.
from_i386() {
    vdso run --offset +30d /busybox-i386 sh -c "exec $1" | bracketed 2592000000000000 0
}

# Where signal handlers return to, under any vDSO of ours.
case $ABI in
amd64) trampoline=libc ;;
*) trampoline=vdso ;;
esac

start="--at 2038-01-19T03:14:07Z"
moment=2038-01-19T03:14
source_checks() {
    check clocks "all as they should be exit 0" clocks_under $2 $1 --offset +30d
    check date "$moment exit 0" vdso run $1 $start date -u +%Y-%m-%dT%H:%M
    check children "2038 $moment exit 7" \
        vdso run $1 $start sh -c '/busybox date +%Y; /busybox date -u +%Y-%m-%dT%H:%M; exit 7'
    check exec-chain "$moment exit 0" \
        vdso run $1 $start sh -c 'exec /sh -c "exec /env /busybox date -u +%Y-%m-%dT%H:%M"'
    check signal-handler "caught 2038 2038 exit 0" \
        vdso run $1 $start sh -c 'trap "echo caught; date +%Y" USR1; kill -USR1 $$; date +%Y'
    # The image and the page of clocks: nothing of the code that put them there is left.
    check mapped "memfd:vdso-* 2 exit 0" vdso run $1 sh -c \
        'grep -o "memfd:vdso-[a-z]*" /proc/self/maps | sed q; grep -c memfd:vdso /proc/self/maps'
    if [ -e /signals ]; then
        check exceptions "trampoline $trampoline backtraces 100 thrown 100 exit 0" vdso run $1 /signals
    else
        say exceptions skip "$NO_SIGNALS"
    fi
    check many-arguments "20000 exit 0" \
        vdso run $1 sh -c 'set -- $(seq 20000); exec echo "$@" | wc -w'
}

group=run
year=$(date +%Y)
[ $year != 2038 ] && say host ok "it is $year" || say host fail "the clock is moved without vdso"
check frozen "2147483647 2147483647 exit 0" \
    vdso run --freeze $start sh -c 'date +%s; date +%s'
check exit-code "exit 3" vdso run sh -c 'exit 3'
check signaled "exit 137" vdso run sh -c 'kill -9 $$'
check not-found "exit 127" vdso run /no/such/program
check not-executable "exit 126" vdso run /proc/version
check usage "exit 2" vdso run --at never true
check not-followed "2038 exit 0" vdso run --no-follow $start /busybox date +%Y
check not-followed-child "$year exit 0" \
    vdso run --no-follow $start sh -c 'exec /busybox date +%Y'
check empty-environment "$moment exit 0" \
    env -i /vdso run $start /date -u +%Y-%m-%dT%H:%M
check one-hundred-children "100 exit 0" \
    vdso run $start sh -c 'for i in $(seq 100); do /busybox date +%Y; done | grep -c 2038'
check at-once "2038 2038 2038 2038 2038 2038 2038 2038 exit 0" \
    vdso run $start sh -c 'for i in 1 2 3 4 5 6 7 8; do /busybox date +%Y & done; wait'
check address "exit 0" vdso run -v true
grep -q "image at 0x" /tmp/said && say told ok "$(grep "image at" /tmp/said)" \
    || say told fail "no address: $(cat /tmp/said)"
close

for source in chain own host; do
    group=run-$source
    if vdso run --source $source true 2>/tmp/said; then
        # Where the kernel's page is not known, `own` compares its line with the kernel's by calls, in
        # whose midst an emulator on a busy machine stands still for long.
        tolerance=0
        [ $source = own ] && tolerance=20000000
        source_checks "--source $source" $tolerance
    else
        say source skip "$(sed q /tmp/said)"
    fi
    close
done

# Waits, timers, and clocks that a program asks for itself, by test-programs/timed.c: it says of each call whether it went
# by the program's own clock. A deadline that is not translated comes 400 days too late, or at once.
# timed NAME COMMAND...
timed() {
    name=$1
    shift
    check $name "* as they should be exit 0" timeout 100 "$@"
}

group=run-timed
timed plain /timed
timed ahead vdso run --offset +400d /timed
timed behind vdso run --offset -400d /timed
timed all-clocks vdso run --offset +400d --clocks all /timed
timed faster vdso run --rate 3 --clocks all /timed
timed frozen vdso run --freeze /timed frozen
timed sets vdso run --offset +400d /timed sets
timed files vdso run --offset +400d --file-times clock /timed files
# A supervisor that is killed in the midst of them is replaced.
timed supervisors-killed sh -c 'vdso run --offset +400d /timed & run=$!
    while kill -0 $run 2>/dev/null; do
        for pid in $(pidof vdso); do [ $pid = $run ] || kill -9 $pid; done
        sleep 1
    done
    wait $run'
close

# is_run NAME PROGRAM...: whether a program of another ABI is run here; why not is said.
is_run() {
    name=$1
    shift
    if [ ! -e $1 ]; then
        say $name skip "$1 was not built"
        return 1
    fi
    /init execute "$@" >/dev/null 2>/tmp/said
    code=$?
    case $code in
    0) return 0 ;;
    126) say $name skip "this kernel runs no such program: $(cat /tmp/said)" ;;
    *) say $name fail "exit $code: $(cat /tmp/said)" ;;
    esac
    return 1
}

group=run-other-abi
# Those of i386 get a clock; those of armhf run as they are, and a warning says so.
if [ -e /busybox-i386 ]; then
    if is_run i386 /busybox-i386 true; then
        check i386 "$moment $moment exit 7" vdso run $start /busybox-i386 sh -c \
            '/busybox-i386 date -u +%Y-%m-%dT%H:%M; exec /sh -c "date -u +%Y-%m-%dT%H:%M; exit 7"'
        check i386-signal-handler "caught $moment exit 0" vdso run $start /busybox-i386 sh -c \
            'trap "echo caught" USR1; kill -USR1 $$; exec /busybox-i386 date -u +%Y-%m-%dT%H:%M'
        check i386-mapped "memfd:vdso-chain-i386 exit 0" vdso run /busybox-i386 sed -n \
            's/.*\(memfd:vdso-[a-z0-9-]*\).*/\1/p;/memfd/q' /proc/self/maps
        if is_run x32 /clocks-x32; then
            check i386-to-x32 "all as they should be exit 0" from_i386 /clocks-x32
            check x32-to-i386 "REALTIME *$moment exit 0" \
                vdso run $start /clocks-x32 then /busybox-i386 date -u +%Y-%m-%dT%H:%M
        fi
    fi
fi
if [ -e /busybox-armhf ]; then
    if is_run armhf /busybox-armhf true; then
        check armhf "$year exit 0" vdso run $start /busybox-armhf date +%Y
        grep -q "32-bit program (arm)" /tmp/said && say armhf-warning ok "$(sed q /tmp/said)" \
            || say armhf-warning fail "no word about its clocks: $(cat /tmp/said)"
    fi
fi
close
