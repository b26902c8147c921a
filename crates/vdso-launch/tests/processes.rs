//! What a launch asks of the process that launches.

#![cfg(target_arch = "x86_64")]

use std::sync::mpsc::channel;

use vdso_data::process::Template;
use vdso_image::Source;
use vdso_inject::exec::Payload;
use vdso_inject::{Error, ProgramFile};
use vdso_launch::{Caller, Follow, Inheritance, Launch, OnHostClock, Streams};

/// A lock that another thread holds would be held in the forked supervisor for ever.
#[test]
fn a_process_with_other_threads_does_not_launch() {
    let (end, ended) = channel::<()>();
    let other = std::thread::spawn(move || ended.recv());
    let image = vdso_image::bytes(Source::Chain);
    let payload = Payload {
        file: ProgramFile::create("launch", image).expect("an image has a file"),
        template: Template::default(),
        padding: None,
        detours: vdso_inject::detour::Detours::default(),
        counts: None,
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
        streams: &Streams::inherited(),
        executed: &|_| {},
        caller: Caller::None,
    };
    assert!(matches!(launch.run(), Err(Error::Threads)));
    drop(end);
    let _ = other.join();
}
