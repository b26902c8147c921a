//! The running Linux as a source of time.
//!
//! ```text
//! the kernel's page or function --Sampler--> samples --vdso-timekeeper--> OwnPage
//! ```
//!
//! [`Host::find`] learns once, from this process, what holds for every process on this kernel: where
//! the kernel's functions and clocks are, relative to its vDSO's address. Its [`Sampler`] is a
//! [`Reference`](vdso_timekeeper::Reference), which a timekeeper follows.

pub mod btf;
pub mod by_call;
pub mod counter;
mod image;
mod kept;
mod layout;
mod page;
pub mod proc;
mod random;
mod sample;

use std::io;
use std::sync::Arc;

use vdso_data::architecture::Architecture;
use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_data::linux::Layout;
use vdso_data::own::OwnPage;
use vdso_data::process::{ClockTemplate, Template};

pub use image::ImageError;
pub use kept::Kept;
pub use layout::{Undescribed, described};
pub use page::KernelPage;
pub use proc::maps::Mapping;
pub use random::RandomError;
pub use sample::{Calls, Sampler};

/// What the running kernel offers.
#[derive(Debug)]
pub struct Host {
    /// Address of the kernel's vDSO in this process, zero if it has none.
    pub vdso_addr: u64,
    /// The kernel's image, as it is in memory.
    pub image: Vec<u8>,
    /// Its data page, or why it cannot be used.
    pub page: Result<KernelPage, PageError>,
    /// Its [`RandomData`](vdso_data::process::RandomData), bytes from its vDSO, or why it cannot be used.
    pub random_data: Result<i64, RandomError>,
    /// See [`mapped`](Self::mapped).
    mapped: &'static [u8],
}

/// Why the kernel's data page is not read directly. Never fatal: `chain` needs none.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Booted with `vdso=0`, or on an architecture or emulator without one.
    #[error("this kernel gives no vDSO")]
    NoVdso,
    /// Valgrind, rr and some sandboxes hide it.
    #[error("this process has no [vvar] mapping")]
    NoVvar,
    /// Not configured, or not mounted in this container.
    #[error("cannot read the kernel's type information at {path}: {source}")]
    NoTypes {
        /// The file that has the type information.
        path: &'static str,
        /// The reason why it could not be read.
        source: Arc<io::Error>,
    },
    /// They are not those of a data page.
    #[error("the kernel's type information does not describe its data page: {0}")]
    Undescribed(#[from] Undescribed),
    /// They describe a layout that is not in `vdso_data::linux`.
    #[error(
        "the kernel's data page has a layout that is not known here: clocks of {:#x} bytes, seq at \
         {:#x}, cycle_last at {:#x}, mult at {:#x}, basetime at {:#x}",
        .layout.raw.wrapping_sub(layout.hres), .layout.seq, .layout.cycle_last, .layout.mult, .layout.basetime
    )]
    UnknownLayout {
        /// The layout that the types describe.
        layout: Layout,
    },
    /// The layout is known, but the page is not that large.
    #[error("this process's [vvar] mapping has {bytes} bytes, and its clocks need {needed_bytes}")]
    TooSmall {
        /// Bytes of `[vvar]` that are mapped.
        bytes: usize,
        /// Bytes from the beginning of `[vvar]` to the end of the clocks.
        needed_bytes: usize,
    },
    /// This process is in a time namespace.
    #[error("this process is in a time namespace")]
    TimeNamespace,
    /// The clocksource is not the counter.
    #[error("the kernel does not use the counter as its clocksource (clock mode {mode})")]
    CounterUnused {
        /// The value of `clock_mode` in the kernel's page.
        mode: u32,
    },
    /// The values in the page make no sense as a clock.
    #[error("the kernel's page does not hold a clock where its types say")]
    Implausible,
    /// The types do not say where the clocks begin, and the page does not either.
    #[error("the kernel's page could hold its clocks at more than one place")]
    Ambiguous,
}

impl PageError {
    fn no_types(error: &io::Error) -> Self {
        let source = error.raw_os_error().map_or(error.kind().into(), io::Error::from_raw_os_error);
        Self::NoTypes { path: btf::VMLINUX, source: source.into() }
    }
}

impl Host {
    /// Looks at this process.
    ///
    /// # Errors
    /// If `/proc/self/maps` cannot be read.
    pub fn find() -> io::Result<Self> {
        Self::find_by(None)
    }

    /// The same, sooner where an earlier process of this user's has kept what the kernel's types say; if none has, this
    /// one does.
    ///
    /// # Errors
    /// As of [`find`](Self::find).
    pub fn find_with(kept: &Kept) -> io::Result<Self> {
        Self::find_by(Some(kept))
    }

