//! An image in this very process, beside the kernel's: one clock shows the host's time, the other one a day ahead
//! of it, and both are read without a system call. Prints:
//!
//! ```text
//! the image is a day ahead, and 1000 reads of it lie between two of the kernel's
//! ```

use std::error::Error;

use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::clock;
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::{ImageFile, LocalImage};

const DAY: Timespec = Timespec { sec: 86_400, nsec: 0 };

/// `clock_gettime`, as every image exports it.
type ClockGettime = unsafe extern "C" fn(i32, *mut libc::timespec) -> i32;

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::find()?;
    // The kernel's page where that is known, else its function.
    let source = if host.page.is_ok() { Source::Host } else { Source::Chain };
    let tailored = vdso_image::tailor(source, &host.image);
    let file = ImageFile::create("vdso-example", &tailored.bytes)?;
    let mut clocks = [Transform::IDENTITY; clock::LINES];
    clocks[clock::REALTIME as usize].offset = DAY;
    vdso_host::initialise(file.page(), &clocks);
    let template = host.template(&vdso_image::FORWARDED);
    let image = LocalImage::map(&file, &template, host.vdso_addr)?;

    let export = vdso_image::ARCHITECTURE.export("clock_gettime").ok_or("no clock_gettime")?;
    let function = image.function(export.name).ok_or("the image lacks clock_gettime")?;
    // SAFETY: a function of this type, mapped for as long as `image` lives.
    let clock_gettime: ClockGettime = unsafe { std::mem::transmute(function) };
    for _ in 0..1000 {
        let before = read(libc::clock_gettime);
        let ours = read(clock_gettime);
        let after = read(libc::clock_gettime);
        let is_between = before.wrapping_add(DAY) <= ours && ours <= after.wrapping_add(DAY);
        if !is_between {
            return Err(format!("{ours:?} is not a day ahead of {before:?} to {after:?}").into());
        }
    }
    println!("the image is a day ahead, and 1000 reads of it lie between two of the kernel's");
    Ok(())
}

fn read(clock_gettime: ClockGettime) -> Timespec {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a clock_gettime, and `ts` is ours.
    unsafe { clock_gettime(libc::CLOCK_REALTIME, &mut ts) };
    Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec }
}
