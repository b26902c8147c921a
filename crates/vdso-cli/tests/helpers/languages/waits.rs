//! Waits of Rust's own: prints for each whether it was as long as it was to be.

use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let seconds: f64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let span = Duration::from_secs_f64(seconds);
    let check = |name: &str, least: Duration, wait: &dyn Fn()| {
        let began = Instant::now();
        wait();
        println!("{name} {}", if began.elapsed() >= least { "waited" } else { "early" });
    };
    check("sleep", span, &|| thread::sleep(span));
    check("condvar", span, &|| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let guard = mutex.lock().unwrap();
        drop(condvar.wait_timeout_while(guard, span, |_| true).unwrap());
    });
    check("channel", span, &|| {
        let (_sender, receiver) = channel::<()>();
        receiver.recv_timeout(span).unwrap_err();
    });
    check("park", span, &|| {
        let began = Instant::now();
        while began.elapsed() < span {
            thread::park_timeout(span);
        }
    });
    // The kernel counts it in ticks.
    check("socket", span * 9 / 10, &|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(span)).unwrap();
        socket.recv(&mut [0]).unwrap_err();
    });
}
