//! Simulated machines: each shows one case of one check. What is said of it as text and as JSON is
//! in `golden/NAME.txt` and `golden/NAME.json`; here is only which checks are not ok.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::simulated::{AARCH64, FUNCTIONS, Machine, X86_64, unmeasured};
use super::support::finish;
use super::{doctor, document};

/// Compares what is said of a machine with the golden files, and which checks are not ok.
#[track_caller]
fn expect(name: &str, machine: &Machine, not_ok: &[(&str, &str)]) {
    let run =
        |options: &[&str]| finish(doctor().args(options).arg("--root").arg(machine.path())).quiet();
    let json = run(&["--json"]);
    let text = run(&[]);
    let found: Vec<(String, String)> = document(&json)["checks"]
        .as_array()
        .expect("checks are a list")
        .iter()
        .map(|check| (check["id"].to_string(), check["status"].to_string()))
        .filter(|(_, status)| status != "\"ok\"")
        .collect();
    let quoted = |text: &str| format!("\"{text}\"");
    let expected: Vec<(String, String)> =
        not_ok.iter().map(|(id, status)| (quoted(id), quoted(status))).collect();
    assert_eq!(found, expected, "{name}: {}", text.stdout);
    let fails = not_ok.iter().any(|(_, status)| *status == "fail");
    for finished in [&json, &text] {
        assert_eq!(finished.status.code(), Some(i32::from(fails)), "{finished:#?}");
    }
    for line in text.stdout.lines() {
        // A command is there to be copied.
        let is_command = line.trim_start().starts_with("run ");
        assert!(is_command || line.chars().count() <= 80, "{name}: too wide: {line}");
    }
    golden(&format!("{name}.json"), &json.stdout);
    golden(&format!("{name}.txt"), &text.stdout);
}

