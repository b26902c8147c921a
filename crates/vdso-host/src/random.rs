//! Where the kernel tells every process whether the keys that were made from its random numbers are
//! still good.
//!
//! Its type information says in which page of `[vvar]` that is, or it is one place that is known. What
//! the kernel's own function believes is compared before anybody else does.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::{io, ptr};

use vdso_data::PAGE_BYTES;
use vdso_data::architecture::Architecture;
use vdso_data::process::RandomData;
use vdso_data::sync::Ordering;

use super::btf::{self, Btf};
use super::{Mapping, function, image};

/// Where `_vdso_rng_data` is in `[vvar]` from 6.11 to 6.14: `arch/x86/include/asm/vvar.h` (Linux 6.12).
const PLACE_BEFORE_6_15: usize = 640;
/// `enum vdso_pages` in `include/vdso/datapage.h` (Linux 6.15): which page it is in.
const PAGE_SINCE_6_15: &str = "VDSO_RNG_PAGE_OFFSET";

/// Why images leave `getrandom` to the kernel's function.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RandomError {
    /// Images have no code for it on this architecture.
    #[error("images for this architecture generate no random bytes")]
    NoCode,
    /// Linux before 6.11, or one that does not find its functions usable.
    #[error("the kernel's vDSO has no getrandom")]
    NoFunction,
    /// Not configured, or not mounted in this container.
    #[error("cannot read the kernel's type information at {}", btf::VMLINUX)]
    NoTypes,
    /// They are not those that are known.
    #[error(
        "the kernel's type information does not describe struct vdso_rng_data as it is known here"
    )]
    Undescribed,
    /// Valgrind, rr and some sandboxes hide it.
    #[error("this process has no [vvar] mapping, or none with that page")]
    NoVvar,
    /// Very early, or in a time namespace before 6.15.
    #[error("the kernel's page does not say that its random numbers are ready")]
    NotReady,
    /// The function looks elsewhere.
    #[error("the kernel's getrandom does not follow the page that its types describe")]
    NotFollowed,
}

/// The kernel's [`RandomData`], bytes from its vDSO: the same in every process. `place` is where it is in `[vvar]`.
pub(super) fn find_at(
    vdso: Mapping,
    vvar: Option<Mapping>,
    image: &[u8],
    place: Result<usize, RandomError>,
) -> Result<i64, RandomError> {
    let row = Architecture::CURRENT.filter(|row| row.has_own_getrandom());
    let export = row.and_then(|row| row.export("getrandom")).ok_or(RandomError::NoCode)?;
    let is_callable = image::callable(image).is_ok();
    let offset = function(image, export.name).filter(|_| is_callable);
    let function_addr = vdso.start + offset.ok_or(RandomError::NoFunction)?;
    let place = place?;
    let vvar = vvar.ok_or(RandomError::NoVvar)?;
    let end = place.checked_add(size_of::<RandomData>());
    if end.is_none_or(|end| end > vvar.bytes()) {
        return Err(RandomError::NoVvar);
    }
    let addr = vvar.start + place as u64;
    if !is_readable(addr, size_of::<RandomData>()) {
        return Err(RandomError::NoVvar);
    }
    // SAFETY: readable, aligned, and the kernel's for as long as this process lives.
    let data = unsafe { &*(addr as *const RandomData) };
    // SAFETY: the kernel's function of this name, in an image that this process can call.
    let is_followed = unsafe { is_followed(data, function_addr) }?;
    if !is_followed {
        return Err(RandomError::NotFollowed);
    }
    Ok(addr.wrapping_sub(vdso.start) as i64)
}

/// Where the structure is in `[vvar]`. `types` are what could be opened, if those are types.
pub(super) fn place(types: Option<Option<&Btf<'_>>>) -> Result<usize, RandomError> {
    let btf = types.ok_or(RandomError::NoTypes)?.ok_or(RandomError::Undescribed)?;
    let data = btf.structure("vdso_rng_data").ok_or(RandomError::Undescribed)?;
    if (data.offset("generation"), data.offset("is_ready")) != (Some(0), Some(8)) {
        return Err(RandomError::Undescribed);
    }
    // What has pages of its own since 6.15 has this structure of clocks.
    if btf.structure("vdso_time_data").is_none() {
        return Ok(PLACE_BEFORE_6_15);
    }
    let page = btf.enumerator("vdso_pages", PAGE_SINCE_6_15).ok_or(RandomError::Undescribed)?;
    Ok(page as usize * PAGE_BYTES)
}

/// `__vdso_getrandom`.
type Getrandom = unsafe extern "C" fn(*mut u8, usize, u32, *mut c_void, usize) -> isize;

