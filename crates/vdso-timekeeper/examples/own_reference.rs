//! A page of clocks from a reference of one's own, published and read back.
//!
//! A small kernel's part is played by this program: it finds out how fast the processor's counter counts, has
//! a REALTIME and a MONOTONIC over it, and publishes them. Nothing below but `main` needs an operating
//! system.
//!
//! ```console
//! $ cargo run -p vdso-timekeeper --example own_reference
//! ```

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use vdso_data::arithmetic::{Rate, Timespec, Transform, nanos_at};
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_timekeeper::calibration::{self, Pace, Timer, Wanted, calibrate};
use vdso_timekeeper::{Reference, Resolutions, Sample, Slopes, Timekeeper, counter, initialise};

/// The clocks of a kernel that has booted at a value of the counter.
#[derive(Clone, Copy)]
struct Kernel {
    booted_at: u64,
    boot_time_ns: u64,
    slopes: Slopes,
}

impl Kernel {
    /// Time since boot, units of 2^-32 ns.
    fn since_boot(&self, cycles: u64) -> i128 {
        let passed = u128::from(cycles.wrapping_sub(self.booted_at));
        ((passed * self.slopes.raw) >> 32) as i128
    }
}

impl Reference for Kernel {
    fn counter(&self) -> u64 {
        counter::read()
    }

    fn sample(&mut self) -> Option<Sample> {
        let cycles = self.counter();
        let mut fixed = [self.since_boot(cycles); clock::LINES];
        for id in [clock::REALTIME, clock::TAI] {
            fixed[id as usize] += i128::from(self.boot_time_ns) << 32;
        }
        Some(Sample { cycles, fixed })
    }

    fn slopes(&self) -> Slopes {
        self.slopes
    }

    fn resolutions(&self) -> Resolutions {
        Resolutions { fine_ns: 1, coarse_ns: 4_000_000 }
    }
}

/// What a kernel would have as HPET or ACPI timer.
struct Clock(Instant);

impl Timer for Clock {
    fn read(&mut self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    fn pace(&self) -> Pace {
        Pace::NANOSECONDS
    }

    fn bits(&self) -> u32 {
        64
    }
}

/// What the image does at each call; `None` where it would ask the kernel.
fn read(page: &OwnPage, id: u32) -> Option<Timespec> {
    page.read(counter::read, |cycles, lines| {
        let view = lines[id as usize].load_counter_view();
        let passed = cycles.wrapping_sub(view.cycle_last);
        let nanos = nanos_at(view.nanos, passed, view.mult);
        let now = Timespec::carried(view.sec as u64, nanos.ns);
        (passed <= view.stale_cycles).then_some(now)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if !counter::is_usable() {
        println!("this processor's counter cannot be read in order, or not by this crate yet");
        return Ok(());
    }
    let wanted = Wanted { uncertainty_ppb: 100_000, at_most_ns: 100_000_000 };
    let slopes = match calibrate(counter::read, &mut Clock(Instant::now()), wanted) {
        Ok(calibrated) => {
            let (hz, ppb) = (calibrated.hz(), calibrated.uncertainty_ppb());
            println!("the counter has {hz} Hz, to {ppb} parts in 10^9");
            calibrated.slopes()
        }
        // On a busy machine: this will do.
        Err(calibration::Error::Imprecise(so_far)) => so_far.slopes(),
        // Somebody may be steering that clock just now. A kernel whose seconds are longer is one, too.
        Err(error) => {
            println!("{error}: it is taken for one of 1 GHz");
            Slopes::of_hz(1_000_000_000)
        }
    };
    let boot_time_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let mut kernel = Kernel { booted_at: counter::read(), boot_time_ns, slopes };

    // Programs that read this page live an hour ahead, and an hour a minute.
    let page = OwnPage::new();
    let base = kernel.sample().ok_or("it has a counter")?;
    let transforms = std::array::from_fn(|id| Transform {
        offset: Timespec { sec: 3600, nsec: 0 },
        base: Timespec::from_nanos(base.fixed[id] >> 32).unwrap_or_default(),
        rate: Rate { whole: 60, fraction: 0 },
    });
    initialise(&page, kernel.resolutions(), &transforms);
    let mut timekeeper = Timekeeper::new(&page, kernel, transforms);

    for _ in 0..4 {
        let wait = timekeeper.update();
        let (realtime, monotonic) = (read(&page, clock::REALTIME), read(&page, clock::MONOTONIC));
        match (realtime, monotonic) {
            (Some(realtime), Some(monotonic)) => println!(
                "REALTIME {}.{:09}, MONOTONIC {}.{:09}; to be published again in {wait:?}",
                realtime.sec, realtime.nsec, monotonic.sec, monotonic.nsec
            ),
            _ => println!("this process has stood still for longer than a line is good for"),
        }
        // A kernel has a timer for that.
        std::thread::sleep(wait);
    }
    Ok(())
}

/// The page says what the kernel says, moved: whenever and however late it is read.
#[test]
fn the_page_is_the_kernels_clock() {
    if !counter::is_usable() {
        return;
    }
    let slopes = Slopes::of_hz(1_000_000_000);
    let kernel = Kernel { booted_at: counter::read(), boot_time_ns: 5_000_000_000, slopes };
    let page = OwnPage::new();
    let mut timekeeper = Timekeeper::new(&page, kernel, [Transform::IDENTITY; clock::LINES]);
    for _ in 0..1000 {
        timekeeper.update();
        let at = |cycles| kernel.since_boot(cycles) >> 32;
        let before = at(counter::read());
        let Some(now) = read(&page, clock::MONOTONIC) else { continue };
        let range = before - 2..=at(counter::read()) + 2;
        assert!(range.contains(&now.as_nanos()), "{now:?} is not in {range:?}");
    }
    assert!(main().is_ok());
}
