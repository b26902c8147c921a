//! Programs whose files have the times of a clock of their own, beside plain ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::programs::{self, median, vdso_binary, verdict};
use crate::waits::{self, Doing};

/// How often each build is repeated, plain and under `vdso run` in turns.
const ROUNDS: usize = 9;
/// Sources in a build.
const SOURCES: usize = 24;

/// One day behind: a build would be warned of clock skew without it.
const OPTIONS: [&str; 4] = ["--offset", "-1d", "--file-times", "clock"];

/// Every row.
pub fn all() -> Result<()> {
    println!("\nfiles with the times of a clock one day behind, to plain ones");
    let (added, _) = waits::compare(Doing::Status, &OPTIONS)?;
    row("a stat at a rewritten site adds, us", added / 1e3, 3.0, 0.3);
    row("make -j2 of 24 files in C, ratio", build()?, 2.0, 1.3);
    let (_, ratio) = programs::tree_under(&vdso_binary()?, &OPTIONS)?;
    row("make with 200 short children, ratio", ratio, 2.0, 1.2);
    Ok(())
}

fn row(name: &str, value: f64, must: f64, aim: f64) {
    println!("  {name:<36} {value:>8.3}  {}", verdict(value, must, aim));
}

/// A build by gcc: how many times as long it takes.
fn build() -> Result<f64> {
    let folder = std::env::temp_dir().join(format!("vdso-bench-build-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = Build::prepare(folder.clone()).and_then(|build| build.ratio());
    fs::remove_dir_all(&folder)?;
    result
}

struct Build {
    folder: PathBuf,
    made: Vec<PathBuf>,
}

impl Build {
    fn prepare(folder: PathBuf) -> Result<Self> {
        let names: Vec<String> = (0..SOURCES).map(|number| format!("part{number}")).collect();
        for name in &names {
            let source = format!(
                "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
                 #include <sys/stat.h>\n#include <math.h>\n\
                 int {name}(int number)\n{{\n\tchar text[64];\n\
                 \tsnprintf(text, sizeof text, \"%d\", number);\n\treturn strlen(text);\n}}\n"
            );
            fs::write(folder.join(name).with_extension("c"), source)?;
        }
        fs::write(folder.join("main.c"), "int main(void)\n{\n\treturn 0;\n}\n")?;
        let objects: Vec<String> =
            names.iter().map(String::as_str).chain(["main"]).map(|it| format!("{it}.o")).collect();
        let objects = objects.join(" ");
        let makefile =
            format!("all: {objects}\n\tgcc -o all {objects}\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n");
        fs::write(folder.join("Makefile"), makefile)?;
        let made = objects.split(' ').chain(["all"]).map(|name| folder.join(name)).collect();
        Ok(Self { folder, made })
    }

    fn ratio(&self) -> Result<f64> {
        let vdso = vdso_binary()?;
        self.seconds(None)?;
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let plain = self.seconds(None)?;
            ratios.push(self.seconds(Some(&vdso))? / plain);
        }
        Ok(median(ratios))
    }

    fn seconds(&self, vdso: Option<&Path>) -> Result<f64> {
        for file in self.made.iter().filter(|file| file.exists()) {
            fs::remove_file(file)?;
        }
        let mut command = match vdso {
            None => Command::new("make"),
            Some(vdso) => {
                let mut command = Command::new(vdso);
                command.arg("run").args(OPTIONS).args(["--", "make"]);
                command
            }
        };
        let start = Instant::now();
        let status = command
            .args(["-s", "-j2", "-C"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("make failed: {status}");
        }
        Ok(start.elapsed().as_secs_f64())
    }
}
