//! A supervisor as the tests want it: right, wrong, or gone.

use std::cell::Cell;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libc::sock_filter;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use vdso_arch::ByteOrder;
use vdso_arch::abi::rows;
use vdso_arch::system_call::Numbers;
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_host::Host;
use vdso_image::Source;
use vdso_inject::arch::{ABIS, Abi};
use vdso_inject::exec::{
    Announce, Companion, CompanionFile, FileBy, KernelVdso, Payload, find_padding, inject,
};
use vdso_inject::ptrace::{Detached, Seized, Stop, Stopped, Told};
use vdso_inject::stub::{REQUEST, REQUEST_ANNOUNCE, REQUEST_FILE, REQUEST_RESCUE};
use vdso_inject::{Error, ProgramFile, ProgramRoom};

/// The token of these launches; its halves differ, and are in nobody's memory by chance.
pub const TOKEN: u64 = 0x5eed_c0de_1bad_b002;

/// By how much the image moves all clocks.
pub const OFFSET_SEC: i64 = 1_000_000;

/// A program to be started.
#[derive(Debug)]
pub struct Program {
    pub path: PathBuf,
    pub kind: Kind,
    pub code: Code,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    X86_64,
    I386,
}

/// What a program's code is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// There is room behind it on its last page.
    Plain,
    /// It ends where that page does.
    Filled,
    /// The same, and it may be written to.
    Writable,
}

/// Where the stub goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind the kernel's vDSO.
    Vdso,
    /// Behind the program's code, or over it where there is no room.
    Code,
}

impl Place {
    pub const ALL: [Self; 2] = [Self::Vdso, Self::Code];
}

/// What a request for the file is answered.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The image's file.
    Image,
    /// This file.
    File(BorrowedFd<'a>),
    /// Zero, and no file.
    Nothing,
    Error(Errno),
    /// Nothing at all: the supervisor goes.
    Gone,
}

/// One start of a program.
#[derive(Debug)]
pub struct Play<'a> {
    pub program: &'a Program,
    pub place: Place,
    pub answer: Answer<'a>,
    pub stdin: Option<BorrowedFd<'a>>,
    pub output: Option<OwnedFd>,
    /// A call that the program's own filter refuses.
    pub refused: Option<&'static str>,
    /// How many descriptors it may have.
    pub descriptors: Option<u64>,
    pub is_followed: bool,
    /// `SECCOMP_FILTER_FLAG_*` of the filter that reports.
    pub listener_flags: libc::c_ulong,
    /// The step at which the supervisor is killed.
    pub dies_at: Option<usize>,
}

/// How many steps there are.
pub const STEPS: usize = 8;

/// How it ended.
#[derive(Debug)]
pub struct End {
    pub code: Option<i32>,
    pub output: String,
    pub announced: usize,
    /// Why the stub gave up.
    pub reason: Option<u64>,
}

/// All of them that can be given an image here, built once.
pub fn programs() -> &'static [Program] {
    static BUILT: OnceLock<Vec<Program>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut programs = known_programs();
        if vdso_image::companion().is_none() {
            programs.retain(|program| program.kind == Kind::X86_64);
            test_support::skip(test_support::Lacking::Toolchain, "stub/i386", "this build has no image for i386 programs: rustup target add i686-unknown-linux-gnu, or VDSO_RUST_SRC for cargo xtask test");
        }
        programs.iter().for_each(Program::build);
        programs
    })
}

/// Those of an earlier call of [`programs`], in whichever process.
pub fn known_programs() -> Vec<Program> {
    let kinds = [Kind::X86_64, Kind::I386];
    let codes = [Code::Plain, Code::Filled, Code::Writable];
    kinds.into_iter().flat_map(|kind| codes.map(|code| Program::new(kind, code))).collect()
}

