//! A running process: its mappings, and the images in its memory.

use std::fs::{self, File};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::{FoundImage, Origin, Target, refusal};
use crate::message::Hinted;
use crate::system::Root;
use crate::system::auxv::{self, NATIVE};
use crate::system::maps::{self, Mapping};
use crate::system::status::{self, Status};

/// More than all images of a process have; other mappings may have terabytes.
const LONGEST_BYTES: u64 = 16 << 20;

/// This one.
pub fn this() -> Result<Target> {
    let maps = text("/proc/self/maps").map_err(refusal::without_own_maps)?;
    let auxv = fs::read("/proc/self/auxv").context("cannot read /proc/self/auxv")?;
    target(Origin::ThisProcess, &maps, &auxv, |mapping| Ok(own_memory(mapping)))
}

/// The one with this number, which is one of digits.
pub fn other(digits: &str) -> Result<Target> {
    let Some(pid) = digits.parse().ok().filter(|&pid: &i32| pid > 0).map(Pid::from_raw) else {
        return Err(gone(digits).into());
    };
    let name = match text(&format!("/proc/{pid}/comm")) {
        Ok(name) => name.trim_end().to_owned(),
        Err(_) => return Err(gone(digits).into()),
    };
    if let Some(refused) = refusal::without_memory(pid, &name) {
        return Err(refused.into());
    }
    let refused = |error: io::Error| refusal::explain(pid, &name, &error);
    let thread = thread_with_memory(pid);
    let maps = text(&format!("/proc/{thread}/maps")).map_err(refused)?;
    let auxv = fs::read(format!("/proc/{thread}/auxv")).map_err(refused)?;
    let origin = Origin::Process { pid: pid.as_raw() as u32, name: name.clone() };
    target(origin, &maps, &auxv, |mapping| Ok(read(thread, mapping).map_err(refused)?))
}

/// By whose number its memory is found: its own, unless its first thread has ended.
fn thread_with_memory(pid: Pid) -> Pid {
    let (root, digits) = (Root::new(None), pid.to_string());
    let has_ended = Status::read(&root, &digits).is_ok_and(|status| status.has_ended());
    let other = has_ended.then(|| status::living_thread(&root, &digits)).flatten();
    other.and_then(|digits| digits.parse().ok()).map_or(pid, Pid::from_raw)
}

/// That there is no such process, but maybe a file.
fn gone(digits: &str) -> Hinted {
    let gone = refusal::gone(&Root::new(None), digits);
    match fs::exists(digits) {
        Ok(true) => gone.or(format!("to look at the file of that name, write ./{digits}")),
        _ => gone,
    }
}

/// A file's text.
fn text(path: &str) -> io::Result<String> {
    Root::new(None).text(path)
}

fn target(
    origin: Origin,
    maps: &str,
    auxv: &[u8],
    read: impl Fn(&Mapping) -> Result<Vec<u8>>,
) -> Result<Target> {
    let all = maps::parse(maps);
    let class = auxv::class(auxv, NATIVE);
    let announced = class.and_then(|class| auxv::vdso_addr(auxv, class, NATIVE));
    let mappings = maps::of_vdso(&all, announced);
    let is_announced = |mapping: &Mapping| announced == Some(mapping.addrs.start);
    let is_image = |mapping: &&Mapping| {
        is_announced(mapping) || mapping.is_kernels("[vdso]") || mapping.is_our_image()
    };
    // The one in use comes first, and others do not take its room away.
    let mut found: Vec<&Mapping> = mappings.iter().filter(is_image).collect();
    found.sort_by_key(|mapping| (!is_announced(mapping), mapping.is_our_image()));
    let (mut images, mut left) = (Vec::new(), LONGEST_BYTES);
    for mapping in found {
        let in_use = Some(is_announced(mapping));
        match left.checked_sub(mapping.bytes()) {
            Some(rest) => left = rest,
            None if in_use == Some(true) => return Err(too_long(&origin, mapping).into()),
            // Anybody may give a mapping the name of ours. It is listed, as all are.
            None => continue,
        }
        images.push(FoundImage { addr: Some(mapping.addrs.start), bytes: read(mapping)?, in_use });
    }
    Ok(Target { origin, mappings, images })
}

/// That what a process announces as its vDSO is none.
fn too_long(origin: &Origin, mapping: &Mapping) -> Hinted {
    let (bytes, start) = (mapping.bytes(), mapping.addrs.start);
    Hinted::new(
        format!(
            "cannot read the image of {origin}: its mapping at {start:#x} has {bytes} bytes, and no \
             vDSO image has more than {} MiB",
            LONGEST_BYTES >> 20
        ),
        "the program has put something else there: look at its /proc/PID/maps",
    )
}

