//! What it costs that an image counts its calls.

use anyhow::{Context, Result};
use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_host::Host;
use vdso_image::Source;
use vdso_measure::{Call, images, measure};

use crate::reads::TURNS;
use crate::table::{Goal, print};

/// The row that has a goal.
const COUNTED: &str = "counted";

/// Every row: of each source the usual image, and the one that counts.
pub fn all() -> Result<()> {
    let host: &'static Host = Box::leak(Box::new(Host::find()?));
    for source in Source::ALL {
        if source == Source::Host && host.page.is_err() {
            continue;
        }
        for (call, title) in [
            (Call::ClockGettime(clock::MONOTONIC), "clock_gettime(MONOTONIC)"),
            (Call::ClockGettime(clock::REALTIME), "clock_gettime(REALTIME)"),
            (Call::Gettimeofday, "gettimeofday"),
        ] {
            row(host, source, call, title, &[Goal::ratio(COUNTED, 1.05, 1.02)])?;
        }
        // A few cycles each, which an addition is a good part of.
        for (call, title) in [
            (Call::ClockGettime(clock::MONOTONIC_COARSE), "clock_gettime(MONOTONIC_COARSE)"),
            (Call::Time, "time"),
            (Call::Getcpu, "getcpu"),
        ] {
            row(host, source, call, title, &[])?;
        }
    }
    Ok(())
}

fn row(host: &'static Host, source: Source, call: Call, title: &str, goals: &[Goal]) -> Result<()> {
    let lacks = "an image lacks a function";
    let usual = images::map(host, source, Transform::IDENTITY)?;
    let Some(counting) = images::map_counting(host, source, Transform::IDENTITY)? else {
        return Ok(());
    };
    let kernels = call.kernels(host).context("the kernel's vDSO lacks a function")?;
    // SAFETY: mapped for this process.
    let uncounted = unsafe { call.ours(&usual) }.context(lacks)?;
    // SAFETY: as above.
    let counted = unsafe { call.ours(&counting.image) }.context(lacks)?;
    let mut subjects = [
        uncounted.subject("uncounted"),
        counted.subject(COUNTED),
        kernels.subject("kernel's vDSO"),
    ];
    print(&format!("{title}, {}", source.name()), &measure(&mut subjects, TURNS, || {}), goals);
    Ok(())
}
