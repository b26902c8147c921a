import java.time.Instant;
import java.util.function.LongSupplier;

/**
 * Prints the clocks that the Java platform can read, each between two raw system calls for the same
 * clock, which the JNI library raw_clock.c makes.
 *
 * <p>On Linux, HotSpot's System.nanoTime is CLOCK_MONOTONIC (os_posix.cpp, os::javaTimeNanos).
 */
public final class Clocks {
    /** Clock ids, from linux/time.h. */
    private static final int REALTIME = 0;

    private static final int MONOTONIC = 1;

    private static native long rawNs(int clock);

    private static long instantNs() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000_000L + now.getNano();
    }

    private static void printLine(String name, int clock, LongSupplier library) {
        long before = rawNs(clock);
        long read = library.getAsLong();
        long after = rawNs(clock);
        System.out.println(name + " " + before + " " + read + " " + after);
    }

    public static void main(String[] arguments) {
        System.loadLibrary("raw_clock");
        LongSupplier millis = () -> System.currentTimeMillis() * 1_000_000L;
        printLine("REALTIME:currentTimeMillis", REALTIME, millis);
        printLine("REALTIME:Instant.now", REALTIME, Clocks::instantNs);
        printLine("MONOTONIC:nanoTime", MONOTONIC, System::nanoTime);
    }
}
