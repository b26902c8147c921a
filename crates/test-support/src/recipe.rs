//! How each test program is built: the sources, and the commands that make an executable of them.
//!
//! Nothing here runs a compiler, except to ask whether it can make 32-bit programs; `build` does.

use crate::{Lacking, Program, Skip};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One command.
pub(crate) struct Step {
    pub(crate) tool: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Where the command runs.
    pub(crate) folder: PathBuf,
}

/// Sources and the steps from them to the artefact. All paths are absolute.
pub(crate) struct Recipe {
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) steps: Vec<Step>,
    pub(crate) artefact: PathBuf,
}

/// For all builds of clocks.c. A call in tail position must stay a call, or `main` would be missing
/// from the backtraces that its `signals` mode takes.
const C_FLAGS: &[&str] =
    &["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-pthread", "-fno-optimize-sibling-calls"];

/// How C programs read the host's clocks.
const HOST_CLOCK: &str = "host_clock.h";

/// For 32-bit x86 programs. The kernel's headers are where they are for 64-bit ones: the link to them
/// in `/usr/include` is in Debian's gcc-multilib, which no cross compiler can be installed beside.
pub const I386: [&str; 3] = ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"];

/// The same for x32 programs.
pub const X32: [&str; 3] = ["-mx32", I386[1], I386[2]];

/// 64-bit time for a 32-bit program, and no note about an alignment that GCC 11 changed.
const I386_FLAGS: &[&str] =
    &[I386[0], I386[1], I386[2], "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64", "-Wno-psabi"];

const SHARED_LIBRARY_FLAGS: &[&str] = &["-O2", "-Wall", "-Wextra", "-shared", "-fPIC"];

/// The client and the crates that it is made of, each after those that it depends on.
const CLIENT_CRATES: &[&str] = &["vdso_arch", "vdso_data", "vdso_elf", "vdso_client"];

/// No download, no C compiler, no look at the version control around the folder.
const GO_ENVIRONMENT: &[(&str, &str)] = &[
    ("CGO_ENABLED", "0"),
    ("GO111MODULE", "on"),
    ("GOFLAGS", ""),
    ("GOPROXY", "off"),
    ("GOTOOLCHAIN", "local"),
    ("GOWORK", "off"),
];

/// The recipe for `program`, from the folder `sources` into the folder `out`.
pub(crate) fn recipe(program: Program, sources: &Path, out: &Path) -> Result<Recipe, Skip> {
    let mut draft = Draft { program, sources, out, used: Vec::new(), steps: Vec::new() };
    let artefact = draft.write()?;
    Ok(Recipe { sources: draft.used, steps: draft.steps, artefact })
}

/// A recipe in the making.
struct Draft<'a> {
    program: Program,
    sources: &'a Path,
    out: &'a Path,
    used: Vec<PathBuf>,
    steps: Vec<Step>,
}