    fn find_by(kept: Option<&Kept>) -> io::Result<Self> {
        let maps = proc::maps::read("self")?;
        let Some(vdso) = proc::maps::kernels(&maps, "[vdso]") else {
            return Ok(Self::without_vdso());
        };
        let vvar = proc::maps::kernels(&maps, "[vvar]");
        // SAFETY: the kernel maps its vDSO readable, at these addresses, for as long as the process
        // lives, and it does not change.
        let image = unsafe { std::slice::from_raw_parts(vdso.start as *const u8, vdso.bytes()) };
        let with = |said: Result<Vec<_>, _>, place| {
            let page = vvar.ok_or(PageError::NoVvar).and_then(|vvar| Ok((vvar, said?)));
            let page =
                page.and_then(|(vvar, layouts)| KernelPage::recognise(vdso.start, vvar, &layouts));
            let random_data = random::find_at(vdso, vvar, image, place);
            let (vdso_addr, mapped) = (vdso.start, image);
            Self { vdso_addr, image: image.to_vec(), page, random_data, mapped }
        };
        if let Some(said) = kept.and_then(|kept| kept.read(image)) {
            let place = said.random_place.ok_or(RandomError::Undescribed);
            let found = with(Ok(said.layouts), place);
            if found.is_as_described() {
                return Ok(found);
            }
        }
        let (layouts, place) = asked();
        let said = layouts.clone().ok().map(|layouts| (layouts, place.clone().ok()));
        let found = with(layouts, place);
        if let (Some((layouts, random_place)), Some(kept)) = (said, kept)
            && found.is_as_described()
        {
            kept.write(image, &kept::Said { layouts, random_place });
        }
        Ok(found)
    }

    /// Whether all is where the types say.
    fn is_as_described(&self) -> bool {
        use RandomError::{NoCode, NoFunction};
        self.page.is_ok() && matches!(self.random_data, Ok(_) | Err(NoCode | NoFunction))
    }

    /// A kernel that gives no vDSO.
    pub fn without_vdso() -> Self {
        Self {
            vdso_addr: 0,
            image: Vec::new(),
            page: Err(PageError::NoVdso),
            random_data: Err(RandomError::NoFunction),
            mapped: &[],
        }
    }

    /// The kernel's image where it is mapped, executable; empty if there is none. The other fields anybody
    /// may change, so this is what functions are called by.
    pub fn mapped(&self) -> &'static [u8] {
        self.mapped
    }

    /// What the image must know of a process, relative to the kernel's vDSO in it.
    ///
    /// `forwarded` are the functions that the image only passes on.
    pub fn template(&self, forwarded: &[&str]) -> Template {
        let mut template = Architecture::CURRENT
            .map_or_else(Template::default, |architecture| functions(architecture, &self.image));
        if let Ok(page) = &self.page {
            template.hres = Some(page.template(page.layout().hres));
            template.raw = Some(page.template(page.layout().raw));
        }
        template.random_data = self.random_data.as_ref().ok().copied();
        for (slot, name) in template.forwarded.iter_mut().zip(forwarded) {
            *slot = self.function(name);
        }
        template
    }

    /// Its clocks, to be followed by a timekeeper, in the best way that it allows.
    pub fn sampler(&self) -> Sampler {
        Sampler::new(self)
    }

    /// Offset of a function within the kernel's image, by its name on this architecture without the
    /// prefix, such as `clock_gettime`.
    pub fn function_called(&self, plain: &str) -> Option<u64> {
        self.function(Architecture::CURRENT?.export(plain)?.name)
    }

    /// Offset of a function within the kernel's image.
    pub fn function(&self, name: &str) -> Option<u64> {
        let image = image::callable(&self.image).ok()?;
        image.lookup(name, None).map(|symbol| symbol.value)
    }

    /// Why the kernel's functions are not called, if there are any.
    pub fn image_error(&self) -> Option<ImageError> {
        if self.vdso_addr == 0 {
            return None;
        }
        image::callable(&self.image).err()
    }
}

/// What the kernel's types say: the layouts that fit, and where the data of getrandom are.
fn asked() -> (Result<Vec<layout::KnownLayout>, PageError>, Result<usize, RandomError>) {
    let types = btf::Btf::open();
    if let Ok(Some(types)) = &types {
        types.prepare(&["vdso_time_data", "vdso_clock", "vdso_rng_data"], &["vdso_pages"]);
    }
    let layouts = match &types {
        Ok(types) => layout::known(types.as_ref()),
        Err(error) => Err(PageError::no_types(error)),
    };
    (layouts, random::place(types.as_ref().ok().map(Option::as_ref)))
}

/// Writes to a page what never changes, this kernel's resolutions among it, before anybody reads it.
pub fn initialise(page: &OwnPage, transforms: &[Transform; clock::LINES]) {
    vdso_timekeeper::initialise(page, sample::resolutions(), transforms);
}

/// What an image of `architecture`'s must know of a process, as far as `kernel` tells it, the kernel's
/// own image for such programs: where its functions are.
pub fn functions(architecture: &Architecture, kernel: &[u8]) -> Template {
    let called = |plain| function(kernel, architecture.export(plain)?.name);
    let mut template = Template {
        flags: counter::image_flags(),
        clock_gettime: called("clock_gettime"),
        gettimeofday: called("gettimeofday"),
        getcpu: called("getcpu"),
        ..Template::default()
    };
    for (slot, export) in template.forwarded.iter_mut().zip(architecture.passed_on()) {
        *slot = function(kernel, export.name);
    }
    template
}

fn function(image: &[u8], name: &str) -> Option<u64> {
    let image = vdso_elf::Image::parse(image).ok()?;
    image.lookup(name, None).map(|symbol| symbol.value)
}

impl KernelPage {
    fn template(&self, clock: usize) -> ClockTemplate {
        let layout = self.layout();
        let from_vdso = |member: usize| self.displacement() + (clock + member) as i64;
        ClockTemplate {
            seq: from_vdso(layout.seq),
            cycle_last: from_vdso(layout.cycle_last),
            mult: from_vdso(layout.mult),
            basetime: from_vdso(layout.basetime),
            max_cycles: self.max_cycles(clock),
        }
    }
}

#[cfg(all(test, target_endian = "little"))]
mod captured;
#[cfg(test)]
mod tests;

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
