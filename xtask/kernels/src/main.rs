//! `cargo xtask kernels`: boots Debian's kernels of many architectures under qemu, with a program of
//! ours as the first, and collects what that finds.
//!
//! A boot goes through these modules in turn:
//!
//! 1. [`matrix`]: the machines and the kernels;
//! 2. [`apt`], [`package`], [`emulator`], [`libraries`]: what is fetched of Debian, into [`cache`];
//! 3. [`program`]: builds `test-programs/kernel-init` for the machine;
//! 4. [`initramfs`], [`boot`]: boots it, for a limited time;
//! 5. [`console`]: what it said; [`images`]: against what was kept of such a kernel;
//! 6. [`table`]: all of it, for a person.
//!
//! Where programs can be given clocks, the command `vdso` is tried as well, in boots of its own:
//! [`command`].

mod apt;
mod boot;
mod cache;
mod command;
mod console;
mod emulator;
mod images;
mod initramfs;
mod libraries;
mod matrix;
mod package;
mod program;
mod table;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::env;
use std::iter;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use boot::Boot;
use cache::Cache;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use command::capture;
use emulator::Emulator;
use matrix::{AMD64_PARAMETERS, KERNELS, Kernel, MACHINES, Machine};
use package::Fetched;
use program::Builder;
use table::{Missing, Table};
use test_support::{Lacking, skip};
use vdso_data::architecture::ALL;
use vdso_image::Source;

use xtask_build::images::{Images, built};

/// Boot Debian's kernels of many architectures, and check the client on each
#[derive(Parser)]
#[command(name = "cargo xtask kernels", bin_name = "cargo xtask kernels")]
struct Args {
    /// Only this architecture, as Debian calls it; may be repeated
    #[arg(long, value_name = "NAME", value_parser = architectures())]
    arch: Vec<String>,
    /// Only kernels of this version, such as 6.12; may be repeated
    #[arg(long, value_name = "VERSION", value_parser = versions())]
    kernel: Vec<String>,
    /// Only with this parameter of the kernel's, such as vsyscall=none; may be repeated
    #[arg(long, value_name = "PARAMETER", value_parser = PossibleValuesParser::new(AMD64_PARAMETERS))]
    parameter: Vec<String>,
    /// One kernel of each architecture
    #[arg(long)]
    quick: bool,
    /// Only try the command vdso, which is done without --quick, too
    #[arg(long)]
    command: bool,
    /// Only capture the data pages of amd64's and arm64's kernels, as files in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    capture: Option<PathBuf>,
    /// List what would be booted
    #[arg(long)]
    list: bool,
    /// Print every check, not only what is not as it should be
    #[arg(long, short)]
    verbose: bool,
    /// Look for newer kernels and emulators than those fetched before
    #[arg(long)]
    renew: bool,
    /// Where to keep what is fetched [default: $VDSO_KERNELS, or vdso/kernels in the user's cache]
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
}

fn architectures() -> PossibleValuesParser {
    MACHINES.iter().map(|machine| machine.arch).collect::<Vec<_>>().into()
}

fn versions() -> PossibleValuesParser {
    let all: BTreeSet<&str> = KERNELS.iter().map(|kernel| kernel.series).collect();
    all.into_iter().collect::<Vec<_>>().into()
}