impl Draft<'_> {
    /// Adds all steps and returns the executable that they make.
    fn write(&mut self) -> Result<PathBuf, Skip> {
        let name = self.program.name();
        match self.program {
            Program::CDynamic => self.clocks("gcc", &[], name),
            Program::CStatic => self.clocks("gcc", &["-static"], name),
            Program::CStaticPie => self.clocks("gcc", &["-static-pie"], name),
            Program::CMusl => self.clocks("musl-gcc", &[], name),
            Program::CMuslStatic => self.clocks("musl-gcc", &["-static"], name),
            Program::CI386 => {
                self.check_multilib(&I386, "32-bit x86 programs")?;
                self.clocks("gcc", I386_FLAGS, name)
            }
            Program::CX32 => {
                self.check_multilib(&X32, "x32 programs")?;
                self.clocks("gcc", &X32, name)
            }
            Program::Python => self.script("python3", "clocks.py"),
            Program::Perl => self.script("perl", "clocks.pl"),
            Program::Bash => {
                self.clocks("gcc", &["-static"], "clocks")?;
                self.script("bash", "clocks.sh")
            }
            Program::Script => {
                self.clocks("gcc", &[], "clocks")?;
                self.script("sh", "script.sh")
            }
            Program::Rust => self.compile("rustc", &["--edition=2024", "-O"], "clocks.rs"),
            Program::Exceptions => {
                self.compile("g++", &["-O2", "-Wall", "-Wextra"], "exceptions.cc")
            }
            Program::Exit => self.compile("gcc", &["-static", "-nostdlib"], "exit.S"),
            Program::RandomStorm => self.random("random/storm.c"),
            Program::RandomStream => self.random("random/stream.c"),
            Program::ExecStorm => self.exec_storm(&[]),
            Program::ExecStormStatic => self.exec_storm(&["-static"]),
            Program::ExecStormI386 => {
                self.check_multilib(&I386, "32-bit x86 programs")?;
                self.exec_storm(&I386)
            }
            Program::ExecStormX32 => {
                self.check_multilib(&X32, "x32 programs")?;
                self.exec_storm(&X32)
            }
            Program::NoLibc => self.without_libc(),
            Program::Go => self.go(),
            Program::Java => self.java(),
            Program::Node => self.node(),
        }
    }

    fn clocks(&mut self, compiler: &str, flags: &[&str], output: &str) -> Result<PathBuf, Skip> {
        let flags = [C_FLAGS, flags].concat();
        self.source(HOST_CLOCK);
        self.compile_to(compiler, &flags, "clocks.c", output)
    }

    fn exec_storm(&mut self, flags: &[&str]) -> Result<PathBuf, Skip> {
        self.source(HOST_CLOCK);
        self.compile("gcc", &[C_FLAGS, flags].concat(), "exec-storm.c")
    }

    /// With the neighbour that finds the vDSO's function.
    fn random(&mut self, source: &str) -> Result<PathBuf, Skip> {
        const FUNCTION: &str = "random/vgetrandom.c";
        self.source("random/vgetrandom.h");
        self.source(FUNCTION);
        // Compilers run in the folder of all sources.
        self.compile("gcc", &[C_FLAGS, &[FUNCTION]].concat(), source)
    }

    fn compile(&mut self, compiler: &str, flags: &[&str], source: &str) -> Result<PathBuf, Skip> {
        self.compile_to(compiler, flags, source, self.program.name())
    }

    fn compile_to(
        &mut self,
        compiler: &str,
        flags: &[&str],
        source: &str,
        output: &str,
    ) -> Result<PathBuf, Skip> {
        let compiler = self.tool(compiler)?;
        let output = self.out.join(output);
        let mut arguments: Vec<OsString> = flags.iter().map(OsString::from).collect();
        arguments.extend([self.source(source).into(), "-o".into(), output.clone().into()]);
        self.step(compiler, arguments);
        Ok(output)
    }

    /// A script is copied beside what it needs, under its own name.
    ///
    /// By cp(1) rather than by this process: a file that is open for writing cannot be executed,
    /// and a child forked by another thread of this process would hold it open for a moment.
    fn script(&mut self, interpreter: &str, source: &str) -> Result<PathBuf, Skip> {
        self.tool(interpreter)?;
        let copy = self.tool("cp")?;
        let source = self.source(source);
        let output = self.out.join(source.file_name().expect("a script is a file"));
        let arguments =
            ["--force".into(), "--preserve=mode".into(), source.into(), output.clone().into()];
        self.step(copy, arguments.to_vec());
        Ok(output)
    }

    /// The client and what it is made of, each as a library, and the program: what cargo would do,
    /// without a place where a feature of the workspace's could slip in.
    fn without_libc(&mut self) -> Result<PathBuf, Skip> {
        let compiler = self.tool("rustc")?;
        self.tool("cc")?;
        for (index, name) in CLIENT_CRATES.iter().enumerate() {
            let folder = format!("../crates/{}/src", name.replace('_', "-"));
            self.sources_below(&folder);
            let name = format!("--crate-name={name}");
            let arguments =
                ["--crate-type=rlib".into(), name.into(), "--out-dir".into(), self.out.into()];
            let source = self.sources.join(folder).join("lib.rs");
            self.rustc(&compiler, arguments, &CLIENT_CRATES[..index], &source);
        }
        let source = self.source("nolibc.rs");
        let output = self.out.join(self.program.name());
        let mut arguments =
            vec!["-Crelocation-model=static".into(), "-o".into(), output.clone().into()];
        for flag in ["-nostartfiles", "-nostdlib", "-static"] {
            arguments.push(format!("-Clink-arg={flag}").into());
        }
        self.rustc(&compiler, arguments, CLIENT_CRATES, &source);
        Ok(output)
    }

    /// Compiles with the libraries that have been compiled before.
    fn rustc(
        &mut self,
        compiler: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        libraries: &[&str],
        source: &Path,
    ) {
        let mut all: Vec<OsString> =
            ["--edition=2024", "-O", "-Cpanic=abort"].map(Into::into).into();
        all.extend(arguments);
        all.extend(["-L".into(), self.out.into()]);
        for library in libraries {
            all.extend(["--extern".into(), OsString::from(library)]);
        }
        all.push(source.into());
        self.step(compiler.to_owned(), all);
    }

    /// Every file of a folder of sources.
    fn sources_below(&mut self, folder: &str) {
        let mut folders = vec![self.sources.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { self.used.push(path) }
            }
        }
        self.used.sort();
    }

    fn go(&mut self) -> Result<PathBuf, Skip> {
        let go = self.tool("go")?;
        let output = self.out.join(self.program.name());
        for file in ["go/go.mod", "go/clocks.go", "go/empty.s"] {
            self.source(file);
        }
        self.steps.push(Step {
            tool: go,
            arguments: ["build", "-buildvcs=false", "-o"]
                .map(OsString::from)
                .into_iter()
                .chain([output.clone().into(), ".".into()])
                .collect(),
            environment: GO_ENVIRONMENT,
            folder: self.sources.join("go"),
        });
        Ok(output)
    }

    /// The class file is for Java 11 and later, so the compiler may be newer than the machine that
    /// runs it.
    fn java(&mut self) -> Result<PathBuf, Skip> {
        let compiler = self.tool("javac")?;
        let headers = self.headers_beside(&compiler, "include", "jni.h")?;
        let class = self.source("java/Clocks.java");
        let out = self.out;
        let arguments = ["--release".into(), "11".into(), "-d".into(), out.into(), class.into()];
        self.step(compiler, arguments.to_vec());
        let includes = [headers.clone(), headers.join("linux")];
        self.shared_library("java/raw_clock.c", &includes, "libraw_clock.so")?;
        self.script("java", "java/clocks.sh")
    }

    fn node(&mut self) -> Result<PathBuf, Skip> {
        let node = self.tool("node")?;
        let headers = self.headers_beside(&node, "include/node", "node_api.h")?;
        self.shared_library("node/raw_clock.c", &[headers], "raw_clock.node")?;
        self.script("node", "node/clocks.js")
    }

    fn shared_library(
        &mut self,
        source: &str,
        includes: &[PathBuf],
        output: &str,
    ) -> Result<(), Skip> {
        self.source(HOST_CLOCK);
        let includes: Vec<String> =
            includes.iter().map(|folder| format!("-I{}", folder.display())).collect();
        let flags = SHARED_LIBRARY_FLAGS.iter().copied().chain(includes.iter().map(String::as_str));
        self.compile_to("gcc", &flags.collect::<Vec<&str>>(), source, output)?;
        Ok(())
    }

    /// The folder of headers in the installation that `tool` (`PREFIX/bin/tool`) belongs to.
    fn headers_beside(&self, tool: &Path, folder: &str, header: &str) -> Result<PathBuf, Skip> {
        let lacking =
            || self.lacking_tool(format!("no {header} is installed for {}", tool.display()));
        let real = tool.canonicalize().map_err(|_| lacking())?;
        let prefix = real.parent().and_then(Path::parent).ok_or_else(lacking)?;
        let headers = prefix.join(folder);
        if headers.join(header).is_file() { Ok(headers) } else { Err(lacking()) }
    }

    /// Links a small program with the C library of another ABI and runs it.
    fn check_multilib(&self, flags: &[&str], programs: &str) -> Result<(), Skip> {
        let lacking_kernel = || Skip {
            lacking: Lacking::Kernel,
            name: self.program.name().to_owned(),
            reason: format!("this machine does not run {programs}"),
        };
        if !cfg!(target_arch = "x86_64") {
            return Err(lacking_kernel());
        }
        let probe = self.out.join("probe");
        if !links(&self.tool("gcc")?, flags, &probe) {
            let package = multilib_package().unwrap_or_else(|| "gcc-multilib".to_owned());
            let reason = format!("gcc has no C library for {programs} (Debian: {package})");
            return Err(self.lacking_tool(reason));
        }
        if Command::new(&probe).status().is_ok() { Ok(()) } else { Err(lacking_kernel()) }
    }

    fn source(&mut self, name: &str) -> PathBuf {
        let path = self.sources.join(name);
        self.used.push(path.clone());
        path
    }

    fn step(&mut self, tool: PathBuf, arguments: Vec<OsString>) {
        let folder = self.sources.to_owned();
        self.steps.push(Step { tool, arguments, environment: &[], folder });
    }

    fn tool(&self, name: &str) -> Result<PathBuf, Skip> {
        find_tool(name, std::env::var_os("PATH").as_deref())
            .ok_or_else(|| self.lacking_tool(format!("no `{name}` in PATH")))
    }

    fn lacking_tool(&self, reason: String) -> Skip {
        Skip::tool(self.program.name(), reason)
    }
}

