//! Programs that call the legacy vsyscall page (`vdso_vsyscall`): their code is made to call functions of its own file's
//! mapping instead. x86-64 alone.
//!
//! ```text
//! reference    mov rax, 0xffffffffff600400  ->  lea rax, [rip + function]     as long; what calls rax follows
//! function     (room behind the code)       ->  mov eax, 201; syscall; ret    or a jump to the image's function
//! ```
//!
//! It is done while the program has one thread, which waits and has not come to any of these calls: at its
//! first instruction, where the image is not mapped yet; and again when its libraries are mapped, where it is. What makes a
//! system call is as any other direct call of a clock. All of it is this process's copy of the file's pages, and
//! inherited by its forks.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_host::proc::maps::{self, Line};
use vdso_vsyscall::Entry;
use vdso_vsyscall::code::{
    FUNCTIONS, Functions, Reference, Use, function_offset, functions_at, references,
};

use crate::arch::{Abi, Word};
use crate::detour::{self, CallSites};
use crate::error::{Attempt, Error, Result};
use crate::exec::{Memory, Payload, Segments};

/// Whose calls of the page are sent elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vsyscalls {
    /// Nobody's: the kernel answers them, or ends the program.
    #[default]
    Kept,
    /// Those in programs' own files, where the address is seen to be called.
    OfPrograms,
    /// All, also those in the libraries that a program is linked with.
    OfLibraries,
}

impl Vsyscalls {
    /// Whose have to be, for programs to live on this kernel; nobody's where programs' code is to be kept.
    pub fn usual(call_sites: CallSites) -> Self {
        let is_x86_64 = cfg!(all(target_arch = "x86_64", target_pointer_width = "64"));
        if call_sites == CallSites::Kept || !is_x86_64 {
            return Self::Kept;
        }
        // Who cannot look changes nothing.
        let has_page = |maps: Vec<u8>| maps::kernels(&maps, "[vsyscall]").is_some();
        match maps::read("self").map(has_page) {
            Ok(false) => Self::OfPrograms,
            Ok(true) | Err(_) => Self::Kept,
        }
    }
}

/// Where calls of the page go.
#[derive(Clone, Copy, Debug)]
pub enum To {
    /// To functions that make the system calls.
    SystemCalls,
    /// To an image's functions, which are at these addresses, in the order of [`Entry::ALL`].
    Image([u64; Entry::ALL.len()]),
}

impl To {
    /// The image's functions in process `pid`, if it has one of this launch's.
    pub fn image_of(pid: Pid, abi: &Abi, payload: &Payload) -> Self {
        let find = || {
            let image_addr = detour::find_image(pid, abi, payload)?;
            let file = payload.image_file(abi)?;
            let addr = |name| Some(image_addr.wrapping_add(file.function(name)?));
            let [first, second, third] = Entry::ALL.map(|entry| match entry {
                Entry::Gettimeofday => addr("__vdso_gettimeofday"),
                Entry::Time => addr("__vdso_time"),
                Entry::Getcpu => addr("__vdso_getcpu"),
            });
            Some([first?, second?, third?])
        };
        find().map_or(Self::SystemCalls, Self::Image)
    }

    fn functions(self) -> Functions {
        match self {
            Self::SystemCalls => FUNCTIONS,
            Self::Image(addrs) => functions_at(addrs),
        }
    }
}

/// A program whose only thread waits for whoever has this. If it has others, nothing is changed.
#[derive(Debug)]
pub struct Program {
    pid: Pid,
    /// Of the memory that the program has now: it stays that one's if the number becomes another's.
    memory: File,
}

impl Program {
    /// The program of process `pid`. Whether that is still the process in question is to be asked after this.
    pub fn open(pid: Pid) -> Result<Self> {
        let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = memory.map_err(|error| failed(pid, Attempt::WriteMemory, &error))?;
        Ok(Self { pid, memory })
    }

