//! Where the running kernel keeps its clocks: the layout of its data page.

use serde::Serialize;
use vdso_data::linux::{LAYOUTS, Layout};
use vdso_host::{Host, btf, described};

/// What is known of the running kernel's data page.
#[derive(Clone, Debug, Serialize)]
pub struct KernelLayout {
    /// The layout by the name that it has here; none if it is not known.
    pub name: Option<&'static str>,
    /// Its offsets, by the kernel's own type information; none if that describes no such page.
    pub described: Option<Offsets>,
    /// Why vdso does not read the page, if it does not.
    pub not_read_because: Option<String>,
    /// All layouts that are known here.
    pub known: Vec<KnownLayout>,
}

/// A layout that vdso can read.
#[derive(Clone, Debug, Serialize)]
pub struct KnownLayout {
    pub name: &'static str,
    pub offsets: Offsets,
}

/// Where things are in the page, from its beginning or, after the first two, from a clock's.
#[derive(Clone, Debug, Serialize)]
pub struct Offsets {
    pub hres_bytes: usize,
    pub raw_bytes: usize,
    pub seq_bytes: usize,
    pub cycle_last_bytes: usize,
    pub mult_bytes: usize,
    pub basetime_bytes: usize,
}

impl From<Layout> for Offsets {
    fn from(layout: Layout) -> Self {
        Self {
            hres_bytes: layout.hres,
            raw_bytes: layout.raw,
            seq_bytes: layout.seq,
            cycle_last_bytes: layout.cycle_last,
            mult_bytes: layout.mult,
            basetime_bytes: layout.basetime,
        }
    }
}

/// That of the kernel that runs this; the layouts that are known are those of x86-64 and arm64.
pub fn find() -> Option<KernelLayout> {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return None;
    }
    let types = btf::Btf::open().ok().flatten();
    let described = types.and_then(|types| described(&types).ok());
    let page = match Host::find() {
        Ok(host) => host.page.map_err(|error| error.to_string()),
        Err(error) => Err(format!("cannot read /proc/self/maps: {error}")),
    };
    let (name, layout) = match (&page, described) {
        // Of those that the types leave open.
        (Ok(page), _) => (Some(page.name()), Some(*page.layout())),
        (Err(_), Some(described)) => {
            match LAYOUTS.iter().find(|(_, known)| described.fits(known)) {
                Some(&(name, known)) => (Some(name), Some(known)),
                None => (None, Some(described.layout)),
            }
        }
        (Err(_), None) => (None, None),
    };
    Some(KernelLayout {
        name,
        described: layout.map(Offsets::from),
        not_read_because: page.err(),
        known: LAYOUTS
            .iter()
            .map(|&(name, layout)| KnownLayout { name, offsets: layout.into() })
            .collect(),
    })
}
