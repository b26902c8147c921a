//! Which functions the kernel's vDSO has on each architecture, and since when.
//!
//! What there are is in the client's table; this adds what only a doctor wants to know.
//! Source: the kernel's `arch/*/…/vdso*.lds.S` up to Linux 7.3, and their history.

use vdso_client::names::{self, Abi, Purpose};
use vdso_elf::Class;
use vdso_elf::abi::Machine;

/// A function that a kernel may have in its vDSO.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its symbol.
    pub symbol: &'static str,
    /// The call that it answers, as a program knows it.
    pub call: String,
    /// The first Linux that has it, for what came later than the vDSO itself.
    pub since: Option<(u32, u32)>,
}

/// Names of architectures, a function of theirs, and the first Linux that has it.
type Row = (&'static [&'static str], &'static str, (u32, u32));

const LATER: [Row; 14] = [
    (&["x86-64", "x32", "i386"], "__vdso_clock_getres", (5, 3)),
    (&["i386"], "__vdso_clock_gettime64", (5, 3)),
    (&["mips64", "mips"], "__vdso_clock_getres", (5, 4)),
    (&["mips"], "__vdso_clock_gettime64", (5, 4)),
    (&["arm"], "__vdso_clock_getres", (5, 5)),
    (&["arm"], "__vdso_clock_gettime64", (5, 5)),
    (&["ppc32"], "__kernel_clock_gettime64", (5, 11)),
    (&["i386"], "__vdso_getcpu", (6, 3)),
    (&["x86-64"], "__vdso_getrandom", (6, 11)),
    (&["arm64", "ppc64", "ppc32", "s390x"], "__kernel_getrandom", (6, 12)),
    (&["loongarch64"], "__vdso_getrandom", (6, 12)),
    (&["riscv64"], "__vdso_getrandom", (6, 16)),
    (&["i386", "arm", "mips"], "__vdso_clock_getres_time64", (7, 0)),
    (&["ppc32"], "__kernel_clock_getres_time64", (7, 0)),
];

/// Functions that no C library asks for (glibc 2.41, musl 1.2.5), so that nobody misses them.
const UNUSED: [(&str, &str); 5] = [
    ("i386", "__vdso_getcpu"),
    ("i386", "__vdso_clock_getres_time64"),
    ("arm", "__vdso_clock_getres_time64"),
    ("mips", "__vdso_clock_getres_time64"),
    ("ppc32", "__kernel_clock_getres_time64"),
];

/// What a current kernel has for programs of this kind, the oldest first; nothing for an architecture
/// that is not known here.
pub fn expected(machine: Machine, class: Class) -> Vec<Function> {
    let Some(abi) = Abi::of(machine, class) else {
        return Vec::new();
    };
    let is_used = |function: &&names::Function| !UNUSED.contains(&(abi.name, function.name));
    let functions = abi.functions.iter().filter(is_used);
    let mut expected: Vec<Function> = functions
        .filter_map(|function| {
            let call = match function.purpose {
                Purpose::Call(call) => call.name().to_owned(),
                Purpose::Time64(call) => format!("{} with 64-bit time", call.name()),
                _ => return None,
            };
            Some(Function { symbol: function.name, call, since: since(abi, function.name) })
        })
        .collect();
    expected.sort_by_key(|function| function.since);
    expected
}

fn since(abi: &Abi, symbol: &str) -> Option<(u32, u32)> {
    let is_it = |(abis, name, _): &&Row| abis.contains(&abi.name) && *name == symbol;
    LATER.iter().find(is_it).map(|(_, _, since)| *since)
}

#[cfg(test)]
mod tests {
    use vdso_client::names::ABIS;

    use super::*;

    fn has(abi: &str, symbol: &str) -> bool {
        let abi = ABIS.iter().find(|found| found.name == abi).expect(abi);
        abi.functions.iter().any(|function| function.name == symbol)
    }

    /// A name that is not in the client's table would be looked up in vain.
    #[test]
    fn both_tables_are_about_functions_that_there_are() {
        for (abis, symbol, _) in LATER {
            for abi in abis {
                assert!(has(abi, symbol), "{symbol} of {abi}");
            }
        }
        for (abi, symbol) in UNUSED {
            assert!(has(abi, symbol), "{symbol} of {abi}");
        }
    }

    #[test]
    fn what_came_later_comes_last() {
        let calls = |machine, class| -> Vec<String> {
            expected(machine, class).into_iter().map(|function| function.call).collect()
        };
        assert_eq!(
            calls(Machine::X86_64, Class::Elf64),
            ["clock_gettime", "gettimeofday", "time", "getcpu", "clock_getres", "getrandom"]
        );
        assert_eq!(
            calls(Machine::ARM, Class::Elf32),
            ["clock_gettime", "gettimeofday", "clock_gettime with 64-bit time", "clock_getres"]
        );
        assert!(calls(Machine(0xffff), Class::Elf64).is_empty());
    }
}
