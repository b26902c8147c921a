//! `cargo xtask images`: the images for other architectures than this machine's.

use std::process::ExitCode;

use anyhow::Result;
use vdso_data::architecture::{ALL, Architecture};
use xtask_build::images::{Images, built};

/// Build the images for other architectures
#[derive(clap::Args)]
pub struct Args {
    /// Build those for this architecture; may be repeated [default: all]
    #[arg(long, value_name = "NAME", value_parser = parse_architecture)]
    arch: Vec<&'static Architecture>,
}

/// Prints the folder of each architecture's images.
pub fn run(args: Args) -> Result<ExitCode> {
    for architecture in chosen(args.arch) {
        match built(architecture)? {
            Images::In(folder) => println!("{} {}", architecture.name, folder.display()),
            Images::Missing(reason) => eprintln!("skip {}: {reason}", architecture.name),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The architectures that an option has chosen: all of them by default.
pub fn chosen(chosen: Vec<&'static Architecture>) -> Vec<&'static Architecture> {
    if chosen.is_empty() { ALL.to_vec() } else { chosen }
}

/// For an option that names an architecture.
pub fn parse_architecture(name: &str) -> Result<&'static Architecture, String> {
    Architecture::named(name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|row| row.name).collect();
        format!("there are images for {}", names.join(", "))
    })
}