impl Program {
    fn new(kind: Kind, code: Code) -> Self {
        let name = format!("start-{kind:?}-{code:?}");
        Self { path: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), kind, code }
    }

    fn build(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub");
        let mut gcc = Command::new("gcc");
        gcc.args(["-nostdlib", "-static", "-no-pie"]);
        gcc.arg(format!("-DTOKEN={:#x}", TOKEN & 0xffff_ffff));
        match self.kind {
            Kind::X86_64 => gcc.arg(folder.join("start64.S")),
            Kind::I386 => gcc.arg("-m32").arg(folder.join("start32.S")),
        };
        match self.code {
            Code::Plain => gcc.arg("-Wl,-z,separate-code"),
            Code::Filled => gcc.args(["-DFILLED", "-Wl,-z,separate-code"]),
            Code::Writable => gcc.args(["-DFILLED", "-Wl,-N", "-Wl,--no-warn-rwx-segments"]),
        };
        // Renamed when done: another process of this test may be running it.
        let draft = self.path.with_extension(std::process::id().to_string());
        assert!(gcc.arg("-o").arg(&draft).status().expect("gcc is installed").success(), "{gcc:?}");
        std::fs::rename(&draft, &self.path).expect("both are in one folder");
    }
}

/// What programs get.
pub fn payload() -> Payload {
    static HOST: OnceLock<Host> = OnceLock::new();
    let host = HOST.get_or_init(|| Host::find().expect("/proc is mounted"));
    let file =
        ProgramFile::create("vdso-test", &vdso_image::tailor(Source::Chain, &host.image).bytes)
            .expect("a file in memory");
    vdso_host::initialise(file.page(), &transforms());
    let room = room();
    let companion_file = CompanionFile::Own(room.clone());
    let make = move |_: &'static Abi, kernel: &KernelVdso| companion(&room, kernel);
    let companion = Companion::new("i386", companion_file, Box::new(make));
    let padding = find_padding();
    let template = vdso_data::process::Template {
        hres: None,
        raw: None,
        ..host.template(&vdso_image::FORWARDED)
    };
    Payload {
        file,
        template,
        padding,
        detours: vdso_inject::detour::Detours::default(),
        counts: None,
        companions: vec![companion],
    }
}

fn transforms() -> [Transform; clock::LINES] {
    let offset = Timespec { sec: OFFSET_SEC, nsec: 0 };
    [Transform { offset, base: Timespec::default(), rate: Rate::ONE }; clock::LINES]
}

/// For the image of i386 programs.
pub fn room() -> ProgramRoom {
    let i386 = ABIS.iter().find(|abi| abi.name == "i386").expect("it is known");
    ProgramRoom::create(i386, "vdso-test-i386").expect("a file")
}

pub fn companion(room: &ProgramRoom, kernel: &KernelVdso) -> vdso_inject::Result<Payload> {
    let tailored = vdso_image::tailor_companion(&kernel.image).ok_or(Error::Architecture)?;
    let file = room.fill(&tailored.bytes)?;
    vdso_host::initialise(file.page(), &transforms());
    let template = vdso_host::functions(file.architecture(), &kernel.image);
    Ok(Payload {
        file,
        template,
        padding: None,
        detours: vdso_inject::detour::Detours::default(),
        counts: None,
        companions: Vec::new(),
    })
}

/// A program that is traced, at its first instruction.
pub fn at_exec(thread: Seized) -> Stopped {
    match thread.wait() {
        Told::Stopped(thread) if thread.stop() == Stop::Exec => thread,
        other => panic!("{other:?}"),
    }
}

