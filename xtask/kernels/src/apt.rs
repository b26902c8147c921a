//! Debian's archives, looked at apart from the system's own packages.
//!
//! The mirror is the one that the system's sources name. Everything else is private: the lists of one
//! suite and one architecture each are below the cache folder, and neither the system's lists nor its
//! packages are touched. `apt-get` verifies the suite's signature by Debian's keyring, and what it
//! downloads by the lists. Source: apt-get(8), apt.conf(5).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// The keys of Debian's suites, past and coming. Source: package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Some suites, as one architecture has them.
pub struct Apt {
    folder: PathBuf,
    arch: String,
}

impl Apt {
    /// Lists of `suites` for `arch`, which are fetched if those there are old, or if `renew`.
    pub fn new(folder: &Path, arch: &str, suites: &[&str], renew: bool) -> Result<Self> {
        let folder = folder.join(format!("{arch}-{}", suites.join("+")));
        let apt = Self { folder, arch: arch.to_owned() };
        for folder in ["lists/partial", "cache/archives/partial", "state"] {
            fs::create_dir_all(apt.folder.join(folder))
                .with_context(|| format!("cannot make {}", apt.folder.display()))?;
        }
        apt.write_configuration()?;
        let mark = apt.folder.join("complete");
        if renew || !is_recent(&mark) {
            apt.write_sources(suites)?;
            fs::write(apt.folder.join("state/status"), "")?;
            eprintln!("fetching the lists of {} for {arch}", suites.join(", "));
            run(apt.command("apt-get").args(["--error-on=any", "update"]))?;
            fs::write(mark, "")?;
        }
        Ok(apt)
    }

    fn write_sources(&self, suites: &[&str]) -> Result<()> {
        let mirror = mirror()?;
        let keys = if Path::new(KEYRING).exists() {
            format!(" [signed-by={KEYRING}]")
        } else {
            String::new()
        };
        let lines = suites.iter().map(|suite| format!("deb{keys} {mirror} {suite} main\n"));
        fs::write(self.folder.join("sources.list"), lines.collect::<String>())?;
        Ok(())
    }

    /// What apt reads after the system's configuration, which may tell it how to reach the mirror.
    fn write_configuration(&self) -> Result<()> {
        let Self { folder, arch } = self;
        let folder = folder.display();
        let text = format!(
            "Dir::Etc::SourceList \"{folder}/sources.list\";\n\
             Dir::Etc::SourceParts \"/dev/null\";\n\
             Dir::State \"{folder}/state\";\n\
             Dir::State::Lists \"{folder}/lists\";\n\
             Dir::State::Status \"{folder}/state/status\";\n\
             Dir::Cache \"{folder}/cache\";\n\
             APT::Architecture \"{arch}\";\n\
             #clear APT::Architectures;\n\
             APT::Architectures {{ \"{arch}\"; }};\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             // Its own user could not write below another user's folders.\n\
             APT::Sandbox::User \"root\";\n\
             // The system's hooks are about its own packages.\n\
             #clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             #clear DPkg::Pre-Install-Pkgs;\n\
             #clear DPkg::Post-Invoke;\n"
        );
        fs::write(self.configuration(), text).context("cannot write apt's configuration")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("apt.conf")
    }

    /// A command of apt's that looks at these lists alone.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.configuration()).arg("-qq").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Makes apt see the system's packages as installed.
    pub fn see_installed_packages(&self) -> Result<()> {
        let system = "/var/lib/dpkg/status";
        fs::copy(system, self.folder.join("state/status"))
            .with_context(|| format!("cannot copy {system}"))?;
        Ok(())
    }

    /// All packages whose names begin so.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let output = run(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// Downloads a package into a folder that is empty.
    pub fn download(&self, package: &str, folder: &Path) -> Result<PathBuf> {
        eprintln!("fetching {package}");
        run(self.command("apt-get").args(["download", package]).current_dir(folder))?;
        let mut packages = debs(folder)?;
        ensure!(packages.len() == 1, "apt-get download {package} left {} packages", packages.len());
        Ok(packages.remove(0))
    }

    /// Downloads packages and what they need beyond the system's own.
    pub fn download_missing(&self, release: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
        eprintln!("fetching {} and what it needs", packages.join(" "));
        let mut command = self.command("apt-get");
        command.args(["--target-release", release, "--download-only", "--yes"]);
        run(command.args(["--no-install-recommends", "install"]).args(packages))?;
        debs(&self.folder.join("cache/archives"))
    }
}

/// Whether a file was written within a day: archives don't keep what they have replaced.
fn is_recent(file: &Path) -> bool {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let age = || file.metadata().ok()?.modified().ok()?.elapsed().ok();
    age().is_some_and(|age| age < DAY)
}

fn debs(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    Ok(entries.into_iter().map(|entry| entry.path()).filter(is_package).collect())
}

/// Debian's mirror in the system's sources.
fn mirror() -> Result<String> {
    let format = "$(COMPONENT) $(RELEASE) $(SITE)";
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let output = run(&mut command)?;
    let codename = codename()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let site = site(&text, &codename).with_context(|| {
        format!("no source of apt's is that of {codename}: see /etc/apt/sources.list.d")
    })?;
    Ok(site.to_owned())
}

/// The site of a suite's main component.
fn site<'a>(targets: &'a str, suite: &str) -> Option<&'a str> {
    let mut rows = targets.lines().map(|line| line.splitn(3, ' '));
    rows.find_map(|mut row| {
        let is_it = row.next() == Some("main") && row.next() == Some(suite);
        is_it.then(|| row.next()).flatten()
    })
}

/// The name of this Debian release.
pub fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let field = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_matches('"').to_owned())
    };
    ensure!(field("ID=").as_deref() == Some("debian"), "this system is not Debian");
    field("VERSION_CODENAME=").context("/etc/os-release has no VERSION_CODENAME")
}

/// Runs a command of apt's to its end.
pub fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // The hints about mirrors come after what is wrong.
        let said = said.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or(said.trim());
        bail!("{name} failed: {said}");
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_release_itself() {
        let targets = "main bookworm-updates http://one/debian\n\
                       contrib bookworm http://two/debian\n\
                       main bookworm http://three/debian\n";
        assert_eq!(site(targets, "bookworm"), Some("http://three/debian"));
        assert_eq!(site(targets, "trixie"), None);
    }
}
