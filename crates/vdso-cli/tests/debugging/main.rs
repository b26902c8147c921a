//! Debuggers and tracers see the image as they see any library: [`gdb`] unwinds through it and steps
//! through its source, and [`uprobes`] count its calls. Programs that are [`traced`] from their start on have their clock
//! without it. `docs/DEBUGGING.md` tells a person how.

mod gdb;
#[path = "../support/mod.rs"]
mod support;
#[cfg(target_arch = "x86_64")]
mod traced;
mod uprobes;

use std::collections::BTreeMap;
use std::process::Command;

use nix::unistd::Pid;
use support::processes::{Mapping, mappings_of};
use support::shell::Shell;
use support::{Source, assert_group_shift, compile, vdso_run};
use test_support::{Lacking, Readings, skip};

/// The functions of the image, and how often the tests that count have each called: no two numbers
/// are alike, so that none can stand for another.
const CALLS: [(&str, u64); 5] = [
    ("__vdso_clock_gettime", 10_007),
    ("__vdso_gettimeofday", 5_003),
    ("__vdso_time", 2_003),
    ("__vdso_clock_getres", 1_009),
    ("__vdso_getcpu", 503),
];

/// `helpers/watched.c` under `vdso run`.
struct Watched {
    shell: Shell,
    pid: Pid,
    source: Source,
    /// Addresses, by the names that the program has looked up.
    functions: BTreeMap<String, u64>,
    /// What is mapped there.
    image: Mapping,
}

impl Watched {
    #[track_caller]
    fn start(source: Source) -> Self {
        // In a sibling call's frame there would be nothing left to unwind to.
        let program = compile("watched.c", "watched", &["-O2", "-fno-optimize-sibling-calls"]);
        let mut shell = Shell::start(vdso_run(source.options).arg(program));
        shell.read_to("PID ");
        let pid = Pid::from_raw(shell.read_to("\n").parse().expect("a process id"));
        let functions: BTreeMap<String, u64> =
            shell.read_to("READY\n").lines().map(parse_function).collect();
        let addr = functions["__vdso_clock_gettime"];
        let image = mappings_of(pid).into_iter().find(|mapping| mapping.addrs.contains(&addr));
        let image = image.expect("the function is mapped");
        assert!(image.name.starts_with("/memfd:vdso-"), "{image:?} is not our image");
        Self { shell, pid, source, functions, image }
    }

    /// Has each function called as often as [`CALLS`] says.
    #[track_caller]
    fn call_all(&mut self) {
        for (function, count) in CALLS {
            self.shell.send(&format!("call {function} {count}"));
            self.shell.read_to(&format!("CALLED {function} {count}\n"));
        }
    }

    /// Has it read a clock over and over, while `meanwhile` does something else.
    #[track_caller]
    fn spin<T>(&mut self, clock: i32, meanwhile: impl FnOnce(&Self) -> T) -> T {
        self.shell.send(&format!("spin {clock}"));
        let result = meanwhile(self);
        self.shell.send("");
        self.shell.read_to("SPUN ");
        assert_ne!(self.shell.read_to("\n"), "0");
        result
    }

    /// Whoever watched has gone: its clock must be right, and it must end by itself.
    #[track_caller]
    fn end_unharmed(mut self) {
        self.call_all();
        for _ in 0..10 {
            self.shell.send("check");
            let line = self.shell.read_to("\n") + "\n";
            let readings = Readings::parse(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_group_shift(&readings, "all", 0, self.source.tolerance_ns);
        }
        self.shell.close_input();
        assert_eq!(self.shell.read_to_end(), "");
        assert!(self.shell.wait().success());
    }
}

fn parse_function(line: &str) -> (String, u64) {
    let fields: Vec<&str> = line.split(' ').collect();
    let ["FUNCTION", name, addr] = fields[..] else { panic!("'{line}' is no function") };
    let addr = addr.strip_prefix("0x").expect("printed by %p");
    (name.to_owned(), u64::from_str_radix(addr, 16).expect("an address"))
}

/// Each source that this machine has, without the choice of one.
fn sources() -> impl Iterator<Item = Source> {
    Source::all().into_iter().filter(|source| *source != Source::AUTO)
}

/// Whether a tool is here, which Debian has in `package`; if not, that is reported.
#[track_caller]
fn has_tool(tool: &str, package: &str, test: &str) -> bool {
    let run = Command::new(tool).arg("--version").output();
    if let Err(error) = &run {
        skip(Lacking::Tool, test, &format!("cannot run `{tool}` (Debian: {package}): {error}"));
    }
    run.is_ok()
}
