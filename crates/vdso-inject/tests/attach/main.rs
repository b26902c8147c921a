//! An image goes into programs that run, and out again, and they do not notice but by what the clocks say.

#![cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]

mod interrupted;
mod refused;
#[allow(dead_code, reason = "another test uses the rest")]
mod spin;
mod two;

use nix::unistd::Pid;
use spin::Spinning;
use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_data::counts::{Block, Counter};
use vdso_data::process::Template;
use vdso_data::sync::Ordering;
use vdso_host::Host;
use vdso_image::Source;
use vdso_inject::ProgramFile;
use vdso_inject::attach::{self, Payload};
use vdso_map::CountsFile;

/// How often an image goes in and out: `VDSO_ATTACH_CYCLES`, and a few times otherwise.
fn cycles() -> usize {
    std::env::var("VDSO_ATTACH_CYCLES").ok().and_then(|count| count.parse().ok()).unwrap_or(8)
}

/// An image by which REALTIME is ahead.
struct Image {
    file: ProgramFile,
    template: Template,
}

impl Image {
    fn of(source: Source) -> Self {
        let host = Host::find().expect("/proc is mounted");
        let file =
            ProgramFile::create("vdso-attached", &vdso_image::tailor(source, &host.image).bytes);
        let file = file.expect("a file in memory");
        vdso_host::initialise(file.page(), &spin::transforms());
        let mut template = host.template(&vdso_image::FORWARDED);
        if source == Source::Chain {
            (template.hres, template.raw) = (None, None);
        }
        Self { file, template }
    }

    /// All that can be used here.
    fn all() -> Vec<Self> {
        let knows_page = Host::find().expect("/proc is mounted").page.is_ok();
        let host = knows_page.then(|| Self::of(Source::Host));
        host.into_iter().chain([Self::of(Source::Chain)]).collect()
    }

    fn payload(&self) -> Payload<'_> {
        Payload { file: &self.file, template: &self.template, counts: None }
    }
}

/// Attaches an image to a program and takes it away, again and again: it leaves nothing, and is seen meanwhile.
#[track_caller]
fn cycle(others: &str) {
    for image in Image::all() {
        let mut program = Spinning::start(8, others);
        let (before, maps) = (program.vdso(), program.maps());
        for _ in 0..cycles() {
            let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
            program.reads_on();
            let seen = program.reads_on();
            assert!(seen.ahead > 0, "{others}: {seen:?}");
            attached.detach().expect("it is taken away");
            assert_eq!(program.vdso(), before, "{others}");
            assert_eq!(program.maps(), maps, "{others}");
        }
        let ahead = program.reads_on().ahead;
        // Each thread may have read before, and count that only now.
        let more = program.reads_on().ahead - ahead;
        assert!(more <= 8, "{others}: nothing is ahead any more, but {more}");
        program.ends_well();
    }
}

#[test]
fn threads_that_read_clocks_all_the_time_are_right_at_any_time() {
    cycle("");
}

/// No wait ends early, or with an error that its function does not have.
#[test]
fn whoever_sleeps_goes_on_sleeping() {
    cycle("s");
}

#[test]
fn signal_handlers_may_read_clocks_and_interrupt_reads() {
    cycle("g");
}

/// What was forked while the image was attached goes on with it, and loses it with its parent.
#[test]
fn forks_go_on() {
    cycle("f");
}

#[test]
fn a_process_that_sleeps_alone_is_made_to_work() {
    let image = Image::of(Source::Chain);
    let program = Spinning::start(0, "");
    let (before, maps) = (program.vdso(), program.maps());
    for _ in 0..cycles() {
        let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
        assert_ne!(program.vdso(), before);
        attached.detach().expect("it is taken away");
        assert_eq!((program.vdso(), program.maps()), (before.clone(), maps.clone()));
    }
    program.ends_well();
}

