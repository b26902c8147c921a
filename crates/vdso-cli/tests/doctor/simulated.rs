//! A machine as a folder: what `/proc`, `/sys` and `/dev` would say on it, and what would be
//! measured there. It begins as an ordinary PC, and a test changes what it is about.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use made_images::{ByteOrder, Class, HashTables, Place, Recipe, Symbol, Versions, make};
use tempfile::TempDir;

use super::support::scratch;

/// `e_machine`.
pub const X86_64: u16 = 62;
pub const AARCH64: u16 = 183;

/// Where its process has its vDSO: low, as the file of its memory has a hole up to there.
const VDSO_ADDR: u64 = 0x10000;
/// Room for the largest image there is.
const VDSO_END: u64 = 0x30000;

/// All functions of x86-64.
pub const FUNCTIONS: [&str; 6] = [
    "__vdso_clock_getres",
    "__vdso_clock_gettime",
    "__vdso_getcpu",
    "__vdso_getrandom",
    "__vdso_gettimeofday",
    "__vdso_time",
];

/// The flags that matter of a good processor.
const FLAGS: &str = "fpu tsc rdtscp constant_tsc nonstop_tsc rdpid";

/// A simulated machine.
pub struct Machine {
    folder: TempDir,
}

impl Machine {
    /// A PC with Linux 6.12 and glibc 2.41, on the fast path.
    pub fn new() -> Self {
        let machine = Self { folder: scratch() };
        machine
            .write("/proc/sys/kernel/arch", "x86_64\n")
            .release("6.12.1")
            .write("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet\n")
            .cpu(FLAGS)
            .clocksource("tsc", "tsc hpet acpi_pm")
            .status("TracerPid:\t0\nSeccomp:\t0\n")
            .write("/proc/self/comm", "program\n")
            .time_namespace(4_026_531_834, "")
            .image(X86_64, &FUNCTIONS)
            .glibc("2.41")
            .executable(b"\x7fELF\x02")
            .measured(0, 0)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, path: &str) -> PathBuf {
        let file = self.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("a folder");
        file
    }

