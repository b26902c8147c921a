//! A counter that the kernel steers, which IBM Z alone has: no emulator's clock jumps, so the words that
//! tell of it are this program's own.

use core::sync::atomic::{AtomicU64, Ordering};

use vdso_client::Call;
use vdso_data::architecture::Architecture;
use vdso_data::clock;

use super::mapped::Mapped;
use super::{kernel, publisher};
use crate::report::Report;

/// Whether the counter is steered here.
const IS_STEERED: bool = cfg!(target_arch = "s390x");

/// How much of what is left is taken back.
const SHIFT: u32 = 15;

static END: AtomicU64 = AtomicU64::new(0);
static DELTA: AtomicU64 = AtomicU64::new(0);

pub fn run(report: &mut Report, architecture: &'static Architecture) {
    report.check("own-steering", check(architecture));
}

fn check(architecture: &'static Architecture) -> Result<&'static str, &'static str> {
    let plain = counter(architecture, |_| ())?;
    let steered = counter(architecture, |page| {
        for (field, word) in [(&page.steering.end_addr, &END), (&page.steering.delta_addr, &DELTA)]
        {
            let addr = (&raw const *word).expose_provenance();
            field.store(addr as u64, Ordering::Relaxed);
        }
    })?;
    for (left, delta) in [(1_i64 << 40, 1), (1 << 40, -1), (-1, 1)] {
        let end = plain()?.wrapping_add_signed(left);
        END.store(end, Ordering::Relaxed);
        DELTA.store(delta as u64, Ordering::Relaxed);
        let expected = |cycles: u64| {
            let left = end.saturating_sub(cycles) >> SHIFT;
            if !IS_STEERED {
                cycles
            } else if delta < 0 {
                cycles + left
            } else {
                cycles - left
            }
        };
        let (before, now, after) = (plain()?, steered()?, plain()?);
        if !(expected(before)..=expected(after)).contains(&now) {
            return Err("the counter is not where the words say");
        }
    }
    Ok(if IS_STEERED { "as the words say" } else { "none here" })
}

/// The counter as an image reads it whose process page is this.
fn counter(
    architecture: &'static Architecture,
    fill: impl FnOnce(&vdso_data::process::ProcessPage),
) -> Result<impl Fn() -> Result<u64, &'static str>, &'static str> {
    let image =
        Mapped::with(architecture, "own", fill).map_err(|_| "the image cannot be mapped")?;
    publisher::count(image.own);
    let name = kernel::name_of(Call::ClockGettime).ok_or("no name")?;
    let function = image.function(name).ok_or("the image lacks clock_gettime")?;
    Ok(move || {
        let now = kernel::read(function, clock::MONOTONIC).map_err(|_| "a read fails")?;
        Ok(publisher::cycles(now))
    })
}
