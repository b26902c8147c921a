//! Clocks that the page moves, by the image of the `chain` source.

use vdso_client::Call;
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;

use super::brackets::nanos;
use super::kernel::{self, Kernel};
use super::mapped::Mapped;
use super::publisher;
use crate::report::Report;

/// A century and a bit.
const OFFSET: Timespec = Timespec { sec: 3_200_000_000, nsec: 999_999_999 };

pub fn run(report: &mut Report, image: &Mapped) {
    let ours = kernel::name_of(Call::ClockGettime).and_then(|name| image.function(name));
    let theirs = Kernel::new();
    let (Some(ours), Ok(base)) = (ours, theirs.read(clock::MONOTONIC)) else {
        report.fail("chain-moved", "clock_gettime is missing or fails");
        return;
    };
    let offset = Transform { offset: OFFSET, ..Transform::IDENTITY };
    let twice = Transform { offset: OFFSET, base, rate: Rate { whole: 2, fraction: 1 << 63 } };
    for (name, transform) in [("offset", offset), ("rate", twice), ("not", Transform::IDENTITY)] {
        publisher::store_transform(image.own, &transform);
        let theirs = || theirs.read(clock::MONOTONIC);
        let reads = (theirs(), kernel::read(ours, clock::MONOTONIC), theirs());
        let (Ok(before), Ok(now), Ok(after)) = reads else {
            report.fail(format_args!("chain-moved-{name}"), "a read fails");
            continue;
        };
        let (least, most) = (nanos(transform.apply(before)), nanos(transform.apply(after)));
        let is_right = (least..=most).contains(&nanos(now));
        let result = if is_right { Ok("as the page says") } else { Err("not as the page says") };
        report.check(format_args!("chain-moved-{name}"), result);
    }
}