#[track_caller]
fn golden(name: &str, found: &str) {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/golden").join(name);
    if std::env::var_os("VDSO_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&path, found).expect("the golden folder is writable");
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; see main.rs", path.display()));
    assert_eq!(found, expected, "differs from {}; see main.rs", path.display());
}

/// As with `vdso doctor | head -1`: what was found is known, though nobody reads it to its end.
#[test]
fn a_problem_is_one_also_for_a_reader_that_has_had_enough() {
    let machine = Machine::new().clocksource("hpet", "hpet acpi_pm").measured(16, 16);
    for (machine, code) in [(&machine, 1), (&Machine::new(), 0)] {
        for options in [&[][..], &["--json"]] {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let mut command = doctor();
            command.args(options).arg("--root").arg(machine.path());
            let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("vdso");
            let output = child.wait_with_output().expect("it ends");
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }
}

/// Whatever the clocksource: it has nothing to do with random bytes and with the CPU's number.
#[test]
fn calls_that_need_no_clock_have_causes_of_their_own() {
    let machine = Machine::new().falling_back("getrandom");
    expect("getrandom-refused", &machine, &[("fallbacks", "fail")]);
    let machine = Machine::new().falling_back("getcpu");
    expect("getcpu-refused", &machine, &[("fallbacks", "fail")]);
}

/// What was measured with a clock that stood still says so, and can be read back.
#[test]
fn costs_that_were_measured_with_a_stopped_clock_are_not_known() {
    let machine = Machine::new().timed_with_a_stopped_clock();
    let not_ok = [("fallbacks", "unknown"), ("cost", "unknown")];
    expect("stopped-clock", &machine, &not_ok);
}

// ---------------------------------------------------------------------------------------------
// Clocksources

#[test]
fn an_ordinary_pc_is_on_the_fast_path() {
    expect("tsc", &Machine::new(), &[]);
}

#[test]
fn kvm_clock_is_read_by_the_vdso_if_the_host_marks_it_stable() {
    let machine = Machine::new()
        .made_by("QEMU", "Standard PC (Q35 + ICH9, 2009)")
        .virtual_cpu("constant_tsc")
        .clocksource("kvm-clock", "kvm-clock acpi_pm");
    expect("kvm-clock", &machine, &[("clocksource", "warn")]);
    let machine = machine.measured(16, 16);
    expect("kvm-clock-unstable", &machine, &SLOW);
    let machine = machine.write("/measurements.json", unmeasured("fork is refused"));
    let not_ok = [("clocksource", "warn"), ("fallbacks", "unknown")];
    expect("kvm-clock-unmeasured", &machine, &not_ok);
}

#[test]
fn hyper_v_has_a_fast_and_a_slow_clocksource() {
    let machine = Machine::new()
        .made_by("Microsoft Corporation", "Virtual Machine")
        .virtual_cpu("constant_tsc")
        .clocksource("hyperv_clocksource_tsc_page", "hyperv_clocksource_tsc_page acpi_pm");
    expect("hyperv-page", &machine, &[]);
    let machine = machine
        .clocksource("hyperv_clocksource_msr", "hyperv_clocksource_msr acpi_pm")
        .measured(16, 16);
    expect("hyperv-msr", &machine, &SLOW);
}

#[test]
fn xen_is_slow_and_its_counter_can_be_switched_to() {
    let machine = Machine::new()
        .write("/sys/hypervisor/type", "xen\n")
        .virtual_cpu("constant_tsc nonstop_tsc")
        .clocksource("xen", "xen tsc hpet acpi_pm")
        .measured(16, 16);
    expect("xen", &machine, &SLOW);
    let machine = machine.virtual_cpu("").clocksource("xen", "xen");
    expect("xen-no-invariant-tsc", &machine, &SLOW);
}

const SLOW: [(&str, &str); 2] = [("clocksource", "fail"), ("fallbacks", "fail")];

#[test]
fn a_counter_that_the_kernel_found_unstable_is_named_with_the_kernels_words() {
    let machine = Machine::new().clocksource("hpet", "hpet acpi_pm").measured(16, 16).log(&[
        "clocksource: Switched to clocksource tsc",
        "clocksource: timekeeping watchdog on CPU3: Marking clocksource 'tsc' as unstable because \
         the skew is too large:",
        "tsc: Marking TSC unstable due to clocksource watchdog",
        "clocksource: Switched to clocksource hpet",
    ]);
    expect("tsc-unstable", &machine, &SLOW);
}

#[test]
fn without_the_kernels_log_an_unstable_counter_is_still_suspected() {
    let machine = Machine::new().clocksource("hpet", "hpet acpi_pm").measured(16, 16);
    expect("hpet", &machine, &SLOW);
}

#[test]
fn parameters_that_choose_another_clocksource_are_named() {
    let machine = Machine::new().measured(16, 16);
    let machine = machine.boot("clocksource=acpi_pm").clocksource("acpi_pm", "tsc hpet acpi_pm");
    expect("acpi-pm-by-parameter", &machine, &SLOW);
    let machine = machine.boot("tsc=unstable").clocksource("hpet", "hpet acpi_pm");
    expect("tsc-by-parameter", &machine, &SLOW);
    let machine = machine.boot("notsc nohpet").clocksource("jiffies", "jiffies");
    expect("jiffies-notsc", &machine, &SLOW);
}

#[test]
fn a_counter_that_is_available_but_not_used_can_be_switched_to() {
    let machine = Machine::new().clocksource("acpi_pm", "tsc hpet acpi_pm").measured(16, 16);
    expect("tsc-not-used", &machine, &SLOW);
}

#[test]
fn a_machine_without_an_invariant_counter_is_told_who_could_give_it_one() {
    let slow = |machine: Machine| machine.clocksource("acpi_pm", "acpi_pm").measured(16, 16);
    expect("no-invariant-tsc", &slow(Machine::new().cpu("fpu tsc")), &SLOW);
    for (name, vendor, product) in [
        ("kvm", "Amazon EC2", "t2.micro"),
        ("vmware", "VMware, Inc.", "VMware Virtual Platform"),
        ("virtualbox", "innotek GmbH", "VirtualBox"),
        ("unnamed", "Example", "Example"),
    ] {
        let machine = slow(Machine::new().virtual_cpu("").made_by(vendor, product));
        expect(&format!("no-invariant-tsc-{name}"), &machine, &SLOW);
    }
}

#[test]
fn a_counter_that_is_not_invariant_may_be_given_up_at_any_time() {
    let machine = Machine::new().virtual_cpu("constant_tsc");
    expect("tsc-not-invariant-virtual", &machine, &[("counter", "warn")]);
    let machine = machine.cpu("fpu tsc");
    expect("tsc-not-invariant", &machine, &[("counter", "warn")]);
    let machine = machine.virtual_cpu("tsc_reliable").made_by("VMware, Inc.", "VMware7,1");
    expect("tsc-reliable-vmware", &machine, &[]);
}

#[test]
fn a_clocksource_that_is_not_known_is_judged_by_measurement() {
    let machine = Machine::new().clocksource("sundial", "sundial");
    expect("unknown-clocksource", &machine, &[]);
    expect("unknown-clocksource-slow", &machine.measured(16, 16), &SLOW);
    let machine = Machine::new()
        .clocksource("sundial", "sundial")
        .write("/measurements.json", unmeasured("fork is refused"));
    let not_ok = [("clocksource", "unknown"), ("fallbacks", "unknown")];
    expect("unknown-clocksource-unmeasured", &machine, &not_ok);
    let machine =
        Machine::new().without("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    expect("no-sysfs", &machine, &[("clocksource", "unknown")]);
}

#[test]
fn arm64_has_a_counter_and_functions_of_its_own() {
    let all = [
        "__kernel_clock_getres",
        "__kernel_clock_gettime",
        "__kernel_getrandom",
        "__kernel_gettimeofday",
        "__kernel_rt_sigreturn",
    ];
    let machine = Machine::new()
        .write("/proc/sys/kernel/arch", "aarch64\n")
        .write("/proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n")
        .clocksource("arch_sys_counter", "arch_sys_counter")
        .image(AARCH64, &all);
    expect("arm64", &machine, &[]);
    let machine = machine.clocksource("jiffies", "jiffies").measured(16, 16);
    expect("arm64-jiffies", &machine, &SLOW);
}

// ---------------------------------------------------------------------------------------------
// The vDSO

#[test]
fn a_kernel_booted_without_a_vdso_is_told_from_one_that_has_none() {
    let machine = Machine::new().without_vdso();
    expect("no-vdso", &machine, &[("vdso", "fail"), ("fallbacks", "unknown")]);
    let machine = machine.boot("vdso=0");
    let not_ok = [("vdso-parameter", "fail"), ("vdso", "fail"), ("fallbacks", "unknown")];
    expect("vdso-0", &machine, &not_ok);
}

#[test]
fn a_vdso_that_is_hidden_replaced_or_broken_is_named() {
    let hidden = Machine::new().announce(0).write("/measurements.json", unmeasured("no vDSO"));
    expect("vdso-hidden", &hidden, &[("vdso", "fail"), ("fallbacks", "unknown")]);
    let replaced = Machine::new().remap("[vdso]", "/memfd:vdso-own (deleted)");
    expect("vdso-replaced", &replaced, &[("vdso", "warn")]);
    let broken = Machine::new().bytes_at_vdso(&[0; 4096]);
    expect("vdso-broken", &broken, &[("vdso", "fail")]);
    let nowhere = Machine::new().announce(0x5_0000);
    expect("vdso-nowhere", &nowhere, &[("vdso", "fail")]);
}

#[test]
fn functions_that_are_missing_are_named_with_the_kernel_that_has_them() {
    let without = |name: &str| -> Vec<&'static str> {
        FUNCTIONS.into_iter().filter(|function| *function != name).collect()
    };
    let old = Machine::new().release("6.1.0").image(X86_64, &without("__vdso_getrandom"));
    expect("no-getrandom-6.1", &old, &[("functions", "warn")]);
    let new = Machine::new().image(X86_64, &without("__vdso_getrandom"));
    expect("no-getrandom-6.12", &new, &[("functions", "warn")]);
    let no_clock = Machine::new().image(X86_64, &without("__vdso_clock_gettime"));
    expect("no-clock-gettime", &no_clock, &[("functions", "fail")]);
}

/// Real images, which are not in the repository: `CONTRIBUTING.md` tells about `VDSO_IMAGES`.
#[test]
fn of_real_images_only_getrandom_and_later_functions_are_missed() {
    let name = "of_real_images_only_getrandom_and_later_functions_are_missed";
    let Some(folder) = std::env::var_os("VDSO_IMAGES") else {
        eprintln!("skipped {name}: VDSO_IMAGES does not name a folder of vDSO images");
        return;
    };
    let files = fs::read_dir(folder).expect("the folder of images").flatten();
    let images: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|e| e == "so"))
        .collect();
    assert!(!images.is_empty());
    for path in images {
        let machine = Machine::new().bytes_at_vdso(&fs::read(&path).expect("an image"));
        let found = finish(doctor().arg("--json").arg("--root").arg(machine.path()));
        let document = document(&found);
        let functions = super::check(&document, "functions");
        assert_ne!(functions["status"], "fail", "{path:?}: {functions:#}");
        let missing = functions["found"]["missing"].as_array().expect("a list");
        assert!(missing.iter().all(|call| call == "getrandom"), "{path:?}: {functions:#}");
        let answered = functions["found"]["answered"].as_array().expect("a list");
        assert!(answered.iter().any(|call| call == "clock_gettime"), "{path:?}: {functions:#}");
    }
}

