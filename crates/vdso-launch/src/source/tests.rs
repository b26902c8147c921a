//! Hosts that lack something: a right clock from a slower source, and the reason.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use test_support::{Lacking, skip};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::linux::LINUX_6_15;
use vdso_host::PageError;

use super::*;
use crate::clock::Setting;

const USUAL: Wanted = Wanted { images: Images::Usual, off: CallSet::NONE };

/// Every clock a day ahead.
fn plan() -> Plan {
    let offset = Timespec { sec: 86_400, nsec: 5 };
    let ahead = Transform { offset, ..Transform::IDENTITY };
    Plan {
        transforms: [ahead; clock::LINES],
        offset,
        rate: Rate::ONE,
        setting: Setting::Privileged,
    }
}

/// Whether the image gives the system call's time, moved, in this process.
fn assert_is_right(host: &Host, selected: &Selected) {
    let payload = &selected.payload;
    let image = LocalImage::map(&payload.file, &payload.template, host.vdso_addr).unwrap();
    let ours = image.function("__vdso_clock_gettime").expect("every image has it");
    // SAFETY: a function of this type, mapped until the end of this one.
    let ours: ClockGettime = unsafe { std::mem::transmute(ours) };
    for id in clock::HIGH_RESOLUTION_IDS {
        let moved = |time| plan().transforms[id as usize].apply(time);
        let before = moved(by_call(id));
        let now = read(ours, id);
        let after = moved(by_call(id));
        assert!(before <= now && now <= after, "clock {id}: {before:?} {now:?} {after:?}");
    }
}

fn by_call(id: u32) -> Timespec {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours; the id is one that every Linux has.
    unsafe { libc::syscall(libc::SYS_clock_gettime, id, &raw mut ts) };
    Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec }
}

/// Chained if nothing was asked for, refused by the same reason if the page was.
fn assert_chains(host: &Host, reason: &str) {
    let selected = select(host, &plan(), None, CallSet::NONE).unwrap();
    let said = selected.to_string();
    assert_eq!(selected.source, Source::Chain, "{said}");
    assert!(said.contains(reason), "{reason:?} is not in {said:?}");
    assert_is_right(host, &selected);
    let Err(error) = select(host, &plan(), Some(Source::Host), CallSet::NONE) else {
        panic!("taken, although {reason}");
    };
    let error = error.to_string();
    assert!(error.starts_with("the source 'host' cannot be used here: "), "{error}");
    assert!(error.contains(reason) || host.page.is_ok(), "{reason:?} is not in {error:?}");
}

fn with_page(page: PageError) -> Host {
    let mut host = Host::find().unwrap();
    host.page = Err(page);
    host
}

#[test]
fn a_page_that_is_not_read_is_a_reason_to_chain() {
    let denied = Arc::new(io::Error::from_raw_os_error(libc::ENOENT));
    let path = vdso_host::btf::VMLINUX;
    let reasons = [
        (PageError::NoVvar, "this process has no [vvar] mapping"),
        (PageError::NoTypes { path, source: denied }, "/sys/kernel/btf/vmlinux: No such file"),
        (PageError::UnknownLayout { layout: LINUX_6_15 }, "not known here: clocks of 0xe8 bytes"),
        (PageError::TimeNamespace, "in a time namespace"),
        (PageError::CounterUnused { mode: 0 }, "as its clocksource (clock mode 0)"),
        (PageError::Implausible, "does not hold a clock"),
        (PageError::Ambiguous, "more than one place"),
    ];
    for (page, reason) in reasons {
        assert_chains(&with_page(page), reason);
    }
}

#[test]
fn without_a_vdso_system_calls_are_made() {
    let host = Host::without_vdso();
    assert_chains(&host, "this kernel gives no vDSO");
}

/// As of an emulator, or of whoever edits the auxiliary vector.
#[test]
fn an_image_of_another_kind_is_not_called() {
    const CLASS: usize = 4;
    const BYTE_ORDER: usize = 5;
    for (at, value) in [(CLASS, 1), (BYTE_ORDER, 2), (CLASS, 9), (0, 0)] {
        let mut host = Host::find().unwrap();
        if host.vdso_addr == 0 {
            let reason = "this kernel gives no vDSO";
            return test_support::skip(test_support::Lacking::Kernel, "vdso-kind", reason);
        }
        host.image[at] = value;
        assert_chains(&host, "the kernel's vDSO is not called, as ");
        let asked = select(&host, &plan(), Some(Source::Chain), CallSet::NONE).unwrap();
        let said = asked.to_string();
        assert!(said.starts_with("source chain: as asked; the kernel's vDSO is not called, as "));
        assert_is_right(&host, &asked);
    }
}