/// What this process has there. No system call is made, as some sandboxes deny them.
fn own_memory(mapping: &Mapping) -> Vec<u8> {
    // SAFETY: images are mapped readable, stay mapped for as long as the process lives, and do not
    // change; the addresses are this process's own.
    unsafe {
        std::slice::from_raw_parts(mapping.addrs.start as *const u8, mapping.bytes() as usize)
    }
    .to_vec()
}

/// What another process has there.
fn read(pid: Pid, mapping: &Mapping) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; mapping.bytes() as usize];
    let remote = RemoteIoVec { base: mapping.addrs.start as usize, len: bytes.len() };
    // The number is /proc's, which may be that of another PID namespace.
    if vdso_host::proc::is_ours() {
        match process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[remote]) {
            Ok(count) if count == remote.len => return Ok(bytes),
            Err(Errno::ESRCH) => return Err(Errno::ESRCH.into()),
            // Kernels can be built without it, and containers may deny it: the file may still do.
            Ok(_) | Err(_) => {}
        }
    }
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    memory.read_exact_at(&mut bytes, mapping.addrs.start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel chooses where things are, so either image may come first.
    const MAPS: &str = "\
7f0000001000-7f0000003000 r-xp 00000000 00:00 0                          [vdso]
7f0000005000-7f0000007000 r-xp 00000000 00:01 4242                       /memfd:vdso-own (deleted)
7f0000007000-7f0000008000 r--s 00004000 00:01 4242                       /memfd:vdso-own (deleted)
";

    fn images(announced: u64) -> Vec<(u64, bool)> {
        let words = [6, 4096, 33, announced, 0, 0];
        let auxv: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        let target = target(Origin::ThisProcess, MAPS, &auxv, |_| Ok(Vec::new())).unwrap();
        let place = |image: &FoundImage| (image.addr.unwrap(), image.in_use.unwrap());
        target.images.iter().map(place).collect()
    }

    #[test]
    fn the_image_in_use_comes_first() {
        let (kernels, ours) = (0x7f00_0000_1000, 0x7f00_0000_5000);
        assert_eq!(images(ours), [(ours, true), (kernels, false)]);
        assert_eq!(images(kernels), [(kernels, true), (ours, false)]);
    }

    /// Anybody may map a file of that name, and as much of it as there are addresses.
    #[test]
    fn no_more_is_read_than_images_may_have() {
        let hostile = "100000000000-300000000000 r-xp 00000000 00:01 1 /memfd:vdso-x (deleted)\n";
        let read = |mapping: &Mapping| {
            assert!(mapping.bytes() <= 0x2000, "{mapping:?}");
            Ok(Vec::new())
        };
        let images = |maps: &str, announced: u64| {
            let words = [6, 4096, 33, announced, 0, 0];
            let auxv: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
            target(Origin::ThisProcess, maps, &auxv, read)
        };
        let beside = images(&format!("{hostile}{MAPS}"), 0x7f00_0000_1000).unwrap();
        assert_eq!(beside.images.len(), 2);
        assert_eq!(beside.mappings.len(), 4, "it is listed");
        let error = images(hostile, 0x1000_0000_0000).unwrap_err();
        assert!(error.is::<Hinted>() && error.to_string().contains("16 MiB"), "{error}");
        // Many that are small come to as much.
        let many: String = (1..40_u64)
            .map(|n| {
                format!(
                    "{:x}-{:x} r-xp 0 00:01 1 /memfd:vdso-x (deleted)\n",
                    n << 32,
                    (n << 32) + 0x10_0000
                )
            })
            .collect();
        let words = [6_u64, 4096, 0, 0];
        let auxv: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        let found = target(Origin::ThisProcess, &many, &auxv, |_| Ok(Vec::new())).unwrap();
        assert_eq!((found.images.len(), found.mappings.len()), (16, 39));
    }

    #[test]
    fn an_image_that_is_not_announced_is_not_in_use() {
        assert!(images(0).iter().all(|(_, in_use)| !in_use));
        let auxv: Vec<u8> = [6_u64, 4096, 33, 0].into_iter().flat_map(u64::to_ne_bytes).collect();
        let target = target(Origin::ThisProcess, MAPS, &auxv, |_| Ok(Vec::new())).unwrap();
        let warnings = crate::inspect::warnings::of_target(&target);
        assert!(warnings[0].contains("does not announce"), "{warnings:?}");
        let bare = Target { mappings: Vec::new(), images: Vec::new(), ..target };
        assert!(crate::inspect::warnings::of_target(&bare)[0].contains("no vDSO"));
        assert!(bare.image(false).unwrap_err().to_string().contains("has no vDSO"));
    }
}
