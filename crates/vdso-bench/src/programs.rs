//! Programs started under `vdso run`, beside plain ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use test_support::Program;
use vdso_measure::statistics;

/// How often each measurement is repeated, plain and under `vdso run` in turns.
const ROUNDS: usize = 15;
/// Spawns in one round.
const SPAWNS: u32 = 200;
/// Children in the tree.
const CHILDREN: usize = 200;

/// Every row.
pub fn all() -> Result<()> {
    let vdso = vdso_binary()?;
    let exit = match test_support::build(Program::Exit) {
        Ok(path) => path,
        Err(skip) => {
            skip.report();
            return Ok(());
        }
    };
    start(None)?;
    injection(&vdso, &exit)?;
    tree(&vdso)
}

/// What a whole start adds: `true`, plain and under `vdso run`, or under another build of that.
pub fn start(vdso: Option<PathBuf>) -> Result<()> {
    const STARTS: usize = 300;
    const PROGRAM: &str = "/bin/true";
    let vdso = vdso.map_or_else(vdso_binary, Ok)?;
    let run = |command: &mut Command| -> Result<f64> {
        let start = Instant::now();
        let status = command.status()?;
        let took_ms = start.elapsed().as_secs_f64() * 1e3;
        if !status.success() {
            bail!("{command:?}: {status}");
        }
        Ok(took_ms)
    };
    let (mut plain, mut added) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let without = run(&mut Command::new(PROGRAM))?;
        added.push(run(Command::new(&vdso).args(["run", "--", PROGRAM]))? - without);
        plain.push(without);
    }
    let added = median(added);
    println!("\n{PROGRAM}, whole processes");
    println!("  plain                        {:>10.2} ms", median(plain));
    println!("  vdso run adds                {added:>10.2} ms  {}", verdict(added, 1.5, 0.8));
    Ok(())
}

/// What an injection adds to fork and exec: a spawner, plain and under `vdso run`.
fn injection(vdso: &Path, exit: &Path) -> Result<()> {
    let spawner = std::env::current_exe()?;
    let times = SPAWNS.to_string();
    let spawn = |under: &[&Path]| -> Result<f64> {
        let mut words = under.iter().map(|word| word.as_os_str()).collect::<Vec<_>>();
        words.extend([spawner.as_os_str(), "spawn".as_ref(), times.as_ref(), exit.as_os_str()]);
        let output = Command::new(words[0]).args(&words[1..]).stderr(Stdio::inherit()).output()?;
        String::from_utf8(output.stdout)?.trim().parse().context("the spawner printed no time")
    };
    let (mut plain, mut added) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let without = spawn(&[])?;
        added.push(spawn(&[vdso, Path::new("run"), Path::new("--")])? - without);
        plain.push(without);
    }
    let added = median(added);
    println!("\nfork, exec and wait, of a program that ends at once");
    println!("  plain                        {:>10.1} us", median(plain));
    println!("  injection adds               {added:>10.1} us  {}", verdict(added, 150.0, 90.0));
    Ok(())
}

/// A make with many short children, plain and under `vdso run`.
fn tree(vdso: &Path) -> Result<()> {
    let (plain, ratio) = tree_under(vdso, &[])?;
    println!("\nmake with {CHILDREN} short children");
    println!("  plain                        {:>10.1} ms", plain * 1e3);
    println!("  under vdso run, ratio        {ratio:>10.3}     {}", verdict(ratio, 1.20, 1.08));
    Ok(())
}

/// The same under `vdso run` with these options: the seconds that it takes without, and how many times as many with.
pub fn tree_under(vdso: &Path, options: &[&str]) -> Result<(f64, f64)> {
    let folder = std::env::temp_dir().join(format!("vdso-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let makefile = folder.join("Makefile");
    let targets: Vec<String> = (0..CHILDREN).map(|number| format!("t{number}")).collect();
    let targets = targets.join(" ");
    std::fs::write(&makefile, format!("all: {targets}\n{targets}:\n\t@/bin/true $@\n"))?;
    let make = |under: &[&str]| -> Result<f64> {
        let words = [under, &["make", "-s", "-f"]].concat();
        let start = Instant::now();
        let status = Command::new(words[0]).args(&words[1..]).arg(&makefile).status()?;
        if !status.success() {
            bail!("make failed: {status}");
        }
        Ok(start.elapsed().as_secs_f64())
    };
    let vdso = vdso.to_str().context("the path of vdso is not UTF-8")?;
    let (mut plain, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let without = make(&[])?;
        ratios.push(make(&[&[vdso, "run"], options, &["--"]].concat())? / without);
        plain.push(without);
    }
    std::fs::remove_dir_all(&folder)?;
    Ok((median(plain), median(ratios)))
}

/// Whether a figure is what it must be.
pub fn verdict(value: f64, must: f64, aim: f64) -> String {
    let verdict = match value {
        value if value <= aim => "aim reached",
        value if value <= must => "met",
        _ => "MISSED",
    };
    format!("must {must}, aim {aim}: {verdict}")
}

/// `vdso` of the same profile, beside this program.
pub fn vdso_binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("vdso");
    if !path.exists() {
        bail!("{} is not built: cargo build --release", path.display());
    }
    Ok(path)
}

/// The middle one; not a number if there is none.
pub fn median(values: Vec<f64>) -> f64 {
    statistics::median(&values).unwrap_or(f64::NAN)
}

/// The hidden part that [`injection`] starts.
pub fn spawn(times: u32, program: &Path) -> Result<()> {
    let mut costs = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        Command::new(program).status()?;
        costs.push(start.elapsed().as_secs_f64() * 1e6);
    }
    println!("{}", median(costs));
    Ok(())
}