/// Whether the kernel's function notes in a caller's state the generation that `data` has.
///
/// # Safety
/// `function_addr` must be that of the kernel's function.
unsafe fn is_followed(data: &RandomData, function_addr: u64) -> Result<bool, RandomError> {
    // SAFETY: the caller's promise.
    let function: Getrandom = unsafe { std::mem::transmute(function_addr as usize) };
    /// `struct vgetrandom_opaque_params`: the state's size comes first.
    const PARAMS_WORDS: usize = 16;
    let mut params = [0_u32; PARAMS_WORDS];
    // SAFETY: a question, which the function answers in the 64 bytes of such a structure.
    let answer = unsafe { function(ptr::null_mut(), 0, 0, params.as_mut_ptr().cast(), usize::MAX) };
    let state_bytes = params[0] as usize;
    if answer != 0 || state_bytes == 0 || state_bytes > PAGE_BYTES {
        return Err(RandomError::NoFunction);
    }
    let mut state = Box::new(Page([0; PAGE_BYTES / size_of::<u64>()]));
    // The kernel may take a new seed meanwhile, once.
    for _ in 0..3 {
        let generation = data.generation.load(Ordering::Acquire);
        if generation == 0 || data.is_ready.load(Ordering::Relaxed) == 0 {
            return Err(RandomError::NotReady);
        }
        // A small generation could be another word, such as how many bytes were given. That changes.
        let mut has_it = [true; PAGE_BYTES / size_of::<u64>()];
        for _ in 0..2 {
            let mut byte = 0;
            let memory = (&raw mut *state).cast();
            // SAFETY: one byte, and a state of the length that the function asked for, in one page.
            let given = unsafe { function(&mut byte, 1, 0, memory, state_bytes) };
            for (has_it, word) in has_it.iter_mut().zip(&state.0) {
                *has_it &= given == 1 && *word == generation;
            }
        }
        if has_it.contains(&true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is memory. The kernel says so when it is to write it to a pipe; a page of `[vvar]` that has
/// nothing behind it would kill whoever reads it.
fn is_readable(addr: u64, bytes: usize) -> bool {
    let Ok((_reader, writer)) = io::pipe() else { return false };
    // SAFETY: the kernel checks the address, and the few bytes fit into an empty pipe.
    let written = unsafe { libc::write(writer.as_raw_fd(), addr as *const c_void, bytes) };
    usize::try_from(written) == Ok(bytes)
}

/// Memory for a state.
#[repr(align(4096))]
struct Page([u64; PAGE_BYTES / size_of::<u64>()]);

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::Host;
    use super::super::btf::writer::Writer;
    use super::*;
    use crate::proc::maps;

    fn find(
        vdso: Mapping,
        vvar: Option<Mapping>,
        image: &[u8],
        types: Option<Option<&Btf<'_>>>,
    ) -> Result<i64, RandomError> {
        find_at(vdso, vvar, image, place(types))
    }

    /// As in Linux 6.15, but with the structure's page where the argument says.
    fn types(page: u32) -> Writer {
        let mut types = before_6_15();
        types.structure("vdso_time_data", btf::KIND_STRUCT, 64, &[]);
        types.enumeration("vdso_pages", &[("VDSO_TIME_PAGE_OFFSET", 0), (PAGE_SINCE_6_15, page)]);
        types
    }

    fn before_6_15() -> Writer {
        let mut types = Writer::new();
        let members = [("generation", 0, 0), ("is_ready", 0, 8)];
        types.structure("vdso_rng_data", btf::KIND_STRUCT, 16, &members);
        types
    }

    #[test]
    fn types_say_where_it_is() {
        let place = |types: Writer| place(Some(Btf::parse(&types.finish()).as_ref())).unwrap();
        assert_eq!(place(types(2)), 2 * PAGE_BYTES);
        assert_eq!(place(before_6_15()), PLACE_BEFORE_6_15);
    }

    #[test]
    fn other_types_are_refused() {
        let mut moved = Writer::new();
        let members = [("generation", 0, 8), ("is_ready", 0, 0)];
        moved.structure("vdso_rng_data", btf::KIND_STRUCT, 16, &members);
        let mut without_page = before_6_15();
        without_page.structure("vdso_time_data", btf::KIND_STRUCT, 64, &[]);
        for types in [Writer::new(), moved, without_page] {
            let place = place(Some(Btf::parse(&types.finish()).as_ref()));
            assert!(matches!(place, Err(RandomError::Undescribed)));
        }
    }

    /// With this machine's kernel, and with types that send us to a wrong place.
    #[test]
    fn a_wrong_place_is_found_out() {
        let host = Host::find().expect("/proc is mounted");
        let maps = maps::read("self").expect("/proc is mounted");
        let (Some(vdso), Some(vvar)) =
            (maps::kernels(&maps, "[vdso]"), maps::kernels(&maps, "[vvar]"))
        else {
            return test_support::skip(
                test_support::Lacking::Kernel,
                "the place of the kernel's random generation",
                "this kernel gives no vDSO",
            );
        };
        if let Err(reason @ (RandomError::NoFunction | RandomError::NoTypes)) = &host.random_data {
            return test_support::skip(
                test_support::Lacking::Kernel,
                "the place of the kernel's random generation",
                &reason.to_string(),
            );
        }
        let displacement = host.random_data.as_ref().expect("the kernel has the function");
        let right = vdso.start.wrapping_add_signed(*displacement) - vvar.start;
        let none = find(vdso, Some(vvar), &host.image, Some(None));
        assert!(matches!(none, Err(RandomError::Undescribed)));
        let find = |types: Writer| {
            let types = types.finish();
            find(vdso, Some(vvar), &host.image, Some(Btf::parse(&types).as_ref()))
        };
        let right_page = types((right / PAGE_BYTES as u64) as u32);
        if right.is_multiple_of(PAGE_BYTES as u64) {
            assert_eq!(find(right_page).unwrap(), *displacement);
        }
        // Clocks are there, or nothing, not even memory.
        for wrong in [types(0), types(1), before_6_15()] {
            let found = find(wrong);
            let refused = found.as_ref().err();
            let is_refused = refused.is_some_and(|reason| {
                use RandomError::{NoVvar, NotFollowed, NotReady};
                matches!(reason, NotFollowed | NotReady | NoVvar)
            });
            assert!(is_refused || right == PLACE_BEFORE_6_15 as u64, "{found:?}");
        }
        assert!(matches!(find(types(1 << 20)), Err(RandomError::NoVvar)));
    }
}
