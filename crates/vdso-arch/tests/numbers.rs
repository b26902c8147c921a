//! The tables of numbers against those of others: the crate `syscalls`, which makes them of the kernel's, and the
//! C library's of this machine.

use vdso_arch::abi::rows;
use vdso_arch::system_call::{Numbers, X32_BIT, numbers, timed};

/// Each call's name and number, with `None` for those that an architecture lacks.
fn all(table: &Numbers) -> Vec<(&'static str, Option<u32>)> {
    macro_rules! list {
        ($($always:ident)*; $($maybe:ident)*) => {
            vec![
                $((stringify!($always), Some(table.$always)),)*
                $((stringify!($maybe), table.$maybe),)*
            ]
        };
    }
    list! {
        read close mmap mprotect munmap brk rt_sigprocmask rt_sigreturn restart_syscall madvise getpid
        execve exit prctl gettid exit_group tgkill openat eventfd2 getcpu seccomp getrandom execveat rseq;
        fstat sigreturn gettimeofday time clock_gettime clock_getres clock_gettime64 clock_getres_time64
    }
}

/// The names under which the kernel's table may have it: there, newer variants have names of their own.
fn names(call: &'static str, bits: u32) -> Vec<&'static str> {
    match call {
        "fstat" if bits == 32 => vec!["fstat64"],
        "mmap" if bits == 32 => vec!["mmap2", "mmap"],
        name => vec![name],
    }
}

macro_rules! compared {
    ($($test:ident: $table:expr, $module:ident, $bits:literal, $lacks:expr;)*) => {$(
        #[test]
        fn $test() {
            for (call, number) in all(&$table) {
                let theirs: Vec<u32> = names(call, $bits)
                    .into_iter()
                    .filter_map(|name| name.parse::<syscalls::$module::Sysno>().ok())
                    .map(|found| found.id() as u32)
                    .collect();
                match number {
                    Some(number) => assert!(theirs.contains(&number), "{call}: {number}, {theirs:?}"),
                    None => assert!(theirs.is_empty() || $lacks.contains(&call), "{call}: {theirs:?}"),
                }
            }
        }
    )*};
}

/// Theirs lists them for every architecture of the generic table; 64-bit kernels have none.
const TIME64: [&str; 2] = ["clock_gettime64", "clock_getres_time64"];
const NOTHING: [&str; 0] = [];

compared! {
    x86_64_is_the_kernels: numbers::X86_64, x86_64, 64, NOTHING;
    i386_is_the_kernels: numbers::I386, x86, 32, NOTHING;
    arm64_is_the_kernels: numbers::GENERIC_64, aarch64, 64, TIME64;
    riscv64_is_the_kernels: numbers::GENERIC_64, riscv64, 64, TIME64;
    loongarch64_is_the_kernels: numbers::GENERIC_64, loongarch64, 64, TIME64;
    riscv32_is_the_kernels: numbers::GENERIC_32, riscv32, 32, NOTHING;
    arm_is_the_kernels: numbers::ARM, arm, 32, ["time"];
    ppc64_is_the_kernels: numbers::POWERPC64, powerpc64, 64, NOTHING;
    ppc32_is_the_kernels: numbers::POWERPC, powerpc, 32, NOTHING;
    s390x_is_the_kernels: numbers::S390X, s390x, 64, NOTHING;
    mips64_is_the_kernels: numbers::MIPS64, mips64, 64, NOTHING;
    mips_is_the_kernels: numbers::MIPS, mips, 32, NOTHING;
}

/// Source: `arch/x86/entry/syscalls/syscall_64.tbl`, the rows of the ABI x32.
#[test]
fn x32_has_the_numbers_of_x86_64_but_for_pointers_in_memory() {
    let own = [("execve", 520), ("execveat", 545), ("rt_sigreturn", 513)];
    for ((call, x32), (_, x86_64)) in all(&numbers::X32).into_iter().zip(all(&numbers::X86_64)) {
        let usual =
            own.iter().find(|(name, _)| *name == call).map(|(_, number)| *number).or(x86_64);
        assert_eq!(x32, usual.map(|number| X32_BIT | number), "{call}");
    }
}

/// The machine that this runs on, whichever that is.
#[test]
fn the_c_library_says_the_same() {
    let ours = Numbers::CURRENT.expect("a table of this machine");
    for (call, number, theirs) in [
        ("execve", ours.execve, libc::SYS_execve),
        ("execveat", ours.execveat, libc::SYS_execveat),
        ("prctl", ours.prctl, libc::SYS_prctl),
        ("seccomp", ours.seccomp, libc::SYS_seccomp),
        ("eventfd2", ours.eventfd2, libc::SYS_eventfd2),
        ("mprotect", ours.mprotect, libc::SYS_mprotect),
        ("close", ours.close, libc::SYS_close),
        ("madvise", ours.madvise, libc::SYS_madvise),
        ("brk", ours.brk, libc::SYS_brk),
        ("munmap", ours.munmap, libc::SYS_munmap),
        ("getcpu", ours.getcpu, libc::SYS_getcpu),
        ("getrandom", ours.getrandom, libc::SYS_getrandom),
        ("exit_group", ours.exit_group, libc::SYS_exit_group),
    ] {
        assert_eq!(libc::c_long::from(number), theirs, "{call}");
    }
}

/// Literal values of `include/uapi/linux/audit.h`.
#[test]
fn filters_see_the_audit_numbers_of_the_kernel() {
    use vdso_arch::ByteOrder::{Big, Little};
    for (abi, order, number) in [
        (&rows::X86_64, Little, 0xc000_003e),
        (&rows::X32, Little, 0xc000_003e),
        (&rows::I386, Little, 0x4000_0003),
        (&rows::ARM64, Little, 0xc000_00b7),
        (&rows::ARM, Little, 0x4000_0028),
        (&rows::ARM, Big, 0x0000_0028),
        (&rows::RISCV64, Little, 0xc000_00f3),
        (&rows::RISCV32, Little, 0x4000_00f3),
        (&rows::LOONGARCH64, Little, 0xc000_0102),
        (&rows::PPC64, Little, 0xc000_0015),
        (&rows::PPC64, Big, 0x8000_0015),
        (&rows::PPC32, Big, 0x0000_0014),
        (&rows::S390X, Big, 0x8000_0016),
        (&rows::MIPS64, Little, 0xc000_0008),
        (&rows::MIPS, Little, 0x4000_0008),
    ] {
        assert_eq!(abi.audit_arch(order), number, "{} {order:?}", abi.name);
    }
}

#[test]
fn calls_with_times_have_the_kernels_numbers() {
    let mut known = 0;
    for &(name, number) in timed::x86_64::ALL {
        // The crate's kernel may be older.
        if let Ok(theirs) = name.to_lowercase().parse::<syscalls::x86_64::Sysno>() {
            assert_eq!(number, theirs.id() as u32, "{name}");
            known += 1;
        }
    }
    assert!(known + 3 >= timed::x86_64::ALL.len(), "{known} are known to others");
    for (&(name, number), &(_, of_x32)) in timed::x86_64::ALL.iter().zip(timed::x32::ALL) {
        let own = of_x32 & !X32_BIT;
        assert!(of_x32 & X32_BIT != 0 && (own == number || (512..=547).contains(&own)), "{name}");
    }
    for &(name, number) in timed::generic::ALL {
        let name = name.to_lowercase();
        let of = |table: Option<u32>| table.is_none_or(|theirs| theirs == number);
        let arm64 = name.parse::<syscalls::aarch64::Sysno>().ok().map(|it| it.id() as u32);
        let riscv64 = name.parse::<syscalls::riscv64::Sysno>().ok().map(|it| it.id() as u32);
        assert!(of(arm64) && of(riscv64), "{name} {number}");
        // That crate has this one by the C library's name.
        let is_known =
            arm64.is_some() || name == "newfstatat" || number >= timed::generic::FUTEX_WAITV;
        assert!(is_known, "{name} {number}");
    }
}
