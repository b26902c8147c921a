//! Clock reads, by pointer, in this process.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::LocalImage;
use vdso_measure::{Call, Function, Turns, images, measure};
use vdso_timekeeper::Timekeeper;

use crate::table::{Goal, print};

/// How often each is measured here.
pub const TURNS: Turns = Turns { rounds: 301, times: 20_000 };

/// Every row.
pub fn all() -> Result<()> {
    let bench = Bench::new()?;
    for (id, name) in [
        (clock::MONOTONIC, "MONOTONIC"),
        (clock::REALTIME, "REALTIME"),
        (clock::MONOTONIC_RAW, "MONOTONIC_RAW"),
    ] {
        let goals = [
            Goal::ratio("own", 1.0, 0.95),
            Goal::ratio("own, offset", 1.0, 0.95),
            Goal::ratio("own, rate 1.5", 1.0, 0.95),
            Goal::ratio("host, offset", 1.02, 0.98),
            Goal::ratio("chain, offset", 1.10, 1.05),
        ];
        bench.row(&format!("clock_gettime({name})"), Call::ClockGettime(id), &goals)?;
    }
    for (id, name) in
        [(clock::REALTIME_COARSE, "REALTIME_COARSE"), (clock::MONOTONIC_COARSE, "MONOTONIC_COARSE")]
    {
        bench.row(&format!("clock_gettime({name})"), Call::ClockGettime(id), &quick(1.0))?;
    }
    bench.row("time", Call::Time, &quick(1.0))?;
    bench.row("getcpu", Call::Getcpu, &quick(0.5))?;
    bench.row("gettimeofday", Call::Gettimeofday, &[])?;
    faketime()
}

fn quick(aim: f64) -> [Goal; 3] {
    ["own", "own, offset", "host, offset"].map(|row| Goal::ratio(row, 1.05, aim))
}

/// libfaketime in a process of its own, as it can only be preloaded.
fn faketime() -> Result<()> {
    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !std::path::Path::new(LIBRARY).exists() {
        println!("\nskipped: libfaketime: not installed (Debian's package faketime)");
        return Ok(());
    }
    Command::new(std::env::current_exe()?)
        .arg("preloaded")
        .envs([("LD_PRELOAD", LIBRARY), ("FAKETIME", "+30d"), ("FAKETIME_DONT_RESET", "1")])
        .status()
        .map(drop)
        .context("cannot run the benchmark under libfaketime")
}

/// The rows of the process that [`faketime`] starts.
pub fn preloaded() -> Result<()> {
    let host = Host::find()?;
    for (id, name) in [(clock::MONOTONIC, "MONOTONIC"), (clock::REALTIME, "REALTIME")] {
        let call = Call::ClockGettime(id);
        let mut subjects = [
            kernels(&host, call)?.subject("kernel's vDSO"),
            call.library().subject("libfaketime, offset"),
        ];
        let title = format!("clock_gettime({name}), libfaketime preloaded");
        print(&title, &measure(&mut subjects, TURNS, || {}), &[]);
    }
    Ok(())
}

/// How well an own page follows the host, and what that costs.
pub fn steering() -> Result<()> {
    const SECONDS: u64 = 6;
    let host = Host::find()?;
    let page = OwnPage::new();
    let mut timekeeper =
        Timekeeper::new(&page, host.sampler(), [Transform::IDENTITY; clock::LINES]);
    let (start, mut busy) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < Duration::from_secs(SECONDS) {
        let update = Instant::now();
        let wait = timekeeper.update();
        busy += update.elapsed();
        thread::sleep(wait);
    }
    let report = timekeeper.report();
    println!("\nown page against the host, over {SECONDS} s");
    println!("  updates                      {:>10}", report.updates);
    println!("  deviation at an update, mean {:>10.4} ns", report.mean_deviation_ns());
    println!("  deviation at an update, worst{:>10.4} ns", report.worst_deviation_ns());
    let share = 100.0 * busy.as_secs_f64() / start.elapsed().as_secs_f64();
    println!("  publisher's time at work     {share:>10.5} % of one CPU");
    Ok(())
}

struct Bench {
    host: &'static Host,
    images: Vec<(&'static str, LocalImage)>,
}

impl Bench {
    fn new() -> Result<Self> {
        let host: &'static Host = Box::leak(Box::new(Host::find()?));
        let half_more = Rate { whole: 1, fraction: 1 << 63 };
        let mut images = Vec::new();
        for (name, source, offset_sec, rate) in [
            ("own", Source::Own, 0, Rate::ONE),
            ("own, offset", Source::Own, 1_000, Rate::ONE),
            ("own, rate 1.5", Source::Own, 0, half_more),
            ("host, offset", Source::Host, 1_000, Rate::ONE),
            ("chain, offset", Source::Chain, 1_000, Rate::ONE),
        ] {
            if source == Source::Host && host.page.is_err() {
                continue;
            }
            let offset = Timespec { sec: offset_sec, nsec: 0 };
            let transform = Transform { offset, base: Timespec::default(), rate };
            images.push((name, images::map(host, source, transform)?));
        }
        Ok(Self { host, images })
    }

    fn row(&self, title: &str, call: Call, goals: &[Goal]) -> Result<()> {
        let mut subjects = vec![kernels(self.host, call)?.subject("kernel's vDSO")];
        for (label, image) in &self.images {
            // SAFETY: mapped for this process by `images::map`.
            let function = unsafe { call.ours(image) }.context("an image lacks a function")?;
            subjects.push(function.subject(label));
        }
        subjects.push(call.library().subject("glibc"));
        subjects.push(call.system_call("system call"));
        print(title, &measure(&mut subjects, TURNS, || {}), goals);
        Ok(())
    }
}

fn kernels(host: &Host, call: Call) -> Result<Function<'static>> {
    call.kernels(host).with_context(|| format!("the kernel's vDSO lacks {}", call.name()))
}
