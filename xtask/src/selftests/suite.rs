//! What a test is; and the tests of the vDSO, and the one of the clocks' order for each clock.
//!
//! What they look at, in Linux 6.1's `tools/testing/selftests`: that every function is there by name
//! and version and succeeds (`abi`, `gettimeofday`, `getcpu`, `standalone`), that each clock lies
//! between two system calls and each invalid one gives the system call's error (`correctness`), that
//! resolutions are the system call's (`clock_getres`), and that no clock goes back (`timers`). Linux
//! 6.12's look at getrandom, too: that it fills buffers, and does so in a time namespace without
//! handing them to the system call. That of ChaCha20 is linked to our code, each way to compute it
//! (`chacha`).

use std::fmt;
use std::time::Duration;

/// One row of the table.
pub struct Test {
    /// The test's folder, below [`FOLDER`].
    pub folder: &'static str,
    /// What is compiled, in that folder; the first file gives the test its name.
    pub sources: &'static [&'static str],
    /// The flags of its Makefile, which tells whether to optimise, too: some break otherwise.
    pub flags: &'static [&'static str],
    /// What it is run with.
    pub arguments: &'static [&'static str],
    /// What of ours is linked to it.
    pub linked: Option<Chacha>,
}

/// The ways in which x86-64's image computes ChaCha20.
#[derive(Clone, Copy)]
pub enum Chacha {
    Sse2,
    Avx2,
}

impl Chacha {
    /// As in `--cfg way`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse2 => "sse2",
            Self::Avx2 => "avx2",
        }
    }

    /// Whether it can be executed on this machine.
    pub fn is_usable(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Sse2 => true,
            Self::Avx2 => is_x86_feature_detected!("avx2"),
        };
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

/// Where the tests are in the kernel's source.
pub const FOLDER: &str = "tools/testing/selftests";

/// What all tests need: folders whole, as later kernels split their files further.
pub const UNPACKED: [&str; 7] = [
    "tools/testing/selftests/vDSO",
    "tools/testing/selftests/timers",
    "tools/testing/selftests/timens",
    "tools/testing/selftests/futex",
    "tools/testing/selftests/kselftest.h",
    "tools/include",
    "include/uapi/linux/random.h",
];

/// After this long, a test hangs. On an idle machine none takes more than three seconds.
pub const LIMIT: Duration = Duration::from_secs(60);

/// No `libc`: it has an entry point of its own, which parses the auxiliary vector.
const STANDALONE: &[&str] =
    &["-nostdlib", "-fno-asynchronous-unwind-tables", "-fno-stack-protector"];

/// The kernel's own headers: the installed ones are of an older kernel.
const KERNELS_HEADERS: &[&str] = &[
    "-O2",
    "-pthread",
    "-D_GNU_SOURCE=",
    "-isystem",
    "../../../include",
    "-isystem",
    "../../../../include/uapi",
];

/// All of them. vdso_test_getrandom has modes that measure, for minutes, and one without an end: those
/// test nothing, and are not run.
pub const TESTS: &[Test] = &[
    vdso(&["vdso_test_abi.c", "parse_vdso.c"], &[]),
    vdso(&["vdso_test_correctness.c"], &["-ldl"]),
    vdso(&["vdso_test_getcpu.c", "parse_vdso.c"], &[]),
    vdso(&["vdso_test_gettimeofday.c", "parse_vdso.c"], &[]),
    vdso(&["vdso_test_clock_getres.c"], &[]),
    vdso(&["vdso_standalone_test_x86.c", "parse_vdso.c"], STANDALONE),
    vdso(&["vdso_test_getrandom.c", "parse_vdso.c"], KERNELS_HEADERS),
    chacha(Chacha::Sse2),
    chacha(Chacha::Avx2),
    inconsistency_check(&["-t", "2", "-c", "0"]),
    inconsistency_check(&["-t", "2", "-c", "1"]),
    inconsistency_check(&["-t", "2", "-c", "4"]),
    inconsistency_check(&["-t", "2", "-c", "5"]),
    inconsistency_check(&["-t", "2", "-c", "6"]),
    inconsistency_check(&["-t", "2", "-c", "7"]),
    inconsistency_check(&["-t", "2", "-c", "11"]),
];

const fn vdso(sources: &'static [&'static str], flags: &'static [&'static str]) -> Test {
    Test { folder: "vDSO", sources, flags, arguments: &[], linked: None }
}

const fn chacha(way: Chacha) -> Test {
    Test { linked: Some(way), ..vdso(&["vdso_test_chacha.c"], KERNELS_HEADERS) }
}

/// That of the clocks' order.
pub const fn inconsistency_check(arguments: &'static [&'static str]) -> Test {
    let sources = &["inconsistency-check.c"];
    Test { folder: "timers", sources, flags: &["-O3"], arguments, linked: None }
}

impl Test {
    /// Its name, which is that of its program.
    pub fn name(&self) -> String {
        let name = self.sources[0].trim_end_matches(".c");
        match self.linked {
            Some(way) => format!("{name} {}", way.name()),
            None => name.to_owned(),
        }
    }
}

/// As the test would be called in [`FOLDER`].
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.name())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}