/// Each call of each thread while it is attached, and none afterwards.
#[test]
fn an_image_that_counts_does_so_until_it_is_taken_away() {
    let host = Host::find().expect("/proc is mounted");
    let tailored = vdso_image::tailor_counting(Source::Chain, &host.image).expect("there is one");
    let file = ProgramFile::create("vdso-attached", &tailored.bytes).expect("a file in memory");
    vdso_host::initialise(file.page(), &[Transform::IDENTITY; clock::LINES]);
    let counts = CountsFile::create("vdso-counts").expect("a file in memory");
    let template = Template { hres: None, raw: None, ..host.template(&vdso_image::FORWARDED) };
    let payload = Payload { file: &file, template: &template, counts: Some(&counts) };

    let mut program = Spinning::start(8, "");
    let (before, maps, files) = (program.vdso(), program.maps(), program.files());
    let attached = attach::attach(program.pid(), payload).expect("it is attached");
    let counted = || {
        let (blocks, more) = counts.taken();
        assert_eq!(more, 0);
        let of =
            |block: &Block| block.counts[Counter::Gettimeofday as usize].load(Ordering::Relaxed);
        blocks.iter().map(of).collect::<Vec<_>>()
    };
    while counted().iter().filter(|&&calls| calls > 100).count() < 8 {
        program.reads_on();
    }
    attached.detach().expect("it is taken away");
    let last = counted();
    program.reads_on();
    assert_eq!(counted(), last);
    assert_eq!((program.vdso(), program.maps(), program.files()), (before, maps, files));
    program.ends_well();
}

/// A job that is stopped stays so.
#[test]
fn a_stopped_job_is_not_continued() {
    let image = Image::of(Source::Chain);
    let mut program = Spinning::start(2, "");
    let before = program.vdso();
    program.signal(libc::SIGSTOP);
    program.waits_for_state('T');
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    program.waits_for_state('T');
    program.signal(libc::SIGCONT);
    program.reads_on();
    assert!(program.reads_on().ahead > 0);
    program.signal(libc::SIGSTOP);
    program.waits_for_state('T');
    // Its threads may have been stopped in the image, and have to go on before that goes.
    let detached = attached.detach();
    program.signal(libc::SIGCONT);
    match detached {
        Ok(_) => {}
        Err(vdso_inject::Error::Busy { .. }) => {
            attach::detach(program.pid()).map(drop).expect("it goes on");
        }
        Err(error) => panic!("{error}"),
    }
    assert_eq!(program.vdso(), before);
    program.ends_well();
}

/// Whoever has attached an image may go: it stays, and anybody can take it away.
#[test]
fn an_image_outlives_whoever_has_attached_it() {
    let image = Image::of(Source::Chain);
    let mut program = Spinning::start(2, "");
    let (pid, before) = (program.pid(), program.vdso());
    let is_left = |pid: Pid| {
        attach::left_behind().expect("there is a folder").iter().any(|left| left.pid == pid)
    };
    drop(attach::attach(pid, image.payload()).expect("it is attached"));
    program.reads_on();
    assert!(program.reads_on().ahead > 0);
    assert!(is_left(pid));
    // Whoever attaches another one takes the first away.
    let other = Image::of(Source::Chain);
    let attached = attach::attach(pid, other.payload()).expect("it is attached");
    assert!(!is_left(pid), "somebody holds it");
    drop(attached);
    attach::detach(pid).map(drop).expect("it is taken away");
    assert_eq!(program.vdso(), before);
    assert!(!is_left(pid));
    program.ends_well();
}

/// One that ended is no reason to keep anything.
#[test]
fn a_program_that_ends_leaves_nothing_to_be_taken_away() {
    let image = Image::of(Source::Chain);
    let program = Spinning::start(2, "");
    let pid = program.pid();
    let attached = attach::attach(pid, image.payload()).expect("it is attached");
    drop(program);
    attached.detach().map(drop).expect("there is nothing to be done");
    assert!(matches!(attach::detach(pid), Err(vdso_inject::Error::NotAttached { .. })));
}