#[test]
fn modes_of_the_vsyscall_page_are_seen_in_the_mappings() {
    let emulate = Machine::new().boot("vsyscall=emulate").remap("--xp", "r-xp");
    expect("vsyscall-emulate", &emulate, &[("vsyscall", "warn")]);
    let none = Machine::new().boot("vsyscall=none").remap("[vsyscall]", "/somewhere");
    expect("vsyscall-none", &none, &[]);
    let xonly = Machine::new().boot("vsyscall=xonly");
    expect("vsyscall-xonly", &xonly, &[]);
}

#[test]
fn who_calls_the_vsyscall_page_is_named_and_whether_it_may() {
    // A glibc that old asks for random numbers by the system call, too.
    let old = Machine::new().old_glibc();
    expect("vsyscall-called", &old, &[("vsyscall", "warn"), ("libc", "warn")]);
    let none = old.boot("vsyscall=none").remap("[vsyscall]", "/somewhere");
    expect("vsyscall-called-none", &none, &[("vsyscall", "fail"), ("libc", "warn")]);
}

// ---------------------------------------------------------------------------------------------
// What surrounds a process

#[test]
fn seccomp_matters_where_calls_fall_back() {
    let filtered = Machine::new().status("Seccomp:\t2\nSeccomp_filters:\t3\n");
    expect("seccomp", &filtered, &[]);
    let slow = filtered.clocksource("hpet", "hpet acpi_pm").measured(16, 16);
    let not_ok = [("clocksource", "fail"), ("fallbacks", "fail"), ("seccomp", "warn")];
    expect("seccomp-slow", &slow, &not_ok);
    let strict = Machine::new().status("Seccomp:\t1\n");
    expect("seccomp-strict", &strict, &[("seccomp", "warn")]);
}