/// What others fork meanwhile would keep a listener open.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Play<'a> {
    pub fn of(program: &'a Program) -> Self {
        Self {
            program,
            place: Place::Vdso,
            answer: Answer::Image,
            stdin: None,
            output: None,
            refused: None,
            descriptors: None,
            is_followed: true,
            listener_flags: 0,
            dies_at: None,
        }
    }

    /// Starts the program and plays its supervisor.
    pub fn run(&self) -> End {
        let _alone = alone();
        let mut payload = payload();
        if self.place == Place::Code {
            payload.padding = None;
        }
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
        let output = self.output.as_ref().map_or(write.as_fd(), |fd| fd.as_fd());
        let inherited = (!self.is_followed).then(|| self.inherited(&payload));
        let child = Child::fork(self, output, inherited.as_ref().map(AsRawFd::as_raw_fd));
        drop(write);
        let mut end = End { code: None, output: String::new(), announced: 0, reason: None };
        self.supervise(&payload, child, inherited.map(|fd| fd.as_raw_fd()), &mut end);
        File::from(read).read_to_string(&mut end.output).expect("text");
        end
    }

    /// What the program inherits in the place of the image's file; closed when it starts, if that is nothing.
    fn inherited(&self, payload: &Payload) -> OwnedFd {
        let file = match self.answer {
            Answer::File(file) => file,
            _ => payload.file.as_fd(),
        };
        file.try_clone_to_owned().expect("a descriptor")
    }

    fn supervise(&self, payload: &Payload, child: Child, inherited: Option<i32>, end: &mut End) {
        let step = Cell::new(0);
        let may_die = || {
            if self.dies_at == Some(step.replace(step.get() + 1)) {
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)
                    .expect("this process's end");
            }
        };
        let pid = child.pid;
        let thread = Seized::seize(pid).expect("it can be traced");
        child.go();
        let mut listener = child.listener();
        if let Some(listener) = &listener {
            let report = listener.receive().expect("it execs");
            listener.send(report.id, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
        }
        let mut thread = at_exec(thread);
        may_die();
        let by = inherited.map_or(FileBy::Request, FileBy::Inheritance);
        inject(&mut thread, payload, by, Announce::ToSupervisor, TOKEN).expect("injection");
        may_die();
        assert!(matches!(thread.detach(), Detached::Free), "it can be let go");
        may_die();
        while let Some(report) = listener.as_ref().and_then(Listener::receive) {
            let [name, request, argument, token, ..] = report.data.args;
            assert_eq!(name as u32, REQUEST);
            assert_eq!(
                token,
                if self.program.kind == Kind::I386 { TOKEN & 0xffff_ffff } else { TOKEN }
            );
            let fd = listener.as_ref().expect("there is one");
            match request {
                REQUEST_FILE => {
                    may_die();
                    match self.answer {
                        Answer::Image | Answer::File(_) => {
                            let abi = abi_of(self.program.kind);
                            let image = payload.file_for(abi).expect("made");
                            let file =
                                if let Answer::File(file) = self.answer { file } else { image };
                            // Twice, as a successor may.
                            fd.put(report.id, file, argument as u32);
                            may_die();
                            fd.put(report.id, file, argument as u32);
                            fd.send(report.id, 0, 0, 0);
                            may_die();
                        }
                        Answer::Nothing => fd.send(report.id, 0, 0, 0),
                        Answer::Error(errno) => fd.send(report.id, 0, -(errno as i32), 0),
                        Answer::Gone => listener = None,
                    }
                }
                REQUEST_ANNOUNCE => {
                    may_die();
                    end.announced += 1;
                    fd.send(report.id, 0, -libc::EINVAL, 0);
                    may_die();
                }
                REQUEST_RESCUE => {
                    end.reason = Some(argument);
                    fd.send(report.id, 0, -libc::ENOSYS, 0);
                }
                other => panic!("asks for {other}"),
            }
        }
        match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it ends") {
            WaitStatus::Exited(_, code) => end.code = Some(code),
            other => panic!("{other:?}"),
        }
    }
}

fn abi_of(kind: Kind) -> &'static Abi {
    let name = match kind {
        Kind::X86_64 => "x86-64",
        Kind::I386 => "i386",
    };
    vdso_inject::arch::ABIS.iter().find(|abi| abi.name == name).expect("one of them")
}

/// A process that is about to become the program.
pub struct Child {
    pid: Pid,
    go: OwnedFd,
    number: OwnedFd,
    is_followed: bool,
}

