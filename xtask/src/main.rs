//! The tasks of this repository's development, run by `cargo xtask <task>`.
//!
//! One module for each task; this file only hands over.

mod check_image;
mod debug_files;
mod dist;
mod faults;
mod fuzz;
mod images;
mod kernels;
mod licences;
mod loom;
mod miri;
mod no_std;
mod package;
mod random_test;
mod selftests;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of this repository's development.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    CheckImage(check_image::Args),
    DebugFiles(debug_files::Args),
    Dist(dist::Args),
    Faults(faults::Args),
    Fuzz(fuzz::Args),
    Images(images::Args),
    Kernels(kernels::Args),
    Loom(loom::Args),
    Ltp(selftests::ltp::Args),
    Miri(miri::Args),
    NoStd(no_std::Args),
    Package(package::Args),
    RandomTest(random_test::Args),
    Selftests(selftests::Args),
    Test(test::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().task {
        Task::CheckImage(args) => check_image::run(args),
        Task::DebugFiles(args) => debug_files::run(args),
        Task::Dist(args) => dist::run(&args),
        Task::Faults(args) => faults::run(&args),
        Task::Fuzz(args) => fuzz::run(args),
        Task::Images(args) => images::run(args),
        Task::Kernels(args) => kernels::run(&args),
        Task::Loom(args) => loom::run(args),
        Task::Ltp(args) => selftests::ltp::run(args),
        Task::Miri(args) => miri::run(args),
        Task::NoStd(args) => no_std::run(args),
        Task::Package(args) => package::run(&args),
        Task::RandomTest(args) => random_test::run(args),
        Task::Selftests(args) => selftests::run(args),
        Task::Test(args) => test::run(&args),
    }
}
