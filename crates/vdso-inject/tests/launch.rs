//! What a launch asks of the process that launches.

#![cfg(target_arch = "x86_64")]

use std::sync::mpsc::channel;

use vdso_data::process::Template;
use vdso_image::Source;
use vdso_inject::exec::Payload;
use vdso_inject::launch::{Follow, Inheritance, Launch, OnHostClock};
use vdso_inject::{Error, ImageFile};

/// A lock that another thread holds would be held in the forked supervisor for ever.
#[test]
fn a_process_with_other_threads_does_not_launch() {
    let (end, ended) = channel::<()>();
    let other = std::thread::spawn(move || ended.recv());
    let image = vdso_image::bytes(Source::Chain);
    let payload = Payload {
        file: ImageFile::create("launch", image).expect("an image has a file"),
        template: Template::default(),
        padding: None,
        companions: Vec::new(),
    };
    let launch = Launch {
        command: &[c"true".to_owned()],
        payload: &payload,
        publisher: None,
        follow: Follow::None,
        on_host_clock: OnHostClock::Tell,
        notice: &|_| {},
        tell_addresses: false,
        farewell: &|| {},
        inheritance: Inheritance::capture(),
    };
    assert!(matches!(launch.run(), Err(Error::Threads)));
    drop(end);
    let _ = other.join();
}

#[test]
fn a_name_with_a_zero_byte_is_an_error() {
    let image = vdso_image::bytes(Source::Chain);
    for name in ["a\0b", &"x".repeat(300)] {
        let error = ImageFile::create(name, image).expect_err("no file has such a name");
        assert!(matches!(error, Error::System { errno: nix::errno::Errno::EINVAL, .. }), "{error}");
    }
}

/// Asks nobody where that is.
#[test]
fn room_in_the_kernels_vdso_is_zeros_in_its_last_page() {
    let host = vdso_host::Host::find().expect("/proc is mounted");
    let Some(padding) = vdso_inject::exec::find_padding() else { return };
    let padding = padding as usize;
    assert!(padding + 4096 > host.image.len());
    assert!(host.image[padding..].iter().all(|&byte| byte == 0));
}
