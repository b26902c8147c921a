//! A function by name and version, in an image that has been looked at before.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr;

use anyhow::{Context, Result};
use object::LittleEndian as Endian;
use object::elf::{FileHeader64, SHT_DYNSYM};
use object::read::elf::{FileHeader, Sym};
use vdso_client::Vdso;
use vdso_host::Host;
use vdso_measure::{Subject, Turns, measure};

use crate::table::{Goal, print};

const NAME: &str = "__vdso_clock_gettime";
const VERSION: &str = "LINUX_2.6";
const TURNS: Turns = Turns { rounds: 301, times: 2_000 };

/// The rows.
pub fn all(host: &Host) -> Result<()> {
    let address = ptr::with_exposed_provenance::<u8>(host.vdso_addr as usize);
    // SAFETY: the kernel's own vDSO.
    let vdso = unsafe { Vdso::from_ptr(address) }.context("the kernel's vDSO cannot be read")?;
    let library = Library::open()?;
    let other = vdso_crate::Vdso::locate().context("the crate vdso finds no vDSO")?;
    let mut subjects = [
        Subject::new("dlvsym", |times| repeat(times, || library.symbol())),
        Subject::new("ours, lookup", |times| {
            repeat(times, || black_box(&vdso).lookup(black_box(NAME), Some(black_box(VERSION))));
        }),
        Subject::new("ours, parse and lookup", |times| {
            repeat(times, || {
                // SAFETY: the kernel's own vDSO.
                let vdso = unsafe { Vdso::from_ptr(black_box(address)) };
                vdso.ok()?.lookup(black_box(NAME), Some(black_box(VERSION)))
            });
        }),
        object_crate(vdso.image().bytes())?,
        Subject::new("vdso crate, no version", |times| {
            repeat(times, || other.lookup(black_box(NAME)).map(ptr::from_ref));
        }),
        Subject::new("linux-raw-vdso, all at once", |times| {
            repeat(times, || {
                // SAFETY: the kernel's own vDSO.
                let vdso = unsafe { linux_raw_vdso::Vdso::from_ptr(black_box(address).cast()) };
                vdso.map(|vdso| vdso.clock_gettime)
            });
        }),
    ];
    let goals = [Goal::median_ns("ours, lookup", 60.0, 28.0)];
    print("a function by name and version, warm", &measure(&mut subjects, TURNS, || {}), &goals);
    Ok(())
}

fn repeat<T>(times: u32, mut find: impl FnMut() -> Option<T>) {
    for _ in 0..times {
        black_box(find());
    }
}

/// The crate `object`, its tables taken from the image beforehand.
fn object_crate(image: &[u8]) -> Result<Subject<'_>> {
    let header = FileHeader64::<Endian>::parse(image)?;
    let sections = header.sections(Endian, image)?;
    let symbols = sections.symbols(Endian, image, SHT_DYNSYM)?;
    let (table, _) = sections.gnu_hash(Endian, image)?.context("there is no DT_GNU_HASH")?;
    let versions = sections.versions(Endian, image)?.context("there are no versions")?;
    let strings = symbols.strings();
    let mut named = symbols.enumerate();
    let (index, _) = named
        .find(|(_, symbol)| symbol.name(Endian, strings) == Ok(NAME.as_bytes()))
        .context("object does not find the function")?;
    let index = versions.version_index(Endian, index).index();
    let version = *versions.version(index)?.context("the function has no version")?;
    Ok(Subject::new("object crate", move |times| {
        repeat(times, || {
            let name = black_box(NAME.as_bytes());
            let hash = object::elf::gnu_hash(name);
            table.find(Endian, name, hash, Some(black_box(&version)), &symbols, &versions)
        });
    }))
}

/// The vDSO, as the dynamic linker has it.
pub struct Library(*mut c_void);

impl Library {
    pub fn open() -> Result<Self> {
        let name = c"linux-vdso.so.1".as_ptr();
        // SAFETY: looks for what is loaded already, and runs nothing.
        let handle = unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        (!handle.is_null()).then_some(Self(handle)).context("the dynamic linker has no vDSO")
    }

    pub fn symbol(&self) -> Option<*mut c_void> {
        let (name, version) = (c"__vdso_clock_gettime".as_ptr(), c"LINUX_2.6".as_ptr());
        // SAFETY: a handle of dlopen's, and two strings.
        let symbol =
            unsafe { libc::dlvsym(black_box(self.0), black_box(name), black_box(version)) };
        (!symbol.is_null()).then_some(symbol)
    }
}
