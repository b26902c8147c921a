//! What all launches share: the command and the programs, in a folder that every user can look into.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use test_support::{Lacking, Program, skip};

use super::input::Inputs;
use super::processes::COMMAND;
use super::random::Random;
use super::records::{OFFSET, Records};

/// See the module.
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    vdso: PathBuf,
    user: Option<u32>,
    source: Option<String>,
    /// Builds of the program that starts programs, each of which is given a clock.
    pub programs: Vec<PathBuf>,
    /// What they have on standard input.
    pub inputs: Inputs,
}

impl Setup {
    /// Copies everything to where it is to be.
    pub fn new(
        vdso: &Path,
        user: Option<u32>,
        source: Option<String>,
        random: &mut Random,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("vdso-faults-").tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let vdso = copy(&folder, vdso, COMMAND)?;
        let inputs = Inputs::write(folder.path(), random)?;
        Ok(Self { folder, vdso, user, source, programs: Vec::new(), inputs })
    }

    /// Adds a program of somebody's.
    pub fn add_given(&mut self, program: &Path) -> Result<()> {
        self.programs.push(copy(&self.folder, program, "exec-storm-given")?);
        Ok(())
    }

    /// Adds all builds of ours that this machine makes and runs, and that vdso gives a clock to; the others
    /// are skipped by name.
    pub fn add_ours(&mut self) -> Result<()> {
        for program in PROGRAMS {
            let file = match test_support::build(program) {
                Ok(file) => file,
                Err(skip) => {
                    skip.report();
                    continue;
                }
            };
            let copy = copy(&self.folder, &file, program.name())?;
            match self.objection(&copy)? {
                None => self.programs.push(copy),
                Some(said) => skip(Lacking::Toolchain, &format!("faults of {program:?}"), &said),
            }
        }
        ensure!(!self.programs.is_empty(), "there is nothing to start");
        Ok(())
    }

    /// What vdso says where a program of such a kind has no clock, even undisturbed.
    fn objection(&self, program: &Path) -> Result<Option<String>> {
        let mut command = self.vdso_run();
        command.args(["--offset", OFFSET, "--", "sh", "-c", r#""$0"; exit $?"#]).arg(program);
        let output = command.output().context("cannot run the command")?;
        let [said, errors] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let records = Records::of(&said, &errors);
        let has_clock = records.programs == 1 && records.wrong_clocks == 0;
        Ok((!has_clock).then(|| errors.lines().next().unwrap_or("it says nothing").to_owned()))
    }

    /// Where a launch writes to.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `vdso run`, by the user and with the source of time that were asked for.
    pub fn vdso_run(&self) -> Command {
        let mut command = Command::new(&self.vdso);
        command.arg("run").current_dir(self.folder());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        if let Some(source) = &self.source {
            command.args(["--source", source]);
        }
        command
    }
}

const PROGRAMS: [Program; 4] =
    [Program::ExecStormStatic, Program::ExecStorm, Program::ExecStormI386, Program::ExecStormX32];

/// By cp(1): what this process has open for writing cannot be executed.
fn copy(folder: &TempDir, file: &Path, name: &str) -> Result<PathBuf> {
    let copy = folder.path().join(name);
    let mut cp = Command::new("cp");
    let status = cp.arg(file).arg(&copy).status().context("cannot run cp")?;
    ensure!(status.success(), "cannot copy {}", file.display());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    Ok(copy)
}
