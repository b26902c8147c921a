//! What can go wrong, named by what was attempted.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::Pid;

/// A result of this crate's.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be put somewhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("cannot {attempt}{}: {}", of_process(*.pid), errno.desc())]
    System {
        /// What the system call was made for.
        attempt: Attempt,
        /// On which process, if not this one.
        pid: Option<Pid>,
        /// The error number by which the kernel has refused it.
        errno: Errno,
    },
    /// The kernel's image in a process is not one.
    #[error("the kernel's image cannot be read: {0}")]
    Image(vdso_elf::Error),
    /// The image has no file.
    #[error(transparent)]
    File(#[from] vdso_map::Error),
    /// The program's stack is not as `execve` leaves it.
    #[error("process {pid} has no readable initial stack")]
    Stack {
        /// The process whose stack cannot be read.
        pid: Pid,
    },
    /// The kernel's vDSO is not where the program's stack says.
    #[error("the stack of process {pid} names another vDSO than the kernel's")]
    VdsoPlace {
        /// The process whose stack names another vDSO.
        pid: Pid,
    },
    /// A program of another kind than this one, for which there is no image.
    #[error("process {pid} is a 32-bit program ({abi})")]
    Foreign {
        /// The process of the program that gets no image.
        pid: Pid,
        /// The name of its kind of programs, as `i386`.
        abi: &'static str,
    },
    /// A program of another kind than this one, which somebody else traces.
    #[error("process {pid}, a 32-bit program ({abi}), is traced by somebody else")]
    ForeignTraced {
        /// The process of the program that gets no image.
        pid: Pid,
        /// The name of its kind of programs, as `i386`.
        abi: &'static str,
    },
    /// A program of another kind than this one, to which the kernel gives no vDSO.
    #[error("the kernel gives process {pid}, a 32-bit program ({abi}), no vDSO")]
    NoVdso {
        /// The process that has no vDSO.
        pid: Pid,
        /// The name of its kind of programs, as `i386`.
        abi: &'static str,
    },
    /// This process has other threads, which would not be there in its forked children.
    #[error("a process that launches programs may have one thread only")]
    Threads,
    /// Nothing is put into programs on this architecture.
    #[error("programs cannot be given a clock on {} yet", std::env::consts::ARCH)]
    Architecture,
    /// Files cannot have the times of a clock of the program's own on this architecture.
    #[error(
        "files cannot have the times of a program's own clock on {} yet",
        std::env::consts::ARCH
    )]
    FileTimes,
    /// A program's calls for a clock of its own are not reported on this architecture, so it needs the functions.
    #[error(
        "functions cannot be hidden from programs with a clock of their own on {} yet",
        std::env::consts::ARCH
    )]
    Off,
    /// A seccomp filter of the program's own, or of one that it comes from, refuses calls without which
    /// the image cannot be mapped.
    #[error("a seccomp filter installed below the launch does not let process {pid} map the image")]
    Confined {
        /// The process that has the filter.
        pid: Pid,
    },
    /// A program calls the legacy vsyscall page, and there is no room for functions that stand in for it.
    #[error("the code of process {pid}, which calls the vsyscall page, has no room behind it")]
    VsyscallRoom {
        /// The process of the program.
        pid: Pid,
    },
    /// A program that has begun to run is given its clock only while it has one thread.
    #[error("process {pid} has several threads already")]
    ManyThreads {
        /// The process that has several threads.
        pid: Pid,
    },
    /// A program did not leave what it must not be interrupted in.
    #[error("process {pid} cannot be stopped where its clock could be put in")]
    Busy {
        /// The process that could not be stopped in time.
        pid: Pid,
    },
    /// There is no room for jumps behind the kernel's vDSO.
    #[error("the kernel's vDSO in process {pid} has no room to be changed")]
    NoRoom {
        /// The process whose copy of the kernel's vDSO is full.
        pid: Pid,
    },
    /// The process that was giving the program its clock was killed in the middle.
    #[error("the supervisor was killed while process {pid} began")]
    TracerKilled {
        /// The process that was to get the clock.
        pid: Pid,
    },
    /// Nobody answered a program's request for the image's file.
    #[error("process {pid} was given no descriptor of the image")]
    NoAnswer {
        /// The process that asked for the file.
        pid: Pid,
    },
    /// What a program has under the number of the image's file is another file.
    #[error("process {pid} was given another file than the image, and has not used it")]
    AnotherFile {
        /// The process that has another file.
        pid: Pid,
    },
    /// It is none of the kernel's processes that have programs.
    #[error("process {pid} is the kernel's, and has no program")]
    KernelThread {
        /// The process without a program.
        pid: Pid,
    },
    /// Only one process can trace a thread.
    #[error("process {pid} is traced by process {tracer} already")]
    Traced {
        /// The process that is traced.
        pid: Pid,
        /// Whoever traces it.
        tracer: Pid,
    },
    /// Its clocks are moved already, by the kernel, as those of this process are not.
    #[error("process {pid} is in another time namespace")]
    TimeNamespace {
        /// The process in that namespace.
        pid: Pid,
    },
    /// The program was started with another image than the kernel's, which answers it.
    #[error("process {pid} was started with an image in place of the kernel's vDSO")]
    HasImage {
        /// The process that has an image.
        pid: Pid,
    },
    /// There is nothing that could jump to an image.
    #[error("process {pid} has no vDSO of the kernel's")]
    WithoutVdso {
        /// The process that has none.
        pid: Pid,
    },
    /// A process that still runs has attached an image, or is about to.
    #[error("somebody else has an image attached to process {pid}")]
    Attached {
        /// The process that has an image.
        pid: Pid,
    },
    /// Nothing says that an image was attached.
    #[error("process {pid} has no image attached")]
    NotAttached {
        /// The process without an image.
        pid: Pid,
    },
    /// Both execute the same code, and only the threads of one process are stopped.
    #[error("process {pid} shares its memory with process {other}")]
    SharedMemory {
        /// The process that was to get an image.
        pid: Pid,
        /// The other one.
        other: Pid,
    },
    /// What its filter says to the calls that attaching takes cannot be read, and may be its end.
    #[error("process {pid} has a seccomp filter, which may end it for the calls that map an image")]
    Filtered {
        /// The process that has a filter.
        pid: Pid,
    },
    /// What taking an image away needs cannot be kept or read.
    #[error("cannot keep what is changed in a process in {}: {error}", path.display())]
    Record {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// The process ended while it was worked on.
    #[error("process {pid} ended")]
    Gone {
        /// The process that has ended.
        pid: Pid,
    },
}

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Attempt {
    /// `fork`, `execveat`, `ptrace`.
    #[error("look at the kernel's vDSO for 32-bit programs in a process of vdso's own")]
    Probe,
    /// `eventfd2`, by the program.
    #[error("make a descriptor for the image")]
    MakeDescriptor,
    /// `SECCOMP_IOCTL_NOTIF_ADDFD`, or the request that it answers.
    #[error("give the program a descriptor of the image")]
    GiveFile,
    /// `fstat`, by the program.
    #[error("look at the image's descriptor")]
    CheckFile,
    /// `madvise`, by the program.
    #[error("take the injected code away")]
    Uncover,
    /// `mmap`, `mprotect`.
    #[error("map the image")]
    Map,
    /// `fork`.
    #[error("start a process")]
    Fork,
    /// `PTRACE_SEIZE`.
    #[error("trace the program at its start")]
    Seize,
    /// `PTRACE_SEIZE`.
    #[error("trace the running program")]
    SeizeRunning,
    /// `openat`, by the program.
    #[error("have the program open the image's file")]
    OpenFile,
    /// `munmap`, by the program.
    #[error("unmap the image")]
    Unmap,
    /// `kcmp`.
    #[error("look whether processes share memory")]
    CompareMemory,
    /// Other ptrace requests.
    #[error("control the traced program")]
    Trace,
    /// `process_vm_readv`.
    #[error("read the memory")]
    ReadMemory,
    /// `/proc/PID/mem`.
    #[error("write the memory")]
    WriteMemory,
    /// `/proc/PID/stat`, `/proc/PID/maps`.
    #[error("read /proc")]
    ReadProc,
    /// `seccomp`.
    #[error("install a seccomp filter to follow children")]
    Filter,
    /// Descriptors and messages between our own processes.
    #[error("talk to the supervisor")]
    Supervisor,
}

impl Error {
    /// What the kernel said, if that is what this is about.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { errno, .. } => Some(*errno),
            Self::Gone { .. } => Some(Errno::ESRCH),
            _ => None,
        }
    }

    /// A failed call that concerns this process.
    pub fn on_self(attempt: Attempt, errno: Errno) -> Self {
        Self::System { attempt, pid: None, errno }
    }

    /// A failed call on another process.
    pub fn on(pid: Pid, attempt: Attempt, errno: Errno) -> Self {
        match errno {
            Errno::ESRCH => Self::Gone { pid },
            errno => Self::System { attempt, pid: Some(pid), errno },
        }
    }
}

fn of_process(pid: Option<Pid>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
