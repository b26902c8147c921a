//! A vDSO image: the small ELF library that a process calls for its clocks.
//!
//! The image's own source is in `image/`, beside this crate's; `build.rs` compiles it. This crate
//! gives the result as bytes, for whoever maps them: the launcher, a kernel, a sandbox, a VMM.
//!
//! An image is mapped read-only and executable, with two pages behind it:
//!
//! | offset | page | protection |
//! |---|---|---|
//! | [`IMAGE`] | the image | read, execute |
//! | [`OWN_PAGE`] | [`vdso_data::own::OwnPage`], shared | read |
//! | [`PROCESS_PAGE`] | [`vdso_data::process::ProcessPage`], private | read |

//!
//! Nothing but `core` is needed; with the feature `alloc`, which is on unless it is turned off, `tailor`
//! fits an image to a kernel.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod tailor;

use vdso_data::architecture::Architecture;
use vdso_data::note::Pages;

#[cfg(feature = "alloc")]
pub use tailor::{Tailored, tailor, tailor_companion, tailor_counting, tailor_twin};

/// Offset of the image in a mapping.
pub const IMAGE: usize = 0;
/// Offset of the page of clocks: the image is at most this long.
pub const OWN_PAGE: usize = vdso_data::note::OWN_PAGE;
/// Offset of the process page.
pub const PROCESS_PAGE: usize = vdso_data::note::PROCESS_PAGE;
/// Bytes of the whole mapping.
pub const MAPPING_BYTES: usize = ARCHITECTURE.mapping_bytes();

/// The functions that an image only passes on to the kernel's vDSO, in the order of
/// [`vdso_data::process::Functions::forwarded`].
///
/// Empty where there are fewer.
pub const FORWARDED: [&str; vdso_data::process::FORWARDED] = forwarded();

const fn forwarded() -> [&'static str; vdso_data::process::FORWARDED] {
    let mut names = [""; vdso_data::process::FORWARDED];
    let mut index = 0;
    while index < ARCHITECTURE.exports.len() {
        let name = ARCHITECTURE.exports[index].name;
        if let Some(slot) = ARCHITECTURE.slot(name) {
            names[slot] = name;
        }
        index += 1;
    }
    names
}

/// That of this crate's images.
pub const ARCHITECTURE: &Architecture = match Architecture::CURRENT {
    Some(architecture) => architecture,
    None => panic!("the build script has found an architecture"),
};

/// What the images of this build read is what this crate says.
const _: () = {
    const READ: [u32; 4] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));
    let Pages { own_version, own_offset, process_version, process_offset } = Pages::CURRENT;
    assert!(READ[0] == own_version && READ[1] == own_offset);
    assert!(READ[2] == process_version && READ[3] == process_offset);
};

/// Where an image takes its time from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The counter and our own page, published by a timekeeper.
    Own,
    /// The running kernel's own data page, plus an offset.
    Host,
    /// The kernel's own vDSO function, plus an offset and a rate.
    Chain,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Host, Self::Chain];

    /// The name that a person selects it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Host => "host",
            Self::Chain => "chain",
        }
    }
}

/// The image, as linked: the same bytes from every build of this version.
pub const fn bytes(source: Source) -> &'static [u8] {
    match source {
        Source::Own => include_bytes!(concat!(env!("OUT_DIR"), "/own.so")),
        Source::Host => include_bytes!(concat!(env!("OUT_DIR"), "/host.so")),
        Source::Chain => include_bytes!(concat!(env!("OUT_DIR"), "/chain.so")),
    }
}

/// The image that counts how often it is called, where its process page says to: [`vdso_data::counts`].
#[cfg(counting)]
pub const fn counting(source: Source) -> Option<&'static [u8]> {
    Some(match source {
        Source::Own => include_bytes!(concat!(env!("OUT_DIR"), "/own-counting.so")),
        Source::Host => include_bytes!(concat!(env!("OUT_DIR"), "/host-counting.so")),
        Source::Chain => include_bytes!(concat!(env!("OUT_DIR"), "/chain-counting.so")),
    })
}

