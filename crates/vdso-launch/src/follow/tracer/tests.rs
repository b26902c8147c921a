//! On x86-64 alone, as programs are given their image late there.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use vdso_image::Source;
use vdso_inject::ProgramFile;
use vdso_inject::exec::{Announce, Payload};

use super::*;
use crate::follow::{SharedInFlight, Tokens};

/// A program's end is told once, by whichever wait hears of it: here by one that waits for the next stop of a
/// program that is given its image late.
#[test]
fn the_end_of_a_program_that_is_killed_while_it_is_worked_on_is_passed_on() {
    let image = vdso_image::tailor(Source::Chain, &[]).bytes;
    let payload = Payload {
        file: ProgramFile::create("vdso-test", &image).expect("a file in memory"),
        template: vdso_data::process::Template::default(),
        padding: None,
        detours: vdso_inject::detour::Detours::default(),
        counts: None,
        companions: Vec::new(),
    };
    let notice = |notice: &Notice| panic!("{notice:?}");
    let settings = Settings {
        payload: &payload,
        notice: &notice,
        announce: Announce::No,
        on_host_clock: OnHostClock::Tell,
        tokens: Tokens::default(),
    };
    let in_flight = SharedInFlight::new().expect("memory");
    let mut tracer = Tracer::new(&settings, &in_flight);

    let mut cat = Command::new("cat");
    let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat");
    // Once it answers it is out of `execve`.
    child.stdin.as_mut().expect("a pipe").write_all(b"!").expect("it reads");
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it writes");
    let pid = Pid::from_raw(child.id() as i32);
    let thread = Seized::seize(pid).expect("it may be traced");
    thread.interrupt().expect("it lives");
    let Told::Stopped(thread) = thread.wait() else { panic!("it stops") };

    let mut kills = || kill(pid, Signal::SIGKILL).unwrap_or_default();
    let heard = tracer.repair(thread, Traced::new(Purpose::Repair), &mut kills);
    let Heard::OfChild { pid: of, status } = heard else { panic!("nobody hears of it") };
    assert_eq!((of, libc::WTERMSIG(status)), (pid, libc::SIGKILL));
    assert!(child.wait().is_err(), "it was heard of");
}
