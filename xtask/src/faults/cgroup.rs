//! A cgroup of ours, to freeze processes with: `Documentation/admin-guide/cgroup-v2.rst`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::unistd::Pid;

/// See the module. Thawed and removed when dropped; whoever is in it must have ended by then.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    parent: PathBuf,
}

impl Cgroup {
    /// Makes one below that of this process, or says why that is not possible here.
    pub fn new() -> Result<Self> {
        let parent = own_cgroup()?;
        let path = parent.join(format!("vdso-faults-{}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("cannot make a cgroup in {}", parent.display()))?;
        let cgroup = Self { path, parent };
        cgroup.write("cgroup.freeze", "0").context("the cgroup has no freezer")?;
        Ok(cgroup)
    }

    /// To be born in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it, and all others out of it.
    pub fn has_only(&self, pid: Pid) -> Result<()> {
        let members = fs::read_to_string(self.path.join("cgroup.procs"))?;
        let pid = pid.to_string();
        for other in members.lines().filter(|&member| member != pid) {
            // It may have ended.
            let _ = fs::write(self.parent.join("cgroup.procs"), other);
        }
        if members.lines().all(|member| member != pid) {
            let _ = fs::write(self.path.join("cgroup.procs"), pid);
        }
        Ok(())
    }

    /// Stops all that are in it.
    pub fn freeze(&self) -> Result<()> {
        self.write("cgroup.freeze", "1")
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.write("cgroup.freeze", "0")
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.path.join(file), text)?)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.thaw();
        // A process that has ended leaves it a moment later.
        let start = Instant::now();
        while fs::remove_dir(&self.path).is_err() && start.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The folder of this process's cgroup in the hierarchy of version 2.
fn own_cgroup() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let folder = fields.next()?;
        (fields.next()? == "cgroup2").then_some(folder)
    });
    let Some(mount) = mount else { bail!("no cgroup file system of version 2 is mounted") };
    let cgroups = fs::read_to_string("/proc/self/cgroup")?;
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::/"));
    Ok(Path::new(mount).join(own.context("this process has no cgroup of version 2")?))
}
