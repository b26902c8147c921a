//! What all launches share: the command and the programs, in a folder that every user can look into.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use test_support::Program;

use super::input::Inputs;
use super::processes::COMMAND;
use super::random::Random;

/// See the module.
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    vdso: PathBuf,
    user: Option<u32>,
    source: Option<String>,
    /// The dynamic program that starts programs.
    pub storm: PathBuf,
    /// The static one.
    pub static_storm: PathBuf,
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
        let storm = copy(&folder, &build(Program::ExecStorm)?, "exec-storm")?;
        let static_storm = copy(&folder, &build(Program::ExecStormStatic)?, "exec-storm-static")?;
        let vdso = copy(&folder, vdso, COMMAND)?;
        let inputs = Inputs::write(folder.path(), random)?;
        Ok(Self { folder, vdso, user, source, storm, static_storm, inputs })
    }

    /// Has this program started instead of ours.
    pub fn start_only(&mut self, program: &Path) -> Result<()> {
        self.storm = copy(&self.folder, program, "exec-storm-given")?;
        self.static_storm.clone_from(&self.storm);
        Ok(())
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

fn build(program: Program) -> Result<PathBuf> {
    match test_support::build(program) {
        Ok(path) => Ok(path),
        Err(skip) => bail!("cannot build what starts programs: {skip:?}"),
    }
}

/// By cp(1): what this process has open for writing cannot be executed.
fn copy(folder: &TempDir, file: &Path, name: &str) -> Result<PathBuf> {
    let copy = folder.path().join(name);
    let mut cp = Command::new("cp");
    let status = cp.arg(file).arg(&copy).status().context("cannot run cp")?;
    ensure!(status.success(), "cannot copy {}", file.display());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    Ok(copy)
}
