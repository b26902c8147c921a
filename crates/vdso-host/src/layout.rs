//! The layouts of `[vvar]` that the kernel's type information leaves open.
//!
//! What the types say is compared with what is known ([`LAYOUTS`]); of the version number nothing is
//! asked, as distributions backport.

use vdso_data::linux::{LAYOUTS, Layout};

use super::PageError;
use super::btf::{Btf, Structure};

/// A layout with the name that it is reported by.
pub type KnownLayout = (&'static str, Layout);

/// Why types describe no data page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undescribed {
    /// Something else, or from a machine of the other byte order.
    #[error("it is no type information of this machine's")]
    NotTypes,
    /// A structure is missing.
    #[error("there is no {name}")]
    NoStructure {
        /// The name of the structure that is missing.
        name: &'static str,
    },
    /// A structure is there, but not as it was.
    #[error("{structure} has no {member}")]
    NoMember {
        /// The name of the structure that is not as it was.
        structure: &'static str,
        /// The name of the member that it lacks.
        member: &'static str,
    },
    /// Two members that are read as neighbours are none.
    #[error("in {structure}, {second} does not follow {first}")]
    Apart {
        /// The name of the structure that has both members.
        structure: &'static str,
        /// The member that the other one should follow.
        first: &'static str,
        /// The member that should come right behind.
        second: &'static str,
    },
}

/// What types say of a data page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where everything is, from the first clock's beginning if `is_placed` is not set.
    pub layout: Layout,
    /// Whether they say where in the page the first clock is. Before 6.15 nothing but a symbol of the
    /// kernel's does.
    pub is_placed: bool,
}

/// The known layouts that types fit, if they are types.
pub fn known(types: Option<&Btf<'_>>) -> Result<Vec<KnownLayout>, PageError> {
    let described = described(types.ok_or(Undescribed::NotTypes)?)?;
    let fitting: Vec<_> = LAYOUTS.iter().filter(|(_, it)| described.fits(it)).copied().collect();
    if fitting.is_empty() {
        return Err(PageError::UnknownLayout { layout: described.layout });
    }
    Ok(fitting)
}

impl Described {
    /// Whether this may be the known layout.
    pub fn fits(&self, known: &Layout) -> bool {
        let place = if self.is_placed { 0 } else { known.hres };
        self.layout.moved(place) == *known
    }
}

/// Reads what types say.
pub fn described(types: &Btf<'_>) -> Result<Described, Undescribed> {
    const PAGE: &str = "struct vdso_time_data";
    const BEFORE_6_15: &str = "struct vdso_data";
    if let Ok(page) = Named::find(types, PAGE) {
        let place = page.offset("clock_data")?;
        let layout = Named::find(types, "struct vdso_clock")?.layout()?.moved(place);
        return Ok(Described { layout, is_placed: true });
    }
    let clock = Named::find(types, BEFORE_6_15).map_err(|_| Undescribed::NoStructure {
        name: "struct vdso_time_data, nor a struct vdso_data",
    })?;
    Ok(Described { layout: clock.layout()?, is_placed: false })
}

/// A structure, by its name in C.
struct Named<'a> {
    name: &'static str,
    structure: Structure<'a>,
}

impl<'a> Named<'a> {
    fn find(btf: &'a Btf<'a>, name: &'static str) -> Result<Self, Undescribed> {
        let tag = name.trim_start_matches("struct ");
        let structure = btf.structure(tag).ok_or(Undescribed::NoStructure { name })?;
        Ok(Self { name, structure })
    }

    fn offset(&self, member: &'static str) -> Result<usize, Undescribed> {
        let lacking = Undescribed::NoMember { structure: self.name, member };
        self.structure.offset(member).ok_or(lacking)
    }

    /// That of an array of two of this, at offset 0.
    fn layout(&self) -> Result<Layout, Undescribed> {
        let seq = self.offset_of_pair("seq", "clock_mode")?;
        let mult = self.offset_of_pair("mult", "shift")?;
        Ok(Layout {
            hres: 0,
            raw: self.structure.bytes(),
            seq,
            cycle_last: self.offset("cycle_last")?,
            mult,
            basetime: self.offset("basetime")?,
        })
    }

    /// Of the first of two words, which readers take as adjacent.
    fn offset_of_pair(
        &self,
        first: &'static str,
        second: &'static str,
    ) -> Result<usize, Undescribed> {
        let offset = self.offset(first)?;
        if self.offset(second)? == offset + 4 {
            Ok(offset)
        } else {
            Err(Undescribed::Apart { structure: self.name, first, second })
        }
    }
}