impl Child {
    pub fn fork(play: &Play<'_>, output: BorrowedFd<'_>, inherited: Option<i32>) -> Self {
        let cloexec = nix::fcntl::OFlag::O_CLOEXEC;
        let (wait, go) = nix::unistd::pipe2(cloexec).expect("a pipe");
        let (number, tell) = nix::unistd::pipe2(cloexec).expect("a pipe");
        let path = CString::new(play.program.path.as_os_str().as_bytes()).expect("a path");
        let filters = [refusing(play), play.is_followed.then(reporting)];
        // SAFETY: the child makes nothing but system calls.
        match unsafe { libc::fork() } {
            0 => {
                let become_program = || -> nix::Result<()> {
                    let mut byte = [0];
                    nix::unistd::read(&wait, &mut byte)?;
                    let number = prepare(play, output, &filters)?;
                    nix::unistd::write(&tell, &number.to_ne_bytes())?;
                    let arguments = [path.as_ptr(), std::ptr::null()];
                    if let (Some(fd), Answer::File(_)) = (inherited, play.answer) {
                        // SAFETY: takes numbers.
                        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
                    }
                    // SAFETY: path and arguments are valid; there is no environment.
                    unsafe {
                        libc::execve(path.as_ptr(), arguments.as_ptr(), [std::ptr::null()].as_ptr())
                    };
                    Err(Errno::last())
                };
                let _ = become_program();
                // SAFETY: ends this process.
                unsafe { libc::_exit(125) }
            }
            pid => Self { pid: Pid::from_raw(pid), go, number, is_followed: play.is_followed },
        }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn go(&self) {
        nix::unistd::write(&self.go, &[0]).expect("it waits");
    }

    pub fn listener(&self) -> Option<Listener> {
        let mut number = [0; 4];
        let length = nix::unistd::read(&self.number, &mut number).expect("its number");
        assert_eq!(length, 4, "it could not be prepared");
        if !self.is_followed {
            return None;
        }
        // SAFETY: takes numbers.
        let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid.as_raw(), 0) };
        // SAFETY: as above.
        let fd =
            unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, i32::from_ne_bytes(number), 0) };
        assert!(fd >= 0, "the listener: {}", Errno::last());
        // SAFETY: as above.
        unsafe { libc::close(pidfd as i32) };
        // SAFETY: the kernel has just made this descriptor.
        Some(Listener(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }
}

fn prepare(
    play: &Play<'_>,
    output: BorrowedFd<'_>,
    filters: &[Option<Vec<sock_filter>>; 2],
) -> nix::Result<i32> {
    if let Some(stdin) = play.stdin {
        // SAFETY: takes numbers.
        unsafe { libc::dup2(stdin.as_raw_fd(), 0) };
    }
    // SAFETY: takes numbers.
    unsafe { libc::dup2(output.as_raw_fd(), 1) };
    let _ = keep_standard_streams_alone();
    nix::sys::prctl::set_no_new_privs()?;
    let [refusing, reporting] = filters;
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | play.listener_flags;
    let number = reporting.as_ref().map(|filter| install(filter, flags));
    if let Some(refusing) = refusing {
        install(refusing, 0)?;
    }
    if let Some(descriptors) = play.descriptors {
        let limit = libc::rlimit { rlim_cur: descriptors, rlim_max: descriptors };
        // SAFETY: the structure is valid for the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
    number.unwrap_or(Ok(-1))
}

/// Whatever this process has been started with.
pub fn keep_standard_streams_alone() -> std::io::Result<()> {
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

pub fn duplicate(from: i32, to: i32) -> std::io::Result<()> {
    // SAFETY: takes numbers.
    let result = unsafe { libc::dup2(from, to) };
    Ok(Errno::result(result).map(drop)?)
}

fn install(filter: &[sock_filter], flags: libc::c_ulong) -> nix::Result<i32> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program is valid for the call, and the kernel copies it.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) };
    Errno::result(result).map(|fd| fd as i32)
}

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

