//! The client crate beside std and other crates: finding a function, the first call of a process, and
//! clock reads on a stock kernel and on an own page, ids, CPU and counts.

mod facts;
mod first_call;
mod lookup;
mod times;

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use anyhow::{Context, Result};
use vdso_client::{
    ClockId, Instant, PageReader, SystemTime, Timespec, UnorderedInstant, Vdso, clock_gettime,
    read_at_once,
};
use vdso_data::arithmetic::Transform;
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::LocalImage;

pub use self::first_call::{FirstCall, first_call};
use crate::reads::TURNS;
use crate::table::{Goal, print};
use vdso_measure::{Subject, images, measure};

/// Every row.
pub fn all() -> Result<()> {
    let host: &'static Host = Box::leak(Box::new(Host::find()?));
    lookup::all(host)?;
    first_call::all()?;
    stock(host)?;
    own_page(host)?;
    times::all(host)?;
    facts::all(host)
}

/// Ids, CPU and counts alone.
pub fn facts() -> Result<()> {
    facts::all(&Host::find()?)
}

/// On the kernel's own vDSO.
#[expect(clippy::redundant_closure, reason = "a function by its name is not inlined")]
fn stock(host: &Host) -> Result<()> {
    let kernels = Kernels::find(host)?;
    vdso_client::reset();
    let mut subjects = [
        steady("std's Instant", || std::time::Instant::now()),
        steady("ours, Instant", || Instant::now()),
        steady("ours, UnorderedInstant", || UnorderedInstant::now()),
        steady("ours, Instant::recent", || Instant::recent()),
        steady("rustix, clock_gettime", || {
            rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)
        }),
        steady("quanta, Instant", || quanta::Instant::now()),
        steady("minstant, Instant", || minstant::Instant::now()),
        steady("kernel's vDSO, by pointer", || kernels.read(ClockId::MONOTONIC)),
        steady("the same, answer read", || kernels.answer(ClockId::MONOTONIC)),
    ];
    let goals = [
        Goal::ratio("ours, Instant", 0.95, 0.93),
        Goal::ratio("ours, UnorderedInstant", 0.50, 0.45),
    ];
    print("Instant::now, on the kernel's vDSO", &measure(&mut subjects, TURNS, || {}), &goals);
    Ok(())
}

/// On an own page that is published meanwhile.
#[expect(clippy::redundant_closure, reason = "a function by its name is not inlined")]
fn own_page(host: &'static Host) -> Result<()> {
    let image = images::map(host, Source::Own, Transform::IDENTITY)?;
    // Mapped for as long as the process lives.
    let image: &'static LocalImage = Box::leak(Box::new(image));
    let address = ptr::with_exposed_provenance(image.image_addr());
    // SAFETY: an image of ours, with its pages, that is never unmapped.
    let vdso = unsafe { Vdso::from_ptr(address) }.context("cannot read an image of ours")?;
    let kernels = Kernels::find(host)?;

    let mut subjects = [
        forever("kernel's vDSO, by pointer", || kernels.read(ClockId::MONOTONIC)),
        on(vdso, "ours, Instant, inlined", || Instant::now()),
        by_reader(vdso, "ours, PageReader", |reader| read(reader, ClockId::MONOTONIC)),
        on(vdso, "ours, UnorderedInstant", || UnorderedInstant::now()),
        forever("std's Instant", || std::time::Instant::now()),
        forever("quanta, Instant", || quanta::Instant::now()),
        forever("minstant, Instant", || minstant::Instant::now()),
    ];
    let goals =
        ["ours, Instant, inlined", "ours, PageReader"].map(|row| Goal::ratio(row, 0.90, 0.88));
    print("Instant::now, on an own page", &measure(&mut subjects, TURNS, || {}), &goals);

    const BOTH: [ClockId; 2] = [ClockId::REALTIME, ClockId::MONOTONIC];
    let mut subjects = [
        forever("kernel's vDSO, two calls", || BOTH.map(|id| kernels.read(id))),
        on(vdso, "ours, read_at_once", || read_at_once(BOTH)),
        by_reader(vdso, "ours, PageReader", move |reader| reader.read_at_once(BOTH)),
        on(vdso, "ours, two reads, inlined", || (SystemTime::now(), Instant::now())),
    ];
    let goals = ["ours, read_at_once", "ours, PageReader"].map(|row| Goal::ratio(row, 0.50, 0.47));
    print("two clocks, on an own page", &measure(&mut subjects, TURNS, || {}), &goals);

    const COARSE: ClockId = ClockId::MONOTONIC_COARSE;
    let mut subjects = [
        forever("kernel's vDSO, by pointer", || kernels.read(COARSE)),
        on(vdso, "ours, inlined", || now(COARSE)),
        by_reader(vdso, "ours, PageReader", |reader| read(reader, COARSE)),
    ];
    let goals = [Goal::ratio("ours, PageReader", 0.30, 0.22)];
    print("MONOTONIC_COARSE, on an own page", &measure(&mut subjects, TURNS, || {}), &goals);
    vdso_client::reset();
    Ok(())
}

