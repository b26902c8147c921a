import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** Waits of Java's own: prints for each whether it was as long as it was to be. */
class Waits {
    interface Wait {
        void run() throws Exception;
    }

    static long spanMs;

    static void check(String name, Wait wait) throws Exception {
        long began = System.nanoTime();
        wait.run();
        boolean isOver = System.nanoTime() - began >= spanMs * 1_000_000 - 1_000_000;
        System.out.println(name + (isOver ? " waited" : " early"));
    }

    public static void main(String[] arguments) throws Exception {
        spanMs = (long) (Double.parseDouble(arguments[0]) * 1000);
        check("sleep", () -> Thread.sleep(spanMs));
        check("wait", () -> {
            Object lock = new Object();
            synchronized (lock) {
                lock.wait(spanMs);
            }
        });
        check("parkNanos", () -> LockSupport.parkNanos(spanMs * 1_000_000));
        check("parkUntil", () -> LockSupport.parkUntil(System.currentTimeMillis() + spanMs));
        check("condition", () -> {
            ReentrantLock lock = new ReentrantLock();
            lock.lock();
            lock.newCondition().awaitNanos(spanMs * 1_000_000);
        });
        check("latch", () -> new CountDownLatch(1).await(spanMs, TimeUnit.MILLISECONDS));
        check("queue", () -> new LinkedBlockingQueue<Integer>().poll(spanMs, TimeUnit.MILLISECONDS));
        check("scheduled", () -> {
            ScheduledThreadPoolExecutor pool = new ScheduledThreadPoolExecutor(1);
            pool.schedule(() -> 1, spanMs, TimeUnit.MILLISECONDS).get();
            pool.shutdown();
        });
        check("timer", () -> {
            CountDownLatch done = new CountDownLatch(1);
            Timer timer = new Timer(true);
            timer.schedule(new TimerTask() {
                public void run() {
                    done.countDown();
                }
            }, spanMs);
            done.await();
        });
        check("delayed", () -> CompletableFuture
            .supplyAsync(() -> 1, CompletableFuture.delayedExecutor(spanMs, TimeUnit.MILLISECONDS)).get());
        check("accept", () -> {
            try (ServerSocket socket = new ServerSocket(0)) {
                socket.setSoTimeout((int) spanMs);
                socket.accept();
            } catch (SocketTimeoutException expected) {
            }
        });
    }
}