/// As above: none on this architecture.
#[cfg(not(counting))]
pub const fn counting(_source: Source) -> Option<&'static [u8]> {
    None
}

/// The [debug file](debug_file) of the image that counts.
#[cfg(counting)]
pub const fn counting_debug_file(source: Source) -> Option<&'static [u8]> {
    Some(match source {
        Source::Own => include_bytes!(concat!(env!("OUT_DIR"), "/own-counting.debug")),
        Source::Host => include_bytes!(concat!(env!("OUT_DIR"), "/host-counting.debug")),
        Source::Chain => include_bytes!(concat!(env!("OUT_DIR"), "/chain-counting.debug")),
    })
}

/// As above: none on this architecture.
#[cfg(not(counting))]
pub const fn counting_debug_file(_source: Source) -> Option<&'static [u8]> {
    None
}

/// The `chain` image for the other kind of programs that the same kernels execute, i386 ones on x86-64.
#[cfg(companion)]
pub fn companion() -> Option<(&'static Architecture, &'static [u8])> {
    let architecture = ARCHITECTURE.companion.and_then(Architecture::named)?;
    Some((architecture, include_bytes!(concat!(env!("OUT_DIR"), "/companion/chain.so"))))
}

/// There is no such kind of programs, or the toolchain of this build could not compile for it.
#[cfg(not(companion))]
pub fn companion() -> Option<(&'static Architecture, &'static [u8])> {
    None
}

/// The image for programs of the other kind that reads the same pages, x32 ones on x86-64.
#[cfg(twin)]
pub fn twin(source: Source) -> Option<(&'static Architecture, &'static [u8])> {
    let architecture = ARCHITECTURE.twin.and_then(Architecture::named)?;
    let bytes: &[u8] = match source {
        Source::Own => include_bytes!(concat!(env!("OUT_DIR"), "/twin/own.so")),
        Source::Host => include_bytes!(concat!(env!("OUT_DIR"), "/twin/host.so")),
        Source::Chain => include_bytes!(concat!(env!("OUT_DIR"), "/twin/chain.so")),
    };
    Some((architecture, bytes))
}

/// As above: none in this build.
#[cfg(not(twin))]
pub fn twin(_source: Source) -> Option<(&'static Architecture, &'static [u8])> {
    None
}

/// The image for any architecture, if this build has it: for its own, for those of the other kinds of programs that
/// the same kernels execute, and for those that the environment variable `VDSO_IMAGE_ALSO` named when this crate was
/// built, as `VDSO_IMAGE_ALSO=arm64,riscv64 cargo build`. Names are those of [`vdso_data::architecture::ALL`].
///
/// i386 programs have the image `chain` alone beside x86-64's own, and all three where `i386` was named.
pub fn bytes_for(architecture: &Architecture, source: Source) -> Option<&'static [u8]> {
    const ALSO: &[(&str, [&[u8]; 3])] = include!(concat!(env!("OUT_DIR"), "/also.rs"));
    let name = architecture.name;
    if name == ARCHITECTURE.name {
        return Some(bytes(source));
    }
    if let Some((_, images)) = ALSO.iter().find(|(also, _)| *also == name) {
        let [own, host, chain] = *images;
        return Some(match source {
            Source::Own => own,
            Source::Host => host,
            Source::Chain => chain,
        });
    }
    let companion = companion().filter(|_| source == Source::Chain);
    let others = [twin(source), companion];
    others.into_iter().flatten().find(|(other, _)| other.name == name).map(|(_, bytes)| bytes)
}

/// The image with symbols and DWARF, under the same build-id: what a debugger looks for.
pub const fn debug_file(source: Source) -> &'static [u8] {
    match source {
        Source::Own => include_bytes!(concat!(env!("OUT_DIR"), "/own.debug")),
        Source::Host => include_bytes!(concat!(env!("OUT_DIR"), "/host.debug")),
        Source::Chain => include_bytes!(concat!(env!("OUT_DIR"), "/chain.debug")),
    }
}

/// Runs the example of the README.
#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../README.md")]
struct Readme;
