//! `cargo xtask check-image`: proves that an image is what the project promises.
//!
//! A program that is handed the image has no way to refuse it, and each libc and runtime reads other
//! parts of it, so all of them are looked at here: as bytes (`vdso-elf`), as `object` sees them, and
//! as `gimli` sees the unwind tables and debug information. What is promised is written down in
//! [`checks::CHECKS`], one line a promise. What differs between architectures is in the table of
//! `vdso_data::architecture`.

mod checks;
mod file;
mod rebuild;
mod set;
mod subject;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use checks::{CHECKS, Check, Needs};
use set::Set;
use subject::Subject;
use vdso_data::architecture::Architecture;
use vdso_image::Source;

use crate::images;

/// Prove that the image is what the project promises.
#[derive(clap::Args)]
pub struct Args {
    /// Check the image for this source of time; may be repeated [default: all]
    #[arg(long, value_parser = parse_source)]
    source: Vec<Source>,
    /// Check the images for this architecture; may be repeated [default: all that can be built]
    #[arg(long, value_name = "NAME", value_parser = images::parse_architecture)]
    arch: Vec<&'static Architecture>,
    /// Check this file instead, which is for the architecture that --arch names [default: this machine's]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["source", "rebuild"])]
    file: Option<PathBuf>,
    /// The debug file of --file; without it, what needs one is skipped
    #[arg(long, value_name = "PATH", requires = "file")]
    debug_file: Option<PathBuf>,
    /// Build the images again, in another folder and, those of this machine's architecture, from each
    /// profile, and compare their bytes
    #[arg(long)]
    rebuild: bool,
}

/// Exits with 1 if a check fails.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut report = Report::default();
    if let Some(path) = &args.file {
        let bytes = read(path)?;
        let debug = args.debug_file.as_ref().map(read).transpose()?;
        let architecture = args.arch.first().copied().unwrap_or(vdso_image::ARCHITECTURE);
        let subject =
            Subject { architecture, bytes: &bytes, debug: debug.as_deref(), counts: false };
        check_subject(&path.display().to_string(), &subject, &mut report);
    } else {
        let sources = if args.source.is_empty() { Source::ALL.to_vec() } else { args.source };
        for architecture in images::chosen(args.arch) {
            match Set::of(architecture)? {
                Ok(set) => check_set(&set, &sources, args.rebuild, &mut report)?,
                Err(missing) => println!("skip {}: {missing}", architecture.name),
            }
        }
    }
    eprintln!("{} checks, {} failed", report.checks, report.failures);
    Ok(if report.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the images for one architecture.
fn check_set(set: &Set, sources: &[Source], rebuild: bool, report: &mut Report) -> Result<()> {
    for source in sources {
        check_subject(&set.name(*source), &set.subject(*source), report);
        // Those that count are built for this machine's programs alone.
        if set.architecture.name == vdso_image::ARCHITECTURE.name
            && let Some(bytes) = vdso_image::counting(*source)
        {
            let debug = vdso_image::counting_debug_file(*source);
            let subject = Subject { architecture: set.architecture, bytes, debug, counts: true };
            check_subject(&format!("{}, counting,", set.name(*source)), &subject, report);
        }
    }
    if rebuild {
        rebuild::run(set, sources, report)?;
    }
    Ok(())
}

/// Prints one line for each check.
#[derive(Default)]
struct Report {
    checks: usize,
    failures: usize,
}

impl Report {
    fn add(&mut self, image: &str, check: &str, remedy: &str, outcome: Result<()>) {
        self.checks += 1;
        match outcome {
            Ok(()) => println!("ok   {image} {check}"),
            Err(reason) => {
                self.failures += 1;
                println!("FAIL {image} {check}: {reason:#}; {remedy}");
            }
        }
    }
}

fn check_subject(name: &str, subject: &Subject<'_>, report: &mut Report) {
    for Check { name: check, needs, run, remedy } in CHECKS {
        if *needs == Needs::DebugFile && subject.debug.is_none() {
            println!("skip {name} {check}: there is no debug file; name one with --debug-file");
            continue;
        }
        report.add(name, check, remedy, run(subject));
    }
}

/// For an option that names a source.
pub fn parse_source(name: &str) -> Result<Source, String> {
    let source = Source::ALL.into_iter().find(|source| source.name() == name);
    source.ok_or_else(|| format!("the sources are {}", Source::ALL.map(Source::name).join(", ")))
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