    /// A file with this text.
    pub fn write(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.file(path), text).expect("a file");
        self
    }

    /// A file that is not there.
    pub fn without(self, path: &str) -> Self {
        fs::remove_file(self.file(path)).expect("it was there");
        self
    }

    pub fn release(self, release: &str) -> Self {
        self.write("/proc/sys/kernel/osrelease", format!("{release}\n")).write(
            "/proc/version",
            format!("Linux version {release} (gcc 14.2.0) #1 SMP PREEMPT_DYNAMIC\n"),
        )
    }

    pub fn cpu(self, flags: &str) -> Self {
        self.write("/proc/cpuinfo", format!("model name\t: Example 9000\nflags\t\t: {flags}\n"))
    }

    /// A virtual machine whose processor has these flags of an invariant counter, or none.
    pub fn virtual_cpu(self, flags: &str) -> Self {
        self.cpu(&format!("fpu tsc rdtscp hypervisor {flags}"))
    }

    /// Who made it, in its DMI tables.
    pub fn made_by(self, vendor: &str, product: &str) -> Self {
        self.write("/sys/class/dmi/id/sys_vendor", format!("{vendor}\n"))
            .write("/sys/class/dmi/id/product_name", format!("{product}\n"))
    }

    pub fn clocksource(self, current: &str, available: &str) -> Self {
        let folder = "/sys/devices/system/clocksource/clocksource0";
        self.write(&format!("{folder}/current_clocksource"), format!("{current}\n"))
            .write(&format!("{folder}/available_clocksource"), format!("{available} \n"))
    }

    /// Adds to the kernel's command line.
    pub fn boot(self, parameters: &str) -> Self {
        self.write("/proc/cmdline", format!("root=/dev/sda1 {parameters} -- vdso=0\n"))
    }

    /// The kernel's log.
    pub fn log(self, messages: &[&str]) -> Self {
        let lines = messages.iter().map(|message| format!("6,100,2000000,-;{message}\n"));
        self.write("/dev/kmsg", lines.collect::<String>())
    }

    /// `/proc/PID/status`, with these lines added.
    pub fn status(self, lines: &str) -> Self {
        let text =
            format!("Name:\tprogram\nState:\tR (running)\nPid:\t4711\nVmSize:\t 1 kB\n{lines}");
        self.write("/proc/self/status", text)
    }

    pub fn time_namespace(self, inode: u64, offsets: &str) -> Self {
        let link = self.file("/proc/self/ns/time");
        let _ = fs::remove_file(&link);
        symlink(format!("time:[{inode}]"), link).expect("a link");
        self.write("/proc/self/timens_offsets", offsets)
    }

    pub fn executable(self, bytes: &[u8]) -> Self {
        let link = self.file("/proc/self/exe");
        let _ = fs::remove_file(&link);
        symlink("root/usr/bin/program", link).expect("a link");
        self.write("/proc/self/root/usr/bin/program", bytes)
    }

    /// What is mapped beside the vDSO and its pages: files, or kernel's names with rights.
    fn map(self, others: &str) -> Self {
        let kernels = "\
00010000-00030000 r-xp 00000000 00:00 0                                  [vdso]
0000c000-00010000 r--p 00000000 00:00 0                                  [vvar]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";
        self.write("/proc/self/maps", format!("{others}{kernels}"))
    }

    /// Changes a part of what is mapped.
    pub fn remap(self, from: &str, to: &str) -> Self {
        let path = self.file("/proc/self/maps");
        let text = fs::read_to_string(path).expect("mappings");
        assert!(text.contains(from), "no {from:?} in {text}");
        self.write("/proc/self/maps", text.replace(from, to))
    }

    /// A mapped file.
    pub fn library(self, path: &str) -> Self {
        let line = format!("00400000-00500000 r-xp 00000000 08:01 12          {path}\n");
        let maps = fs::read_to_string(self.file("/proc/self/maps")).expect("mappings");
        self.write("/proc/self/maps", line + &maps)
    }

    pub fn glibc(self, version: &str) -> Self {
        let banner = format!("\0GNU C Library (Example) stable release version {version}.\n\0");
        self.map("")
            .library("/usr/lib/libc.so.6")
            .write("/proc/self/root/usr/lib/libc.so.6", banner)
    }

    /// A glibc of that time, whose `time` calls the legacy page.
    pub fn old_glibc(self) -> Self {
        const HEADERS_BYTES: usize = 64 + 56;
        let code = b"\x48\xc7\xc0\x00\x04\x60\xff\xff\xd0\xc3\0GNU C Library stable release version 2.12.\n\0";
        let mut file = vec![0; HEADERS_BYTES];
        // ELF header: class, byte order, machine; one segment, which can be executed.
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        for (at, value) in [(18, 62), (32, 64), (54, 56), (56, 1), (64, 1), (68, 5)] {
            file[at] = value;
        }
        file[72] = HEADERS_BYTES as u8;
        file[96] = code.len() as u8;
        file.extend(code);
        self.map("").library("/usr/lib/libc.so.6").write("/proc/self/root/usr/lib/libc.so.6", file)
    }

    pub fn musl(self, version: &str) -> Self {
        let path = "/lib/ld-musl-x86_64.so.1";
        let strings = format!("\0{version}\0musl libc (x86_64)\nVersion %s\n\0");
        self.map("").library(path).write(&format!("/proc/self/root{path}"), strings)
    }

    /// No library at all; what the executable holds.
    pub fn static_program(self, strings: &[u8]) -> Self {
        self.map("").executable(&[b"\x7fELF\x02", strings].concat())
    }

    /// The vDSO's image, which exports these.
    pub fn image(self, machine: u16, functions: &[&'static str]) -> Self {
        let function =
            |(piece, name): (u32, &&'static str)| Symbol::function(name, Place::Piece(piece));
        let image = make(&Recipe {
            machine,
            hash_tables: HashTables::SystemV,
            versions: Versions::None,
            symbols: (0..).zip(functions).map(function).collect(),
            notes: Vec::new(),
            ..Recipe::new(Class::Elf64, ByteOrder::Little)
        });
        self.bytes_at_vdso(&image.bytes)
    }

    pub fn bytes_at_vdso(self, bytes: &[u8]) -> Self {
        let memory = File::create(self.file("/proc/self/mem")).expect("a file");
        memory.write_all_at(bytes, VDSO_ADDR).expect("a file may have holes");
        memory.set_len(VDSO_END).expect("a file may have holes");
        self.announce(VDSO_ADDR)
    }

    /// The auxiliary vector, for programs of 64 bits.
    pub fn announce(self, addr: u64) -> Self {
        let words = [6, 4096, 33, addr, 0, 0].map(u64::to_ne_bytes);
        self.write("/proc/self/auxv", words.concat())
    }

    /// No vDSO, as with `vdso=0`.
    pub fn without_vdso(self) -> Self {
        let words = [6_u64, 4096, 0, 0].map(u64::to_ne_bytes);
        let maps = "\
00400000-00500000 r-xp 00000000 08:01 12          /usr/lib/libc.so.6
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";
        self.write("/proc/self/auxv", words.concat())
            .write("/proc/self/maps", maps)
            .write("/measurements.json", unmeasured("this process has no vDSO"))
    }

    /// How many system calls came of 16 calls: of a clock by the vDSO, and through the C library.
    pub fn measured(self, vdso: u32, libc: u32) -> Self {
        let fallback = |call: &str, through: &str, count: u32| {
            serde_json::json!({
                "call": call, "through": through, "calls": 16, "system_calls": count,
                "always_goes_to_the_kernel": call.contains("CPUTIME"),
            })
        };
        let monotonic = "clock_gettime(CLOCK_MONOTONIC)";
        let ratio = if vdso > 0 { 1.1 } else { 0.125 };
        let measurements = serde_json::json!({
            "method": "ptrace", "method_reason": null,
            "fallbacks": [
                fallback(monotonic, "vdso", vdso),
                fallback(monotonic, "libc", libc),
                fallback("clock_gettime(CLOCK_PROCESS_CPUTIME_ID)", "vdso", 16),
                fallback("getcpu", "vdso", 0),
            ],
            "costs": [{
                "call": monotonic, "vdso_median_ns": 200.0 * ratio,
                "system_call_median_ns": 200.0, "ratio": ratio,
            }],
        });
        self.write("/measurements.json", measurements.to_string())
    }

    /// As [`Machine::measured`], with one more call that always goes to the kernel.
    pub fn falling_back(self, call: &str) -> Self {
        let path = self.file("/measurements.json");
        let text = fs::read_to_string(path).expect("it was measured");
        let mut measurements: serde_json::Value = serde_json::from_str(&text).expect("a document");
        let fallbacks = measurements["fallbacks"].as_array_mut().expect("a list");
        fallbacks.retain(|fallback| fallback["call"] != call);
        fallbacks.push(serde_json::json!({
            "call": call, "through": "vdso", "calls": 16, "system_calls": 16,
            "always_goes_to_the_kernel": false,
        }));
        self.write("/measurements.json", measurements.to_string())
    }

    /// Measured by time alone, with a clock that stood still.
    pub fn timed_with_a_stopped_clock(self) -> Self {
        let machine = self.timed(None, 0.0);
        let path = machine.file("/measurements.json");
        let text = fs::read_to_string(path).expect("it was measured");
        let mut measurements: serde_json::Value = serde_json::from_str(&text).expect("a document");
        let cost = &mut measurements["costs"][0];
        cost["system_call_median_ns"] = 0.0.into();
        cost["ratio"] = serde_json::Value::Null;
        machine.write("/measurements.json", measurements.to_string())
    }

    /// Measured by time alone.
    pub fn timed(self, system_calls: Option<u32>, ratio: f64) -> Self {
        let monotonic = "clock_gettime(CLOCK_MONOTONIC)";
        let measurements = serde_json::json!({
            "method": "timing", "method_reason": "a child may not be traced here",
            "fallbacks": [{
                "call": monotonic, "through": "vdso", "calls": 16, "system_calls": system_calls,
                "always_goes_to_the_kernel": false,
            }],
            "costs": [{
                "call": monotonic, "vdso_median_ns": 200.0 * ratio,
                "system_call_median_ns": 200.0, "ratio": ratio,
            }],
        });
        self.write("/measurements.json", measurements.to_string())
    }
}

/// Measurements of a machine where nothing could be measured.
pub fn unmeasured(reason: &str) -> String {
    serde_json::json!({
        "method": null, "method_reason": reason, "fallbacks": [], "costs": [],
    })
    .to_string()
}