    /// Sends the calls elsewhere that are in the program's file, or in any file's code; gives how many.
    ///
    /// # Errors
    /// [`Error::VsyscallRoom`] if a file's code has such calls and no room behind it; those of other files may have been
    /// sent elsewhere by then. A reference is written whole or not at all.
    pub fn send(&self, whose: Vsyscalls, to: To) -> Result<usize> {
        if self.has_threads()? {
            return Ok(0);
        }
        let (maps, own) = (self.maps()?, self.own_inode()?);
        let lines: Vec<_> = maps::lines(&maps).collect();
        let is_searched = |line: &&Line<'_>| {
            is_code(line) && (whose == Vsyscalls::OfLibraries || line.inode == own)
        };
        let mut sent = 0;
        for code in lines.iter().filter(is_searched) {
            let found = self.find(code, whose)?;
            if !found.is_empty() {
                self.rewrite(&lines, code, &found, to)?;
            }
            sent += found.len();
        }
        Ok(sent)
    }

    /// Sends calls of the program's own file, which have been sent to functions that make system calls, to others.
    pub fn send_again(&self, to: To) -> Result<()> {
        if self.has_threads()? {
            return Ok(());
        }
        let (maps, own) = (self.maps()?, self.own_inode()?);
        let lines: Vec<_> = maps::lines(&maps).collect();
        for code in lines.iter().filter(|line| line.inode == own && is_code(line)) {
            let mut there = FUNCTIONS;
            let Some(room_addr) = self.room(&lines, code, there.len() as u64)? else { continue };
            let is_there = self.memory.read_exact_at(&mut there, room_addr).is_ok();
            if is_there && there == FUNCTIONS {
                let written = self.memory.write_all_at(&to.functions(), room_addr);
                written.map_err(|error| failed(self.pid, Attempt::WriteMemory, &error))?;
            }
        }
        Ok(())
    }

    /// Others may execute what is written to: who sets up a thread so late is no C library at its start.
    fn has_threads(&self) -> Result<bool> {
        Ok(Memory::of(self.pid).threads()? != 1)
    }

    fn maps(&self) -> Result<Vec<u8>> {
        maps::read(self.pid).map_err(|error| failed(self.pid, Attempt::ReadProc, &error))
    }

    /// That of the program's own file. Not its device, too: btrfs and overlayfs have others in mappings than in stat(2).
    fn own_inode(&self) -> Result<u64> {
        let own = fs::metadata(format!("/proc/{}/exe", self.pid)).map(|file| file.ino());
        own.map_err(|error| failed(self.pid, Attempt::ReadProc, &error))
    }

    /// The references in a mapping, by their addresses.
    fn find(&self, code: &Line<'_>, whose: Vsyscalls) -> Result<Vec<(u64, Reference)>> {
        const BLOCK: usize = 1 << 20;
        /// More than a reference and what is looked at behind it.
        const OVERLAP: usize = 64;
        let mut found = Vec::new();
        let mut block = vec![0; code.addrs.bytes().min(BLOCK + OVERLAP)];
        for start in (code.addrs.start..code.addrs.end).step_by(BLOCK) {
            let bytes = block.len().min((code.addrs.end - start) as usize);
            let block = &mut block[..bytes];
            match self.memory.read_exact_at(block, start) {
                Ok(()) => {}
                // Of a file that has become shorter nothing is left behind there.
                Err(_) => break,
            }
            let is_wanted = |reference: &Reference| {
                reference.offset < BLOCK
                    && (whose == Vsyscalls::OfLibraries || reference.used == Use::Called)
            };
            let wanted = references(block).filter(is_wanted);
            found.extend(wanted.map(|reference| (start + reference.offset as u64, reference)));
        }
        Ok(found)
    }

    fn rewrite(
        &self,
        lines: &[Line<'_>],
        code: &Line<'_>,
        found: &[(u64, Reference)],
        to: To,
    ) -> Result<()> {
        let pid = self.pid;
        let no_room = Error::VsyscallRoom { pid };
        let functions = to.functions();
        let room_addr = self.room(lines, code, functions.len() as u64)?.ok_or(no_room)?;
        let mut writes = vec![(room_addr, functions.to_vec())];
        for &(addr, reference) in found {
            let function_addr = room_addr + function_offset(reference.entry) as u64;
            let replacement = reference.replacement(addr, function_addr);
            let replacement = replacement.ok_or(Error::VsyscallRoom { pid })?;
            writes.push((addr, replacement.code().to_vec()));
        }
        // The functions are there before anybody is sent to them.
        for (addr, bytes) in writes {
            let written = self.memory.write_all_at(&bytes, addr);
            written.map_err(|error| failed(pid, Attempt::WriteMemory, &error))?;
        }
        Ok(())
    }

    /// Room behind the code of the file that is mapped there.
    fn room(&self, lines: &[Line<'_>], code: &Line<'_>, bytes: u64) -> Result<Option<u64>> {
        let is_first = |line: &&Line<'_>| {
            (line.device, line.inode, line.file_offset) == (code.device, code.inode, 0)
        };
        let Some(first) =
            lines.iter().rfind(|line| is_first(line) && line.addrs.start <= code.addrs.start)
        else {
            return Ok(None);
        };
        let memory = Memory::of(self.pid);
        if !is_x86_64_file(&memory, first.addrs.start)? {
            return Ok(None);
        }
        let segments = Segments::of_file(&memory, Word::Bits64, first.addrs.start)?;
        let room = segments.and_then(|it| it.room_behind_code(bytes, vdso_data::PAGE_BYTES as u64));
        Ok(room.filter(|&addr| {
            lines.iter().any(|line| line.addrs.contains(addr) && line.rights[2] == b'x')
        }))
    }
}

/// Whether a file's code is mapped there, which the program does not write to.
fn is_code(line: &Line<'_>) -> bool {
    line.inode != 0 && line.rights[2] == b'x' && !line.is_writable()
}

/// Whether an ELF file of 64 bits is mapped at this address.
fn is_x86_64_file(memory: &Memory, addr: u64) -> Result<bool> {
    let mut start = [0; 6];
    memory.read(addr, &mut start)?;
    Ok(start == *b"\x7fELF\x02\x01")
}

fn failed(pid: Pid, attempt: Attempt, error: &io::Error) -> Error {
    Error::on(pid, attempt, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