#[test]
fn a_tracer_is_named() {
    let machine = Machine::new()
        .status("TracerPid:\t4700\nSeccomp:\t0\n")
        .write("/proc/4700/comm", "strace\n")
        .write("/proc/sys/kernel/yama/ptrace_scope", "1\n");
    expect("traced", &machine, &[("tracer", "warn")]);
}

#[test]
fn a_time_namespace_is_no_problem() {
    let offsets = "monotonic      1000         500000000\nboottime      0         0\n";
    let machine = Machine::new().time_namespace(4_026_532_200, offsets);
    expect("time-namespace", &machine, &[]);
}

#[test]
fn kernels_that_are_not_linux_are_recognised() {
    let gvisor = Machine::new()
        .write("/proc/sys/kernel/osrelease", "4.4.0\n")
        .write("/proc/version", "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n")
        .without("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        .image(X86_64, &["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time"]);
    let not_ok = [("sandbox", "warn"), ("clocksource", "unknown"), ("functions", "warn")];
    expect("gvisor", &gvisor, &not_ok);
    let wsl = Machine::new().release("4.4.0-19041-Microsoft");
    expect("wsl-1", &wsl, &[("sandbox", "fail")]);
    let wsl2 = Machine::new().release("6.12.1-microsoft-standard-WSL2");
    expect("wsl-2", &wsl2, &[]);
    let no_page = Machine::new().remap("[vvar]", "");
    expect("no-vvar", &no_page, &[("sandbox", "warn")]);
}

#[test]
fn libraries_that_move_clocks_are_named() {
    let faketime = Machine::new().library("/usr/lib/faketime/libfaketimeMT.so.1");
    expect("libfaketime", &faketime, &[("preloaded", "warn")]);
    let valgrind = Machine::new().library("/usr/libexec/valgrind/vgpreload_core-amd64-linux.so");
    expect("valgrind", &valgrind, &[("preloaded", "warn")]);
}

// ---------------------------------------------------------------------------------------------
// C libraries

#[test]
fn an_old_glibc_makes_system_calls_for_getrandom() {
    let machine = Machine::new().glibc("2.36");
    expect("glibc-2.36", &machine, &[("libc", "warn")]);
    let machine = machine.image(X86_64, &FUNCTIONS[..3]).release("6.1.0");
    let found = finish(doctor().arg("--json").arg("--root").arg(machine.path()));
    // Where the kernel has none, it misses nothing.
    assert_eq!(super::check(&document(&found), "libc")["status"], "ok");
    let nameless = Machine::new().write("/proc/self/root/usr/lib/libc.so.6", "stripped");
    expect("glibc-nameless", &nameless, &[("libc", "unknown")]);
}

#[test]
fn a_32_bit_program_may_have_32_bit_time() {
    let words = [33_u32, 0x10000, 0, 0].map(u32::to_ne_bytes).concat();
    let narrow =
        |machine: Machine| machine.executable(b"\x7fELF\x01").write("/proc/self/auxv", &words);
    let machine = narrow(Machine::new().glibc("2.31"));
    expect("i386-glibc-2.31", &machine, &[("libc", "warn")]);
    let machine = narrow(Machine::new().musl("1.1.24"));
    expect("i386-musl-1.1", &machine, &[("libc", "warn")]);
}

#[test]
fn other_libraries_and_programs_without_any_are_recognised() {
    expect("musl", &Machine::new().musl("1.2.5"), &[]);
    let go = |version: &str| {
        let length = [version.len() as u8];
        [b"\xff Go buildinf:\x08\x02".as_slice(), &[0; 16], &length, version.as_bytes()].concat()
    };
    let machine = Machine::new().static_program(&go("go1.24.1"));
    expect("go-1.24", &machine, &[]);
    let machine = Machine::new().static_program(&go("go1.19.8"));
    expect("go-1.19", &machine, &[("libc", "warn")]);
    let machine = Machine::new().static_program(b"\0glibc.malloc.check\0");
    expect("glibc-static", &machine, &[]);
    let machine = Machine::new().static_program(b"");
    expect("no-libc", &machine, &[]);
    let machine = Machine::new().static_program(b"").without("/proc/self/root/usr/bin/program");
    expect("no-executable", &machine, &[("libc", "unknown")]);
}

// ---------------------------------------------------------------------------------------------
// Measurements

#[test]
fn a_c_library_that_does_not_ask_the_vdso_is_noticed() {
    expect("libc-past-the-vdso", &Machine::new().measured(0, 16), &[("fallbacks", "warn")]);
}

#[test]
fn a_single_system_call_among_many_is_no_fallback() {
    expect("one-system-call", &Machine::new().measured(1, 0), &[("cost", "warn")]);
}

#[test]
fn where_counting_is_refused_time_tells_with_a_margin() {
    expect("timed-fast", &Machine::new().timed(Some(0), 0.1), &[]);
    let slow = Machine::new().timed(Some(16), 1.2);
    expect("timed-slow", &slow, &[("fallbacks", "fail")]);
    let unsure = Machine::new().timed(None, 0.7);
    expect("timed-unsure", &unsure, &[("fallbacks", "unknown"), ("cost", "warn")]);
}

#[test]
fn a_document_that_cannot_be_read_is_an_error_with_its_path() {
    let machine = Machine::new().write("/measurements.json", "{");
    let finished = finish(doctor().arg("--root").arg(machine.path())).exited(1);
    finished.said(&["cannot read", "measurements.json"]);
}
