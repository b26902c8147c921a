//! The list of test programs. `test-programs/README.md` describes each; the neighbour `recipe`
//! knows how each is built.

/// A program of the folder `test-programs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// `clocks.c`, dynamic, with the system's C library.
    CDynamic,
    /// `clocks.c`, static, at a fixed address.
    CStatic,
    /// `clocks.c`, static, at a random address.
    CStaticPie,
    /// `clocks.c`, dynamic, with musl.
    CMusl,
    /// `clocks.c`, static, with musl.
    CMuslStatic,
    /// `clocks.c` as a 32-bit x86 program.
    CI386,
    /// `clocks.c` with x86-64's instructions and 32-bit pointers.
    CX32,
    /// `clocks.py`, run by `python3`.
    Python,
    /// `clocks.pl`, run by `perl`.
    Perl,
    /// `clocks.sh`, run by `bash`.
    Bash,
    /// `clocks.rs`.
    Rust,
    /// `nolibc.rs`: static, no C library, no std; reads clocks by this project's own client.
    NoLibc,
    /// The folder `go`: static, no C library.
    Go,
    /// The folder `java`, run by `java`.
    Java,
    /// The folder `node`, run by `node`.
    Node,
    /// `exceptions.cc`: throws and catches; prints no clock.
    Exceptions,
    /// `exit.S`: ends at once; prints nothing.
    Exit,
    /// `script.sh`: a `#!` script that becomes `clocks.c`, with the same arguments.
    Script,
    /// `random/storm.c`: the vDSO's getrandom under forks, clones, threads and signals at once.
    RandomStorm,
    /// `random/stream.c`: as many bytes of the vDSO's getrandom as it is asked for.
    RandomStream,
    /// `exec-storm.c`, dynamic: starts children that read a clock, as fast as it can.
    ExecStorm,
    /// `exec-storm.c`, static.
    ExecStormStatic,
    /// `exec-storm.c` as a 32-bit x86 program.
    ExecStormI386,
    /// `exec-storm.c` with x86-64's instructions and 32-bit pointers.
    ExecStormX32,
}

impl Program {
    /// Every program.
    pub const ALL: [Program; 24] = [
        Program::CDynamic,
        Program::CStatic,
        Program::CStaticPie,
        Program::CMusl,
        Program::CMuslStatic,
        Program::CI386,
        Program::CX32,
        Program::Python,
        Program::Perl,
        Program::Bash,
        Program::Rust,
        Program::NoLibc,
        Program::Go,
        Program::Java,
        Program::Node,
        Program::Exceptions,
        Program::Exit,
        Program::Script,
        Program::RandomStorm,
        Program::RandomStream,
        Program::ExecStorm,
        Program::ExecStormStatic,
        Program::ExecStormI386,
        Program::ExecStormX32,
    ];

    /// The builds of `clocks.c`: all of them know its modes (`loop N`, `exec N`, `auxv`, ...).
    pub const C: [Program; 7] = [
        Program::CDynamic,
        Program::CStatic,
        Program::CStaticPie,
        Program::CMusl,
        Program::CMuslStatic,
        Program::CI386,
        Program::CX32,
    ];

    /// The program's name, in messages and as a folder under the target directory.
    pub fn name(self) -> &'static str {
        match self {
            Program::CDynamic => "clocks-dynamic",
            Program::CStatic => "clocks-static",
            Program::CStaticPie => "clocks-static-pie",
            Program::CMusl => "clocks-musl",
            Program::CMuslStatic => "clocks-musl-static",
            Program::CI386 => "clocks-i386",
            Program::CX32 => "clocks-x32",
            Program::Python => "clocks-python",
            Program::Perl => "clocks-perl",
            Program::Bash => "clocks-bash",
            Program::Rust => "clocks-rust",
            Program::NoLibc => "clocks-nolibc",
            Program::Go => "clocks-go",
            Program::Java => "clocks-java",
            Program::Node => "clocks-node",
            Program::Exceptions => "exceptions",
            Program::Exit => "exit",
            Program::Script => "script",
            Program::RandomStorm => "random-storm",
            Program::RandomStream => "random-stream",
            Program::ExecStorm => "exec-storm",
            Program::ExecStormStatic => "exec-storm-static",
            Program::ExecStormI386 => "exec-storm-i386",
            Program::ExecStormX32 => "exec-storm-x32",
        }
    }

    /// Whether the program, run without arguments, prints clocks that [`Readings`] understands.
    ///
    /// [`Readings`]: crate::Readings
    pub fn prints_clocks(self) -> bool {
        !matches!(
            self,
            Program::Exceptions
                | Program::Exit
                | Program::RandomStorm
                | Program::RandomStream
                | Program::ExecStorm
                | Program::ExecStormStatic
                | Program::ExecStormI386
                | Program::ExecStormX32
        )
    }
}