/// Exits with 1 if a check fails or nothing was booted; what is lacking is a named skip.
fn main() -> Result<ExitCode> {
    let args = &Args::parse();
    let kernels = chosen(args)?;
    if args.list {
        for (kernel, parameter) in &kernels {
            let Kernel { arch, series, suite, .. } = kernel;
            let line = format!("{arch:9} {series:7} {suite:19} {}", parameter.unwrap_or_default());
            println!("{}", line.trim_end());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut workshop = Workshop::new(args)?;
    let mut table = Table::new(args.verbose);
    for (kernel, parameter) in kernels {
        if args.capture.is_some() {
            if capture::is_captured(kernel) && parameter.is_none() {
                workshop.boot_command(kernel, Some(capture::CAPTURE), &mut table)?;
            }
            continue;
        }
        if !args.command {
            workshop.boot(kernel, parameter, &mut table)?;
        }
        if (args.command || !args.quick) && command::is_tried(kernel, parameter) {
            workshop.boot_command(kernel, parameter, &mut table)?;
        }
    }
    Ok(table.close())
}

/// The kernels that were asked for, each with every parameter that it is booted with.
fn chosen(args: &Args) -> Result<Vec<(&'static Kernel, Option<&'static str>)>> {
    let is_among =
        |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
    let mut chosen = Vec::new();
    for kernel in KERNELS {
        if !is_among(&args.arch, kernel.arch)
            || !is_among(&args.kernel, kernel.series)
            || args.quick && !kernel.is_quick
        {
            continue;
        }
        if args.parameter.is_empty() {
            chosen.push((kernel, None));
        }
        if kernel.arch == "amd64" && !args.quick {
            let parameters = AMD64_PARAMETERS.iter().filter(|it| is_among(&args.parameter, it));
            chosen.extend(parameters.map(|parameter| (kernel, Some(*parameter))));
        }
    }
    if chosen.is_empty() {
        bail!("no such kernel: cargo xtask kernels --list tells what there is");
    }
    Ok(chosen)
}

/// What is needed for more than one boot.
struct Workshop<'a> {
    args: &'a Args,
    cache: Cache,
    builder: Builder,
    /// Real images of other kernels.
    images: Option<PathBuf>,
    /// By target; or why it cannot be built.
    programs: HashMap<&'static str, Result<PathBuf, Missing>>,
    /// By architecture; or why there is none.
    emulators: HashMap<&'static str, Result<Emulator, String>>,
    /// Kernels for which newer ones have been looked for.
    renewed: HashSet<(&'static str, &'static str)>,
}

impl<'a> Workshop<'a> {
    fn new(args: &'a Args) -> Result<Self> {
        let cache = Cache::open(args.cache.as_deref())?;
        let builder = Builder::new()?;
        let images = env::var_os("VDSO_IMAGES").map(PathBuf::from);
        if images.is_none() {
            let reason = "VDSO_IMAGES names no folder of real vDSO images";
            skip(Lacking::Images, "kernels against images that were kept", reason);
        }
        let (programs, emulators) = (HashMap::new(), HashMap::new());
        let renewed = HashSet::new();
        Ok(Self { args, cache, builder, images, programs, emulators, renewed })
    }

    fn boot(
        &mut self,
        kernel: &'static Kernel,
        parameter: Option<&'static str>,
        table: &mut Table,
    ) -> Result<()> {
        let name = format!("kernel {} {}", kernel.arch, kernel.series);
        let machine = matrix::machine(kernel.arch).expect("a test sees to it");
        let programs = match self.programs(machine, table)? {
            Ok(programs) => programs,
            Err(Missing::Lacking(reason)) => {
                skip(Lacking::Toolchain, &name, &reason);
                return Ok(());
            }
            Err(Missing::Broken(error)) => {
                table.fail(kernel.arch, &name, &error);
                return Ok(());
            }
        };
        let mut files = self.images(machine, table);
        let companions =
            machine.companions.iter().map(|companion| (companion.abi, companion.target));
        for (abi, target) in iter::once((machine.arch, machine.target)).chain(companions) {
            match self.libraries(kernel, abi, target) {
                Ok(libraries) => files.extend(libraries),
                Err(missing) => table.miss(kernel.arch, &format!("dlopen of {abi}"), &missing),
            }
        }
        let Some((fetched, emulator)) = self.equipment(&name, kernel) else {
            return Ok(());
        };
        let boot = Boot {
            machine: &kernel.machine(),
            emulator: &emulator,
            kernel: &fetched,
            parameter,
            programs: &programs,
            files: &files,
        };
        let temporary = tempfile::tempdir()?;
        let mut outcome = boot.run(temporary.path())?;
        if let Some(folder) = &self.images {
            let more = images::compare(folder, kernel.arch, &fetched.release, &outcome.checks);
            outcome.checks.extend(more);
        }
        table.add(kernel.arch, &fetched.release, parameter, &outcome);
        Ok(())
    }

    /// Boots a kernel with the command, or to capture its data page.
    fn boot_command(
        &mut self,
        kernel: &'static Kernel,
        parameter: Option<&'static str>,
        table: &mut Table,
    ) -> Result<()> {
        let name = format!("command on {} {}", kernel.arch, kernel.series);
        let usual = matrix::machine(kernel.arch).expect("a test sees to it");
        if let Some(reason) = self.builder.lacks(usual.target)? {
            skip(Lacking::Toolchain, &name, &reason);
            return Ok(());
        }
        let machine = command::machine(&kernel.machine());
        let programs =
            match command::programs(&self.cache, &self.builder, kernel, &machine, parameter) {
                Ok(Ok(programs)) => programs,
                Ok(Err(reason)) => {
                    skip(Lacking::Tool, &name, &reason);
                    return Ok(());
                }
                Err(error) => {
                    table.fail(kernel.arch, &name, &format!("{error:#}"));
                    return Ok(());
                }
            };
        let Some((fetched, emulator)) = self.equipment(&name, kernel) else {
            return Ok(());
        };
        let boot = Boot {
            machine: &machine,
            emulator: &emulator,
            kernel: &fetched,
            parameter,
            programs: &programs,
            files: &[],
        };
        let temporary = tempfile::tempdir()?;
        let outcome = boot.run(temporary.path())?;
        table.add(kernel.arch, &fetched.release, parameter, &outcome);
        if let Some(folder) = &self.args.capture {
            capture::keep(&outcome.checks, kernel, folder)?;
        }
        Ok(())
    }

    /// A kernel, and an emulator for it; none, and a skip, if one cannot be had.
    fn equipment(&mut self, name: &str, kernel: &'static Kernel) -> Option<(Fetched, Emulator)> {
        // Once for each kernel.
        let renew = self.args.renew && self.renewed.insert((kernel.arch, kernel.series));
        let fetched = match package::fetch(&self.cache, kernel, renew) {
            Ok(fetched) => fetched,
            Err(error) => {
                skip(Lacking::Tool, name, &format!("{error:#}"));
                return None;
            }
        };
        match self.emulator(matrix::machine(kernel.arch).expect("a test sees to it")) {
            Ok(emulator) => Some((fetched, emulator)),
            Err(reason) => {
                skip(Lacking::Tool, name, &reason);
                None
            }
        }
    }

    fn emulator(&mut self, machine: &'static Machine) -> Result<Emulator, String> {
        let (cache, renew) = (&self.cache, self.args.renew);
        let find = || Emulator::find(cache, machine, renew).map_err(|error| format!("{error:#}"));
        self.emulators.entry(machine.arch).or_insert_with(find).clone()
    }

    /// The programs of a boot, by their names there; or what is lacking for the first of them.
    fn programs(
        &mut self,
        machine: &'static Machine,
        table: &mut Table,
    ) -> Result<Result<Vec<(&'static str, PathBuf)>, Missing>> {
        let mut programs = Vec::new();
        match self.program(machine.target)? {
            Ok(path) => programs.push(("init", path)),
            Err(missing) => return Ok(Err(missing)),
        }
        for companion in machine.companions {
            match self.program(companion.target)? {
                Ok(path) => programs.push((companion.abi, path)),
                Err(missing) => table.miss(machine.arch, companion.abi, &missing),
            }
        }
        Ok(Ok(programs))
    }

    /// The C libraries of an ABI, and the program that has them load an image; nothing where there is no
    /// image.
    fn libraries(
        &self,
        kernel: &Kernel,
        abi: &'static str,
        target: &'static str,
    ) -> Result<Vec<(String, PathBuf)>, Missing> {
        let Some(architecture) = ALL.iter().find(|row| row.target == target) else {
            return Ok(Vec::new());
        };
        let mut files = libraries::fetch(&self.cache, kernel, abi)
            .map_err(|error| Missing::Lacking(format!("{error:#}")))?;
        let libc = files.iter().find(|(name, _)| *name == libraries::GLIBC);
        let libc = libc.map(|(_, path)| path.clone()).unwrap_or_default();
        let dlopen = self.builder.build_dlopen(target, &libc);
        files.push(("dlopen", dlopen.map_err(|error| Missing::Broken(format!("{error:#}")))?));
        let named = |(name, path)| (format!("{}-{name}", architecture.name), path);
        Ok(files.into_iter().map(named).collect())
    }

    /// The images of vdso-image for the ABIs of a boot, as the program looks for them.
    fn images(&mut self, machine: &'static Machine, table: &mut Table) -> Vec<(String, PathBuf)> {
        let companions = machine.companions.iter().map(|companion| companion.target);
        let mut files = Vec::new();
        for target in iter::once(machine.target).chain(companions) {
            let Some(architecture) = ALL.iter().find(|row| row.target == target) else { continue };
            match built(architecture) {
                Ok(Images::In(folder)) => files.extend(Source::ALL.map(|source| {
                    let file = format!("{}.so", source.name());
                    (format!("{}-{file}", architecture.name), folder.join(file))
                })),
                Ok(Images::Missing(reason)) => table.skip(machine.arch, architecture.name, &reason),
                Err(error) => {
                    let name = format!("the image for {}", architecture.name);
                    table.fail(machine.arch, &name, &format!("{error:#}"));
                }
            }
        }
        files
    }

    fn program(&mut self, target: &'static str) -> Result<Result<PathBuf, Missing>> {
        if !self.programs.contains_key(target) {
            let built = match self.builder.lacks(target)? {
                Some(reason) => Err(Missing::Lacking(reason)),
                None => {
                    let built = self.builder.build(target);
                    built.map_err(|error| Missing::Broken(format!("{error:#}")))
                }
            };
            self.programs.insert(target, built);
        }
        Ok(self.programs[target].clone())
    }
}