/// Debian's package of gcc's 32-bit C library. `gcc-multilib`, without the number of gcc's version,
/// conflicts with cross compilers. `None` where gcc does not run.
pub fn multilib_package() -> Option<String> {
    let output = Command::new("gcc").arg("-dumpversion").output().ok()?;
    multilib_of(&String::from_utf8_lossy(&output.stdout))
}

/// Some builds of gcc say all of their version, `12.2.0`, where Debian's say `12`.
fn multilib_of(version: &str) -> Option<String> {
    let major: u32 = version.trim().split('.').next()?.parse().ok()?;
    Some(format!("gcc-{major}-multilib"))
}

/// Whether a compiler makes an executable of an empty program; it is then at `output`.
pub fn links(compiler: &Path, flags: &[&str], output: &Path) -> bool {
    let compile = || -> io::Result<bool> {
        let mut child = Command::new(compiler)
            .args(flags)
            .args(["-x", "c", "-", "-o"])
            .arg(output)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut source = child.stdin.take().expect("stdin is piped");
        source.write_all(b"#include <stdio.h>\nint main(void) { return 0; }\n")?;
        drop(source);
        Ok(child.wait()?.success())
    };
    compile().unwrap_or(false)
}

fn find_tool(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let is_executable = |file: &PathBuf| {
        file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path?).map(|folder| folder.join(name)).find(is_executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_the_32_bit_library_has_the_number_of_gcc() {
        assert_eq!(multilib_of("12\n").as_deref(), Some("gcc-12-multilib"));
        assert_eq!(multilib_of("14.2.0\n").as_deref(), Some("gcc-14-multilib"));
        assert_eq!(multilib_of(""), None);
    }

    #[test]
    fn a_tool_is_an_executable_file_in_the_path() {
        let path = Some(OsStr::new("/no/such/folder:/bin:/etc"));
        assert_eq!(find_tool("sh", path), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find_tool("passwd", Some(OsStr::new("/etc"))), None);
        assert_eq!(find_tool("no-such-tool", path), None);
        assert_eq!(find_tool("sh", None), None);
    }
}
