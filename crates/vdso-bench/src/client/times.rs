//! The calls for the wall clock beside the C library's, on each kind of image.

use std::mem::transmute;
use std::ptr;

use anyhow::{Context, Result};
use vdso_client::{Vdso, gettimeofday, time};
use vdso_data::arithmetic::Transform;
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::LocalImage;

use super::{forever, on};
use crate::reads::TURNS;
use crate::table::{Goal, print};
use vdso_measure::{Subject, images, measure};

type Gettimeofday = unsafe extern "C" fn(*mut [i64; 2], *mut ()) -> i32;
type Time = unsafe extern "C" fn(*mut i64) -> i64;

/// Every row.
pub fn all(host: &'static Host) -> Result<()> {
    on_image(None, "the kernel's vDSO")?;
    for (source, title) in [(Source::Own, "an own page"), (Source::Host, "an image of `host`")] {
        if source == Source::Host && host.page.is_err() {
            continue;
        }
        let image = images::map(host, source, Transform::IDENTITY)?;
        // Mapped for as long as the process lives.
        let image: &'static LocalImage = Box::leak(Box::new(image));
        let address = ptr::with_exposed_provenance(image.image_addr());
        // SAFETY: an image of ours, with its pages, that is never unmapped.
        let vdso = unsafe { Vdso::from_ptr(address) }.context("cannot read an image of ours")?;
        on_image(Some(vdso), title)?;
    }
    Ok(())
}

/// What a C library calls there, as it is called: by pointer. The C library itself has looked for the
/// kernel's when the program began.
fn on_image(vdso: Option<Vdso<'static>>, title: &str) -> Result<()> {
    let (gettimeofday_there, time_there) = match vdso {
        None => (libc::gettimeofday as *const (), libc::time as *const ()),
        Some(vdso) => {
            let find = |name| vdso.lookup(name, None).context("the image lacks a function");
            let (first, second) = (find("__vdso_gettimeofday")?, find("__vdso_time")?);
            (first.as_ptr().cast_const(), second.as_ptr().cast_const())
        }
    };
    // SAFETY: a function of this type, and so below.
    let gettimeofday_there = unsafe { transmute::<*const (), Gettimeofday>(gettimeofday_there) };
    // SAFETY: as above.
    let time_there = unsafe { transmute::<*const (), Time>(time_there) };
    let goals = [Goal::ratio("ours", 1.05, 1.0)];
    let mut subjects = [
        forever("C library's", || answer(gettimeofday_there)),
        ours(vdso, || gettimeofday().expect("no filter forbids it")),
    ];
    print(&format!("gettimeofday, on {title}"), &measure(&mut subjects, TURNS, || {}), &goals);
    let mut subjects = [
        // SAFETY: a null is not written to.
        forever("C library's", || unsafe { time_there(ptr::null_mut()) }),
        ours(vdso, || time().expect("no filter forbids it")),
    ];
    print(&format!("time, on {title}"), &measure(&mut subjects, TURNS, || {}), &goals);
    Ok(())
}

fn ours<'a, T>(vdso: Option<Vdso<'static>>, call: impl FnMut() -> T + 'a) -> Subject<'a> {
    match vdso {
        Some(vdso) => on(vdso, "ours", call),
        None => forever("ours", call),
    }
}

/// As every caller that wants to know the time.
fn answer(function: Gettimeofday) -> [i64; 2] {
    let mut now = [0; 2];
    // SAFETY: a gettimeofday, and `now` is ours.
    unsafe { function(&mut now, ptr::null_mut()) };
    // Volatile: one load of both words would wait for the two stores.
    // SAFETY: `now` is ours, and initialised, and so below.
    let sec = unsafe { (&raw const now[0]).read_volatile() };
    // SAFETY: as above.
    [sec, unsafe { (&raw const now[1]).read_volatile() }]
}
