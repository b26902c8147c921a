//! Reads a clock 8,000 times, by 8 threads.

use std::thread;
use std::time::SystemTime;

fn main() {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1000).for_each(|_| drop(SystemTime::now())));
        }
    });
}
