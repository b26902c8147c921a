//! The kernel's data page as the timekeeper's tests keep it
//! (`crates/vdso-host/src/captured/README.md`): what the kernel's types say of it, its
//! words, and what the kernel said the time was around that.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use anyhow::{Context, Result, bail};
use vdso_data::{PAGE_BYTES, clock};
use vdso_host::counter;
use vdso_host::proc::maps;
use vdso_host::{Mapping, btf};

use crate::clocks;
use crate::report::Report;

/// Each structure that the page is made of in some version, with the members that it has in any.
const STRUCTURES: &[(&str, &[&str])] = &[
    ("vdso_data", CLOCK),
    ("vdso_clock", CLOCK),
    ("vdso_time_data", &["clock_data", "aux_clock_data", "tz_minuteswest", "hrtimer_res"]),
];
const CLOCK: &[&str] = &[
    "seq",
    "clock_mode",
    "cycle_last",
    "max_cycles",
    "mask",
    "mult",
    "shift",
    "basetime",
    "offset",
    "tz_minuteswest",
    "hrtimer_res",
];

/// Says it all as checks that went well.
pub fn run(report: &mut Report) {
    if let Err(error) = try_run(report) {
        report.check("capture", Err::<&str, _>(error));
    }
}

fn try_run(report: &mut Report) -> Result<()> {
    let mut say = |name: &str, detail: String| report.check(name, Ok(detail));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    say("release", release.trim().to_owned());
    for (name, detail) in types()? {
        say(&name, detail);
    }
    let vvar = vvar()?;
    let moment = Moment::look(vvar)?;
    say("counter", moment.cycles.to_string());
    for (id, before, after) in moment.clocks {
        say("clock", format!("{id} {before} {after}"));
    }
    const WORDS: usize = 4;
    for (row, words) in moment.words.chunks(WORDS).enumerate() {
        if words.iter().any(|word| *word != 0) {
            let words: Vec<String> = words.iter().map(|word| format!("{word:016x}")).collect();
            say("words", format!("{:#05x} {}", row * WORDS * size_of::<u64>(), words.join(" ")));
        }
    }
    Ok(())
}

/// `struct NAME BYTES`, and a `member STRUCT NAME OFFSET` for each.
fn types() -> Result<Vec<(String, String)>> {
    let types = btf::Btf::open().with_context(|| format!("cannot read {}", btf::VMLINUX))?;
    let types = types.context("no type information")?;
    let mut lines = Vec::new();
    for &(name, members) in STRUCTURES {
        let Some(structure) = types.structure(name) else { continue };
        lines.push(("struct".to_owned(), format!("{name} {}", structure.bytes())));
        for &member in members {
            if let Some(offset) = structure.offset(member) {
                lines.push(("member".to_owned(), format!("{name} {member} {offset}")));
            }
        }
    }
    Ok(lines)
}

fn vvar() -> Result<Mapping> {
    maps::kernels(&maps::read("self")?, "[vvar]").context("there is no [vvar]")
}

/// The page and the clocks while it did not change.
struct Moment {
    cycles: u64,
    words: Vec<u64>,
    /// Id, and ns before and after.
    clocks: Vec<(u32, i128, i128)>,
}

impl Moment {
    fn look(vvar: Mapping) -> Result<Self> {
        const TRIES: usize = 1000;
        for _ in 0..TRIES {
            let before = clock::HIGH_RESOLUTION_IDS.map(clocks::by_call);
            let words = copy(vvar);
            let cycles = counter::read();
            let again = copy(vvar);
            let after = clock::HIGH_RESOLUTION_IDS.map(clocks::by_call);
            if words == again {
                let brackets = before.into_iter().zip(after);
                let clocks = clock::HIGH_RESOLUTION_IDS.into_iter().zip(brackets);
                let clocks = clocks.map(|(id, (before, after))| (id, before, after)).collect();
                return Ok(Self { cycles, words, clocks });
            }
        }
        bail!("the page changes all the time")
    }
}

/// The first page's words.
fn copy(vvar: Mapping) -> Vec<u64> {
    let word = |index: usize| {
        let addr = vvar.start as usize + index * size_of::<u64>();
        // SAFETY: an aligned word in the first page of the mapping, which the kernel keeps readable
        // and writes to at any time.
        let word = unsafe { &*(addr as *const AtomicU64) };
        // Relaxed: whoever copies twice sees whether it has changed.
        word.load(Ordering::Relaxed)
    };
    let words = (0..PAGE_BYTES / size_of::<u64>()).map(word).collect();
    // Acquire: pairs with the kernel's barriers between its writes, so that the counter and the second
    // copy are read after the first.
    fence(Ordering::Acquire);
    words
}
