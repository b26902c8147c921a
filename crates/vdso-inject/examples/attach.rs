//! A running program is given a clock of its own, so many seconds ahead of the host's, until ^C.
//!
//! ```console
//! $ attach PID 86400
//! process 4711 is 86400 s ahead: stood still for 0.8 ms; ^C puts it back
//! ^C
//! process 4711 is as it was: stood still for 0.5 ms
//! ```
//!
//! If this is killed in the middle, `attach PID` takes away what it has left behind. Linux on x86-64; it must be allowed to
//! trace the program (`/proc/sys/kernel/yama/ptrace_scope`).

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::clock;
use vdso_host::Host;
use vdso_image::Source;
use vdso_inject::ProgramFile;
use vdso_inject::attach::{self, Payload};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attach: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid = Pid::from_raw(arguments.next().ok_or("usage: attach PID [SECONDS]")?.parse()?);
    let Some(ahead) = arguments.next() else {
        let still = attach::detach(pid)?;
        println!("process {pid} is as it was: stood still for {}", in_ms(still.longest));
        return Ok(());
    };
    let mut end = SigSet::empty();
    end.add(Signal::SIGINT);
    end.add(Signal::SIGTERM);
    end.thread_block()?;

    let host = Host::find()?;
    // The kernel's page where that is known, else a system call for each read.
    let source = if host.page.is_ok() { Source::Host } else { Source::Chain };
    let tailored = vdso_image::tailor(source, &host.image);
    let file = ProgramFile::create("vdso-attached", &tailored.bytes)?;
    let mut clocks = [Transform::IDENTITY; clock::LINES];
    let offset = Timespec { sec: ahead.parse()?, nsec: 0 };
    for id in [clock::REALTIME, clock::REALTIME_COARSE] {
        clocks[id as usize].offset = offset;
    }
    vdso_host::initialise(file.page(), &clocks);
    let template = host.template(&vdso_image::FORWARDED);

    let attached = attach::attach(pid, Payload { file: &file, template: &template, counts: None })?;
    let still = in_ms(attached.halt().longest);
    println!("process {pid} is {ahead} s ahead: stood still for {still}; ^C puts it back");
    end.wait()?;
    let still = attached.detach()?;
    println!("process {pid} is as it was: stood still for {}", in_ms(still.longest));
    Ok(())
}

fn in_ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