fn load(offset: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

/// Skips that many instructions if the value is another.
fn unless(value: u32, skipped: u8) -> sock_filter {
    sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skipped,
        k: value,
    }
}

fn give(action: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: action }
}

/// Reports what the project's own filter does.
fn reporting() -> Vec<sock_filter> {
    let mut filter = Vec::new();
    for abi in vdso_inject::arch::ABIS {
        let calls = abi.calls;
        filter.extend([load(ARCHITECTURE), unless(calls.audit_arch, 7), load(NUMBER)]);
        filter.extend([unless(calls.execve, 1), give(libc::SECCOMP_RET_USER_NOTIF)]);
        filter.extend([unless(calls.prctl, 3), load(FIRST_ARGUMENT), unless(REQUEST, 1)]);
        filter.push(give(libc::SECCOMP_RET_USER_NOTIF));
    }
    filter.push(give(libc::SECCOMP_RET_ALLOW));
    filter
}

/// Refuses a call in both kinds of programs.
fn refusing(play: &Play<'_>) -> Option<Vec<sock_filter>> {
    let number = |numbers: &Numbers| match play.refused? {
        "eventfd2" => Some(numbers.eventfd2),
        "fstat" => numbers.fstat,
        "mmap" => Some(numbers.mmap),
        "mprotect" => Some(numbers.mprotect),
        "munmap" => Some(numbers.munmap),
        "brk" => Some(numbers.brk),
        "madvise" => Some(numbers.madvise),
        "prctl" | "setmm" => Some(numbers.prctl),
        other => panic!("no number of {other}"),
    };
    let is_any = play.refused != Some("setmm");
    let mut filter = Vec::new();
    for abi in [&rows::X86_64, &rows::I386] {
        let architecture = abi.audit_arch(ByteOrder::Little);
        let number = number(abi.numbers.expect("a table"))?;
        filter.extend([
            load(ARCHITECTURE),
            unless(architecture, 5),
            load(NUMBER),
            unless(number, 3),
        ]);
        filter.push(load(FIRST_ARGUMENT));
        let set_mm = unless(libc::PR_SET_MM as u32, 1);
        filter.push(if is_any { sock_filter { jf: 0, ..set_mm } } else { set_mm });
        filter.push(give(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    }
    filter.push(give(libc::SECCOMP_RET_ALLOW));
    Some(filter)
}

pub struct Listener(OwnedFd);

nix::ioctl_readwrite!(notif_recv, b'!', 0, libc::seccomp_notif);
nix::ioctl_readwrite!(notif_send, b'!', 1, libc::seccomp_notif_resp);
nix::ioctl_write_ptr!(notif_addfd, b'!', 3, libc::seccomp_notif_addfd);

impl Listener {
    /// The next report; `None` when nobody is left to make one.
    pub fn receive(&self) -> Option<libc::seccomp_notif> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).expect("it can be waited for");
        // SAFETY: all zeros is a valid value, and the one that the kernel wants.
        let mut report: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is the one that the request takes.
        unsafe { notif_recv(self.0.as_raw_fd(), &mut report) }.ok().map(|_| report)
    }

    pub fn send(&self, id: u64, val: i64, error: i32, flags: u32) {
        let mut answer = libc::seccomp_notif_resp { id, val, error, flags };
        // SAFETY: the structure is the one that the request takes.
        unsafe { notif_send(self.0.as_raw_fd(), &mut answer) }.expect("it waits for the answer");
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn put(&self, id: u64, file: BorrowedFd<'_>, number: u32) {
        let given = libc::seccomp_notif_addfd {
            id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: file.as_raw_fd() as u32,
            newfd: number,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        // SAFETY: the structure is the one that the request takes.
        unsafe { notif_addfd(self.0.as_raw_fd(), &given) }.expect("it waits for the answer");
    }
}
