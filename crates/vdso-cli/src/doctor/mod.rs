//! `vdso doctor`: finds out whether clocks are on the fast path, and what keeps them off it.
//!
//! 1. [`Machine`] and [`read`] look at the machine and at one process, through `/proc` and `/sys`;
//!    [`command`] runs a program to be that process.
//! 2. [`measure`] counts and times calls in this command's own process.
//! 3. [`checks`] judges what came of both.
//! 4. [`mod@report`] and [`text`] show it.

mod args;
mod checks;
mod command;
mod functions;
mod measure;
mod numbers;
mod read;
mod report;
mod text;

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::path::Path;

use anstream::{AutoStream, StripStream};
use anyhow::{Context as _, Result};

pub use args::Doctor;
use checks::Context;
use command::{CommandFacts, Watched};
use measure::Measurements;
use read::process::Process;
use report::{MachineFacts, ProcessFacts, Report, SCHEMA_VERSION, Status};

use crate::exit::{self, Exit};
use crate::message::{self, printable_path};
use crate::system::Root;
use crate::system::machine::Machine;

/// Where the report goes to.
enum Out<'a> {
    Stream(Stdout),
    File(&'a Path, File),
}

/// Looks, measures, judges, and shows.
pub fn run(doctor: &Doctor) -> Result<Exit> {
    let failed = |path: &Path| format!("cannot write to {}", printable_path(path));
    // First, as a program may run for long before there is a report.
    let out = match doctor.output.as_deref() {
        Some(path) if !message::is_stdout(path)? => {
            Out::File(path, File::create(path).with_context(|| failed(path))?)
        }
        _ => Out::Stream(message::stdout()?),
    };
    let report = report(doctor)?;
    let found = if report.status == Status::Fail { Exit::Problem } else { Exit::Success };
    let written = match out {
        Out::Stream(stdout) => {
            write(doctor, &report, &mut AutoStream::auto(stdout).lock()).context(message::PRINT)
        }
        Out::File(path, file) => {
            write(doctor, &report, &mut StripStream::new(file)).with_context(|| failed(path))
        }
    };
    match written {
        // What was found is known, also to whom the beginning was enough.
        Err(error) if exit::is_broken_pipe(&error) => Ok(found),
        written => written.map(|()| found),
    }
}

fn report(doctor: &Doctor) -> Result<Report> {
    let root = Root::new(doctor.root.as_deref());
    let (process, command) = subject(doctor, &root)?;
    let machine = Machine::read(&root);
    let measurements = measurements(doctor, &root)?;
    let counts = command.as_ref().and_then(|command| command.system_calls.as_ref());
    let context =
        Context { machine: &machine, process: &process, measurements: &measurements, counts };
    let checks = checks::all(&context);
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        status: checks.iter().map(|check| check.status).max().unwrap_or(Status::Unknown),
        checks,
        machine: MachineFacts {
            architecture: machine.architecture,
            kernel_release: machine.release,
            cpu_model: machine.cpu.model,
            hypervisor: machine.hypervisor.map(|hypervisor| hypervisor.name().to_owned()),
        },
        process: ProcessFacts {
            pid: process.pid,
            name: process.name,
            executable: process.executable,
        },
        command,
        measurements,
    })
}

/// Who is looked at.
fn subject(doctor: &Doctor, root: &Root) -> Result<(Process, Option<CommandFacts>)> {
    if !doctor.command.is_empty() {
        let Watched { facts, process } = command::watch(&doctor.command, !doctor.no_count)?;
        return Ok((process, Some(facts)));
    }
    let process = doctor.pid.map_or("self".to_owned(), |pid| pid.to_string());
    Ok((Process::read(root, &process)?, None))
}

/// Of this process; of another machine, what was measured there.
fn measurements(doctor: &Doctor, root: &Root) -> Result<Measurements> {
    if doctor.root.is_none() {
        return Ok(measure::measure().unwrap_or_else(|reason| Measurements {
            method_reason: Some(reason),
            ..Measurements::default()
        }));
    }
    let path = root.path("measurements.json");
    match File::open(&path) {
        Ok(file) => serde_json::from_reader(file)
            .with_context(|| format!("cannot read {}", printable_path(path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Measurements::default()),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", printable_path(path))),
    }
}

fn write(doctor: &Doctor, report: &Report, out: &mut dyn Write) -> Result<()> {
    if doctor.json {
        serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        text::write(report, out)?;
    }
    out.flush()?;
    Ok(())
}
