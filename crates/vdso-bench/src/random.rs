//! Random bytes: the vDSO's function, the client crate on it, and what programs use instead.

use std::ffi::{c_long, c_void};
use std::hint::black_box;
use std::mem::transmute;
use std::ptr;

use anyhow::{Context, Result, ensure};
use rand::Rng;
use vdso_client::{Vdso, random};
use vdso_data::arithmetic::Transform;
use vdso_data::process::{FLAG_AVX2, Template};
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::LocalImage;
use vdso_measure::random::{Getrandom, State};
use vdso_measure::{Subject, Turns, images, measure};

use crate::reads::TURNS;
use crate::table::{Goal, print};

const NAME: &str = "__vdso_getrandom";

/// What programs ask for: a number, a key, a buffered reader's line, a page. Longer ones fewer times.
const LENGTHS: [(usize, u32); 4] =
    [(16, TURNS.times), (32, TURNS.times), (256, 5_000), (4096, 500)];

/// The ways in which an image computes, and what is taken away from what it knows of the CPU for that.
const VARIANTS: [(&str, u32); 2] = [("ours, SSE2", FLAG_AVX2), ("ours, AVX2", 0)];

/// Every row.
pub fn all() -> Result<()> {
    let host: &'static Host = Box::leak(Box::new(Host::find()?));
    let Some(kernels) = host.function(NAME) else {
        println!("\nskipped: random bytes: the kernel's vDSO has no getrandom (Linux 6.11)");
        return Ok(());
    };
    let kernels = Function::at((host.vdso_addr + kernels) as usize)?;
    let ours = VARIANTS.iter().map(|(name, without)| Ours::map(host, name, *without));
    let ours = ours.collect::<Result<Vec<_>>>()?;
    for (length, times) in LENGTHS {
        row(length, Turns { times, ..TURNS }, &kernels, &ours)?;
    }
    vdso_client::reset();
    Ok(())
}

fn row(length: usize, turns: Turns, kernels: &Function, ours: &[Ours]) -> Result<()> {
    let mut subjects = vec![kernels.subject("kernel's vDSO", length)];
    for ours in ours {
        subjects.push(ours.function.subject(ours.name, length));
        let vdso = ours.vdso;
        subjects.push(by_client(&format!("{}, vdso_client", ours.name), length, move || {
            // SAFETY: an image of ours that is never unmapped.
            unsafe { vdso_client::adopt(vdso) }.expect("an image in pages");
        }));
    }
    subjects.push(by_client("kernel's vDSO, vdso_client", length, vdso_client::reset));
    subjects.push(fill("rand's ThreadRng", length, |buffer| rand::rng().fill_bytes(buffer)));
    subjects.push(fill("glibc", length, |buffer| {
        // SAFETY: a buffer of this length.
        unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    }));
    subjects.push(fill("getrandom's fill", length, |buffer| {
        getrandom::fill(buffer).expect("the kernel has random bytes");
    }));
    subjects.push(fill("system call", length, |buffer| {
        // SAFETY: a buffer of this length.
        unsafe {
            libc::syscall(libc::SYS_getrandom, buffer.as_mut_ptr(), buffer.len(), 0 as c_long)
        };
    }));
    let costs = measure(&mut subjects, turns, || {});
    print(&format!("random bytes, {length} at once"), &costs, &goals(length));
    Ok(())
}

fn goals(length: usize) -> Vec<Goal> {
    match length {
        32 => vec![Goal::ratio("ours, SSE2", 0.45, 0.43), Goal::ratio("ours, AVX2", 0.33, 0.31)],
        4096 => vec![Goal::ratio("ours, SSE2", 0.50, 0.48), Goal::ratio("ours, AVX2", 0.33, 0.33)],
        _ => Vec::new(),
    }
}

/// Fills the same buffer again and again.
fn fill<'a>(name: &str, length: usize, mut fill: impl FnMut(&mut [u8]) + 'a) -> Subject<'a> {
    let mut buffer = vec![0; length];
    Subject::new(name, move |times| {
        for _ in 0..times {
            fill(black_box(&mut buffer));
        }
    })
}

/// By the client, whose image is one for the whole process and so is chosen at the beginning of each turn.
fn by_client<'a>(name: &str, length: usize, choose: impl Fn() + 'a) -> Subject<'a> {
    let mut buffer = vec![0; length];
    Subject::new(name, move |times| {
        choose();
        for _ in 0..times {
            random::fill(black_box(&mut buffer)).expect("the kernel has random bytes");
        }
    })
}

/// An image of ours that is never unmapped.
struct Ours {
    name: &'static str,
    function: Function,
    vdso: Vdso<'static>,
}

impl Ours {
    /// Without what the flags `without` say of the CPU.
    fn map(host: &'static Host, name: &'static str, without: u32) -> Result<Self> {
        let source = if host.page.is_ok() { Source::Host } else { Source::Chain };
        let template = host.template(&vdso_image::FORWARDED);
        let template = Template { flags: template.flags & !without, ..template };
        let image = images::map_with(host, source, Transform::IDENTITY, &template)?;
        let image: &'static LocalImage = Box::leak(Box::new(image));
        let function = Function::at(image.function(NAME).context("an image lacks getrandom")?)?;
        let address = ptr::with_exposed_provenance(image.image_addr());
        // SAFETY: an image of ours, with its pages, that is never unmapped.
        let vdso = unsafe { Vdso::from_ptr(address) }.context("cannot read an image of ours")?;
        Ok(Self { name, function, vdso })
    }
}

/// A vDSO's function that is never unmapped, and its state.
struct Function {
    code: Getrandom,
    state: State,
}

impl Function {
    fn at(address: usize) -> Result<Self> {
        // SAFETY: the address of a function of this type, which stays.
        let code = unsafe { transmute::<usize, Getrandom>(address) };
        // SAFETY: it is that function.
        let state = unsafe { State::map(code) }.context("getrandom asks for no state")?;
        let function = Self { code, state };
        let mut buffer = [0_u8; 32];
        let answer = function.fill(&mut buffer);
        ensure!(answer == 32, "getrandom gives no bytes, but {answer}");
        Ok(function)
    }

    #[inline(always)]
    fn fill(&self, buffer: &mut [u8]) -> isize {
        let to: *mut c_void = buffer.as_mut_ptr().cast();
        const NO_FLAGS: u32 = 0;
        let (state, bytes) = (self.state.memory(), self.state.bytes());
        // SAFETY: a buffer of this length, and the state that it asks for, which this thread alone uses.
        unsafe { black_box(self.code)(to, buffer.len(), NO_FLAGS, state, bytes) }
    }

    fn subject(&self, name: &str, length: usize) -> Subject<'_> {
        fill(name, length, |buffer| {
            self.fill(buffer);
        })
    }
}
