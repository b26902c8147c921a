//! What `vdso run` runs here. Each prints what it found and ends with 0, or says what was wrong.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vdso_data::clock;

use crate::clocks::{self, Bracket};
use crate::namespace;

/// Every clock is moved by so many seconds.
pub fn read(offset_sec: i64, reads: u64) -> Result<()> {
    let offset_ns = i128::from(offset_sec) * 1_000_000_000;
    println!("{}", clocks::compare(reads, offset_ns)?);
    Ok(())
}

/// The same, and then in a time namespace that this process enters.
pub fn enter(offset_sec: i64, reads: u64) -> Result<()> {
    read(offset_sec, reads)?;
    namespace::enter(|| read(offset_sec, reads))
}

/// The same of a process that is so many generations below this one.
pub fn children(depth: u32, offset_sec: &str, reads: &str) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return read(offset_sec.parse()?, reads.parse()?);
    };
    let executable = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(executable);
    command.args(["children", &depth.to_string(), offset_sec, reads]);
    let status = command.status().context("cannot start a child")?;
    ensure!(status.success(), "a child at depth {depth}: {status}");
    Ok(())
}

/// Runs a program to its good end, without a clock. If the kernel does not know such programs, the exit code
/// is 126: a shell would take the file for a script.
pub fn execute(program: &str, arguments: &[&str]) -> Result<()> {
    const REFUSED: i32 = 126;
    let status = match Command::new(program).args(arguments).status() {
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {
            eprintln!("{error}");
            std::process::exit(REFUSED)
        }
        result => result.with_context(|| format!("cannot run {program}"))?,
    };
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}

/// REALTIME runs at a rate of its own, to so many nanoseconds.
pub fn rate(rate: i128, slack_ns: i128) -> Result<()> {
    /// How long that is looked at, ns: far longer than a slack.
    const LONG_ENOUGH_NS: i128 = 300_000_000;
    let first = Bracket::of(clock::REALTIME);
    let (mut last, mut reads) = (first, 0);
    while last.before - first.after < LONG_ENOUGH_NS {
        last = Bracket::of(clock::REALTIME);
        let least = (last.before - first.after) * rate - slack_ns;
        let most = (last.after - first.before) * rate + slack_ns;
        let passed = last.now - first.now;
        ensure!((least..=most).contains(&passed), "{passed} ns passed: {first:?}, {last:?}");
        reads += 1;
    }
    println!("{reads} reads in {} ms", (last.after - first.before) / 1_000_000);
    Ok(())
}

/// No clock goes back for so long; REALTIME neither, which nobody sets here.
pub fn never_back(duration_ms: u64) -> Result<()> {
    const IDS: [u32; 4] =
        [clock::MONOTONIC, clock::REALTIME, clock::BOOTTIME, clock::MONOTONIC_RAW];
    let (start, duration) = (Instant::now(), Duration::from_millis(duration_ms));
    let mut last = IDS.map(clocks::by_library);
    let mut reads = 0;
    while start.elapsed() < duration {
        for _ in 0..100 {
            for (id, last) in IDS.into_iter().zip(&mut last) {
                let now = clocks::by_library(id);
                ensure!(now >= *last, "clock {id} goes back by {} ns, read {reads}", *last - now);
                *last = now;
            }
            reads += 1;
        }
    }
    println!("{reads} reads of {} clocks", IDS.len());
    Ok(())
}

/// Where the C library, the kernel's file and `PR_GET_AUXV` have the vDSO.
pub fn auxv() -> Result<()> {
    /// Source: `include/uapi/linux/prctl.h`, Linux 6.4.
    const PR_GET_AUXV: libc::c_int = 0x4155_5856;
    // SAFETY: reads the auxiliary vector.
    let by_library = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let file = std::fs::read("/proc/self/auxv").context("cannot read /proc/self/auxv")?;
    ensure!(in_vector(&file) == Some(by_library), "/proc/self/auxv is another");
    let mut bytes = [0u8; 1024];
    // SAFETY: writes to `bytes`, which has this length.
    let length = unsafe { libc::prctl(PR_GET_AUXV, bytes.as_mut_ptr(), bytes.len(), 0, 0) };
    if length < 0 {
        println!("the library's and the file's; this kernel has no PR_GET_AUXV (Linux 6.4)");
        return Ok(());
    }
    ensure!(in_vector(&bytes) == Some(by_library), "PR_GET_AUXV is another");
    println!("the library's, the file's and the call's");
    Ok(())
}

/// The value of AT_SYSINFO_EHDR in a vector's bytes.
fn in_vector(bytes: &[u8]) -> Option<u64> {
    let word = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
    let is_it = |entry: &&[u8]| word(&entry[..8]) == Some(libc::AT_SYSINFO_EHDR);
    word(&bytes.chunks_exact(16).find(is_it)?[8..])
}