/// Reads by one reader that stays in registers, as in a loop of a program's.
fn by_reader<'a, T>(
    vdso: Vdso<'static>,
    name: &str,
    read: impl Fn(&PageReader) -> T + 'a,
) -> Subject<'a> {
    Subject::new(name, move |times| {
        // SAFETY: an image of ours that is never unmapped.
        unsafe { vdso_client::adopt(vdso) }.expect("an image in pages");
        let reader = PageReader::get().expect("the image has an own page");
        for _ in 0..times {
            black_box(read(&reader));
        }
    })
}

/// As a program does it: what the page does not know, the call does.
#[inline(always)]
fn read(reader: &PageReader, id: ClockId) -> Timespec {
    reader.read(id).unwrap_or_else(|| ask(id))
}

#[cold]
#[inline(never)]
fn ask(id: ClockId) -> Timespec {
    now(id)
}

#[inline(always)]
fn now(id: ClockId) -> Timespec {
    clock_gettime(id).expect("a clock that every kernel has")
}

/// The same call again and again.
fn forever<'a, T>(name: &str, mut call: impl FnMut() -> T + 'a) -> Subject<'a> {
    Subject::new(name, move |times| {
        vdso_client::reset();
        for _ in 0..times {
            black_box(call());
        }
    })
}

/// The same, where all subjects are on the image that calls go to already: what the client remembers from turn
/// to turn stays, as in a program.
fn steady<'a, T>(name: &str, mut call: impl FnMut() -> T + 'a) -> Subject<'a> {
    Subject::new(name, move |times| (0..times).for_each(|_| _ = black_box(call())))
}

/// The same, on an image of ours. Which image the client uses is one for the whole process, so it is
/// changed at the beginning of each turn.
fn on<'a, T>(vdso: Vdso<'static>, name: &str, mut call: impl FnMut() -> T + 'a) -> Subject<'a> {
    Subject::new(name, move |times| {
        // SAFETY: an image of ours that is never unmapped.
        unsafe { vdso_client::adopt(vdso) }.expect("an image in pages");
        for _ in 0..times {
            black_box(call());
        }
    })
}

/// The kernel's function, called as a C library does it.
#[derive(Clone, Copy)]
struct Kernels(ClockGettime);

type ClockGettime = unsafe extern "C" fn(i32, *mut [i64; 2]) -> i32;

impl Kernels {
    fn find(host: &Host) -> Result<Self> {
        let offset = host.function("__vdso_clock_gettime").context("there is no vDSO")?;
        // SAFETY: the address of a function of this type, which stays mapped.
        Ok(Self(unsafe { std::mem::transmute::<u64, ClockGettime>(host.vdso_addr + offset) }))
    }

    fn read(self, id: ClockId) -> i32 {
        let mut now = MaybeUninit::<[i64; 2]>::uninit();
        // SAFETY: a clock_gettime, and `now` is ours.
        unsafe { (self.0)(id.raw(), now.as_mut_ptr()) }
    }

    /// As every caller that wants to know the time.
    fn answer(self, id: ClockId) -> [i64; 2] {
        let mut now = [0; 2];
        // SAFETY: as above.
        unsafe { (self.0)(id.raw(), &mut now) };
        // Volatile: one load of both words would wait for the two stores.
        // SAFETY: `now` is ours, and initialised, and so below.
        let sec = unsafe { (&raw const now[0]).read_volatile() };
        // SAFETY: as above.
        [sec, unsafe { (&raw const now[1]).read_volatile() }]
    }
}
