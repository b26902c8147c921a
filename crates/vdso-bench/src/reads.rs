//! Clock reads, by pointer, in this process.

use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_image::Source;
use vdso_inject::{ImageFile, LocalImage};
use vdso_timekeeper::Timekeeper;
use vdso_timekeeper::host::Host;

use crate::interleave::{Subject, measure};
use crate::table::{Goal, print};

/// Reads in one turn: so many that what its beginning costs, after another's turn, is lost in them.
pub const TIMES: u32 = 20_000;

/// Any of the functions, by what they have in common.
type Function = unsafe extern "C" fn(usize, usize, usize) -> i64;

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
            call.subject("kernel's vDSO", kernels(&host, call)?),
            call.subject("libfaketime, offset", call.library()),
        ];
        let title = format!("clock_gettime({name}), libfaketime preloaded");
        print(&title, &measure(&mut subjects, TIMES), &[]);
    }
    Ok(())
}

/// How well an own page follows the host, and what that costs.
pub fn steering() -> Result<()> {
    const SECONDS: u64 = 6;
    let host = Host::find()?;
    let page = OwnPage::new();
    let mut timekeeper = Timekeeper::new(&page, &host, [Transform::IDENTITY; clock::LINES]);
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
    println!("  deviation at an update, worst{:>10.4} ns", report.worst_deviation_ns);
    let share = 100.0 * busy.as_secs_f64() / start.elapsed().as_secs_f64();
    println!("  publisher's time at work     {share:>10.5} % of one CPU");
    Ok(())
}

struct Bench {
    host: Host,
    images: Vec<(&'static str, LocalImage)>,
}

impl Bench {
    fn new() -> Result<Self> {
        let host = Host::find()?;
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
            images.push((name, map(&host, source, transform)?));
        }
        Ok(Self { host, images })
    }

    fn row(&self, title: &str, call: Call, goals: &[Goal]) -> Result<()> {
        let mut subjects = vec![call.subject("kernel's vDSO", kernels(&self.host, call)?)];
        for (label, image) in &self.images {
            let name = format!("__vdso_{}", call.name());
            let address = image.function(&name).context("an image lacks a function")?;
            subjects.push(call.subject(label, function(address)));
        }
        subjects.push(call.subject("glibc", call.library()));
        subjects.push(call.system_call());
        print(title, &measure(&mut subjects, TIMES), goals);
        Ok(())
    }
}

/// Maps an image; an own page is published for as long as the process lives.
pub fn map(host: &Host, source: Source, transform: Transform) -> Result<LocalImage> {
    let transforms = [transform; clock::LINES];
    let image = vdso_image::tailor(source, &host.image).bytes;
    let file: &'static ImageFile = Box::leak(Box::new(ImageFile::create(source.name(), &image)?));
    vdso_timekeeper::initialise(file.page(), &transforms);
    if source == Source::Own {
        let host = Host::find()?;
        let mut timekeeper = Timekeeper::new(file.page(), &host, transforms);
        timekeeper.update();
        thread::spawn(move || {
            loop {
                thread::sleep(timekeeper.update());
            }
        });
    }
    let template = host.template(&vdso_image::FORWARDED);
    Ok(LocalImage::map(file, &template, host.vdso_addr)?)
}

/// What is called, and how.
#[derive(Clone, Copy)]
enum Call {
    ClockGettime(u32),
    Time,
    Getcpu,
    Gettimeofday,
}

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::ClockGettime(_) => "clock_gettime",
            Self::Time => "time",
            Self::Getcpu => "getcpu",
            Self::Gettimeofday => "gettimeofday",
        }
    }

    /// The first two arguments, given a buffer to write to. The others are null.
    const fn arguments(self, buffer: usize) -> (usize, usize) {
        match self {
            Self::ClockGettime(id) => (id as usize, buffer),
            _ => (buffer, 0),
        }
    }

    const fn number(self) -> libc::c_long {
        match self {
            Self::ClockGettime(_) => libc::SYS_clock_gettime,
            Self::Time => libc::SYS_time,
            Self::Getcpu => libc::SYS_getcpu,
            Self::Gettimeofday => libc::SYS_gettimeofday,
        }
    }

    /// The C library's own function.
    fn library(self) -> Function {
        let address = match self {
            Self::ClockGettime(_) => libc::clock_gettime as *const (),
            Self::Time => libc::time as *const (),
            Self::Getcpu => getcpu as *const (),
            Self::Gettimeofday => libc::gettimeofday as *const (),
        };
        function(address as usize)
    }

    fn subject(self, name: &str, function: Function) -> Subject<'static> {
        Subject::new(name, move |times| {
            let mut buffer = [0i64; 2];
            let (first, second) = self.arguments(buffer.as_mut_ptr() as usize);
            for _ in 0..times {
                // SAFETY: a function of this name, with arguments that it takes.
                unsafe { black_box(function)(first, second, 0) };
            }
        })
    }

    fn system_call(self) -> Subject<'static> {
        Subject::new("system call", move |times| {
            let mut buffer = [0i64; 2];
            let (first, second) = self.arguments(buffer.as_mut_ptr() as usize);
            for _ in 0..times.div_ceil(10) * 10 {
                // SAFETY: as above.
                unsafe { libc::syscall(self.number(), first, second, 0) };
            }
        })
    }
}

unsafe extern "C" {
    fn getcpu(cpu: *mut u32, node: *mut u32) -> i32;
}

fn kernels(host: &Host, call: Call) -> Result<Function> {
    let name = format!("__vdso_{}", call.name());
    let offset = host.function(&name).with_context(|| format!("the kernel's vDSO lacks {name}"))?;
    Ok(function((host.vdso_addr + offset) as usize))
}

fn function(address: usize) -> Function {
    // SAFETY: the address of a function that stays mapped, called by integers in the registers of
    // its C arguments.
    unsafe { std::mem::transmute(address) }
}