/// The last of what a page must stand before a program gets it.
#[test]
fn a_page_that_says_something_else_is_refused() {
    let host = Host::find().unwrap();
    if let Err(reason) = by_host(&host, &plan(), USUAL) {
        return test_support::skip(
            test_support::Lacking::Kernel,
            "host-validation",
            &reason.to_string(),
        );
    }
    let selected = make(&host, &plan(), USUAL, Source::Host, Reason::Asked).unwrap();
    assert_eq!(validate(&host, &plan(), &selected.payload).unwrap(), 7 * VALIDATION_READS);
    let mut other = plan();
    for id in clock::HIGH_RESOLUTION_IDS {
        let right = other.transforms[id as usize];
        other.transforms[id as usize] = Transform::IDENTITY;
        let error = validate(&host, &other, &selected.payload).expect_err("a day is missing");
        let expected = format!("what its page says of clock {id} is not what the kernel says");
        assert_eq!(error.to_string(), expected);
        other.transforms[id as usize] = right;
    }
}

/// What a twin's programs get: `None`, and a skip, if this build has no image for them.
fn twin_of(selected: &Selected, kernel: &KernelVdso) -> Option<Payload> {
    if vdso_image::twin(selected.source).is_none() {
        let reason = "vdso was built without an image for x32: rustup target add \
                      x86_64-unknown-linux-gnux32, or VDSO_RUST_SRC for cargo xtask test";
        skip(Lacking::Toolchain, "what x32 programs get", reason);
        return None;
    }
    let Payload { file, template, .. } = &selected.payload;
    Some(twin_payload(selected.source, CallSet::NONE, file, template, kernel).unwrap())
}

/// The bytes of the file from where a payload's mapping begins.
fn mapped(payload: &Payload, bytes: usize) -> Vec<u8> {
    let file = File::from(payload.file.as_fd().try_clone_to_owned().unwrap());
    let mut read = vec![0; bytes];
    file.read_exact_at(&mut read, payload.file.offset()).unwrap();
    read
}

#[test]
fn programs_of_the_twin_get_the_same_source_and_page() {
    let host = Host::find().unwrap();
    let kernel = KernelVdso { image: Vec::new(), pages: DataPages::AsInLauncher };
    for source in Source::ALL {
        let Ok(selected) = select(&host, &plan(), Some(source), CallSet::NONE) else { continue };
        let Some(twin) = twin_of(&selected, &kernel) else { return };
        let image = vdso_image::tailor_twin(source, &[]).unwrap().bytes;
        assert_eq!(mapped(&twin, image.len()), image, "{}", source.name());
        assert!(twin.file.is_in_file_of(&selected.payload.file));
        assert!(std::ptr::eq(twin.file.page(), selected.payload.file.page()));
        let native = vdso_image::tailor(source, &host.image).bytes;
        assert_eq!(mapped(&selected.payload, native.len()), native, "{}", source.name());
        let seq = |template: &Template| template.hres.map(|clock| clock.seq);
        assert_eq!(seq(&twin.template), seq(&selected.payload.template), "{}", source.name());
    }
}

#[test]
fn programs_of_the_twin_ask_the_kernel_where_its_page_is_elsewhere() {
    let host = Host::find().unwrap();
    let kernel = KernelVdso { image: Vec::new(), pages: DataPages::Elsewhere };
    let selected = select(&host, &plan(), None, CallSet::NONE).unwrap();
    let Some(twin) = twin_of(&selected, &kernel) else { return };
    let image = vdso_image::tailor_twin(Source::Chain, &[]).unwrap().bytes;
    assert_eq!(mapped(&twin, image.len()), image);
    assert!(twin.template.hres.is_none() && twin.template.raw.is_none());
}

/// The kernel's functions for such programs are where its image for them says.
#[test]
fn programs_of_the_twin_are_told_the_kernels_functions() {
    const NAME: &str = "x32-compat-on-amd64-6.12.107+deb13.so";
    let Some(folder) = std::env::var_os("VDSO_IMAGES") else {
        let reason = "VDSO_IMAGES names no folder of real vDSO images";
        return skip(Lacking::Images, "the functions of the kernel's x32 vDSO", reason);
    };
    let image = std::fs::read(std::path::Path::new(&folder).join(NAME)).unwrap();
    let function = |name| vdso_elf::Image::parse(&image).unwrap().lookup(name, None).unwrap().value;
    let expected = ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_getcpu"].map(function);
    let kernel = KernelVdso { image: image.clone(), pages: DataPages::AsInLauncher };
    let selected =
        select(&Host::find().unwrap(), &plan(), Some(Source::Chain), CallSet::NONE).unwrap();
    let Some(twin) = twin_of(&selected, &kernel) else { return };
    let Template { clock_gettime, gettimeofday, getcpu, .. } = twin.template;
    assert_eq!([clock_gettime, gettimeofday, getcpu], expected.map(Some));
}
