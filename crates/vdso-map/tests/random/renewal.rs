//! New keys for everybody: when the kernel takes a new seed, as after a virtual machine was restored from a
//! copy, and when our timekeeper says so.
//!
//! A state that is put back to what it was stands for the copy: with the old key it gives the same bytes
//! again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use nix::sys::mman::ProtFlags;
use vdso_data::process::{ProcessPage, RandomData, Template};
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::{ImageFile, LocalImage};

use super::mapped::Mapped;
use super::support::*;

const THREADS: usize = 24;

impl Mapped {
    /// What each of many threads is given, before and after `between`, from the same state.
    fn drawn_twice(&self, between: impl Fn()) -> Vec<([u8; 1000], [u8; 1000])> {
        let (drawn, done) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
        let pairs = Mutex::new(Vec::new());
        let function = &self.function;
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let state = function.kept_state();
                    state.draw::<10>();
                    let copy = state.bytes();
                    let before = state.draw();
                    drawn.wait();
                    done.wait();
                    state.set(&copy);
                    pairs.lock().unwrap().push((before, state.draw()));
                });
            }
            drawn.wait();
            between();
            done.wait();
        });
        pairs.into_inner().unwrap()
    }
}

fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.windows(16)
}

#[test]
fn the_same_generation_gives_a_copy_the_same_bytes() {
    for mapped in Mapped::all() {
        for (before, after) in mapped.drawn_twice(|| {}) {
            assert_eq!(before, after, "{}: what is tested here is not seen", mapped.function.name);
        }
    }
}

#[track_caller]
fn assert_all_new(mapped: &Mapped, between: impl Fn()) {
    let pairs = mapped.drawn_twice(between);
    let known: HashSet<&[u8]> = pairs.iter().flat_map(|(before, _)| parts(before)).collect();
    for (_, after) in &pairs {
        let again = parts(after).any(|part| known.contains(part));
        assert!(!again, "{}: bytes of a key from before", mapped.function.name);
    }
}

#[test]
fn a_new_seed_of_the_kernels_gives_every_thread_a_new_key() {
    for mapped in Mapped::all() {
        assert_all_new(&mapped, || {
            mapped.kernels.generation.fetch_add(1, Ordering::Relaxed);
        });
    }
}

#[test]
fn our_timekeeper_gives_every_thread_a_new_key() {
    for mapped in Mapped::all() {
        assert_all_new(&mapped, || mapped.file.page().renew_keys());
    }
}

/// Generations that change all the time: nobody waits for ever, and nobody gets what another had.
#[test]
fn generations_that_do_not_stand_still_are_answered() {
    for mapped in Mapped::all() {
        let (function, page, kernels) = (&mapped.function, mapped.file.page(), &*mapped.kernels);
        let is_over = AtomicBool::new(false);
        let all = Mutex::new(HashSet::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    page.renew_keys();
                    kernels.generation.fetch_add(1, Ordering::Relaxed);
                }
            });
            let drawers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let state = function.state();
                        let blocks: Vec<[u8; 32]> = (0..1000).map(|_| state.draw()).collect();
                        all.lock().unwrap().extend(blocks);
                    })
                })
                .collect();
            for drawer in drawers {
                drawer.join().expect("no call fails");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(all.into_inner().unwrap().len(), 4 * 1000, "{}", mapped.function.name);
    }
}

/// Early in the life of a machine: every call is the kernel's, and no state gets a key.
#[test]
fn a_kernel_that_is_not_ready_is_asked() {
    for mapped in Mapped::all() {
        for unready in [
            || RandomData::default(),
            || {
                let data = RandomData::default();
                data.generation.store(7, Ordering::Relaxed);
                data
            },
        ] {
            let data = unready();
            let words = [data.generation.into_inner(), u64::from(data.is_ready.into_inner())];
            mapped.kernels.generation.store(words[0], Ordering::Relaxed);
            mapped.kernels.is_ready.store(words[1] as u8, Ordering::Relaxed);
            let state = mapped.function.state();
            assert_ne!(state.draw::<32>(), state.draw::<32>());
            assert!(state.bytes().iter().all(|&byte| byte == 0), "{}", mapped.function.name);
        }
    }
}

/// Whoever has no kernel's generation has that of the page alone.
#[test]
fn a_page_is_enough() {
    let host = Host::find().expect("/proc is mounted");
    let file = ImageFile::create("own", vdso_image::bytes(Source::Own)).expect("a file");
    let image = LocalImage::map(&file, &Template::default(), host.vdso_addr).expect("an image");
    let page = (image.image_addr() + vdso_image::PROCESS_PAGE) as *mut libc::c_void;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let start = std::ptr::NonNull::new(page).expect("it is mapped");
    // SAFETY: the test's own mapping, which nobody reads meanwhile.
    unsafe { nix::sys::mman::mprotect(start, PAGE_BYTES, protection) }.expect("it is ours");
    // SAFETY: the page's structure, writable now.
    let process = unsafe { &*page.cast::<ProcessPage>() };
    let always_ready = std::ptr::from_ref(&process.always_ready).addr() as u64;
    process.random_data_addr.store(always_ready, Ordering::Relaxed);
    let function = image.function("__vdso_getrandom").expect("the image has it");
    let function = Getrandom::at("own", function);
    let state = function.kept_state();
    state.draw::<10>();
    let copy = state.bytes();
    let before = state.draw::<100>();
    state.set(&copy);
    assert_eq!(state.draw::<100>(), before);
    state.set(&copy);
    file.page().renew_keys();
    assert_ne!(state.draw::<100>(), before);
}

/// Without any: the kernel's function if there is one, or the system call; and nobody is told that a
/// state could be had.
#[test]
fn an_image_that_knows_no_generation_passes_the_call_on() {
    for source in [Source::Own, Source::Host] {
        let file = ImageFile::create(source.name(), vdso_image::bytes(source)).expect("a file");
        let image = LocalImage::map(&file, &Template::default(), 0).expect("an image");
        let function = image.function("__vdso_getrandom").expect("the image has it");
        let function = Getrandom::at(source.name(), function);
        let (answer, parameters) = function.parameters();
        assert_eq!(answer, -(libc::ENOSYS as isize));
        assert_eq!(parameters, Parameters::UNWRITTEN);
        let mut bytes = [0; 64];
        // SAFETY: no state is given, and the buffer is ours.
        let given =
            unsafe { function.call(bytes.as_mut_ptr(), bytes.len(), 0, std::ptr::null_mut(), 0) };
        assert_eq!(given, 64);
        assert_ne!(bytes, [0; 64]);
    }
}
