//! A loader that gives a static program a vDSO of ours: what a sandbox, an emulator or a runtime does that starts
//! programs itself. The program's clocks are so many seconds ahead of the host's.
//!
//! ```console
//! $ loader 86400 ./static-program
//! ```
//!
//! It maps the program's segments, writes what `execve` writes to a stack (arguments, environment and the auxiliary
//! vector, in which `AT_SYSINFO_EHDR` names the image), and jumps to the entry point. Linux on x86-64; programs that
//! need no interpreter and are not relocated. Sources: elf(5), getauxval(3), `fs/binfmt_elf.c` (Linux 6.18).

#[cfg(target_arch = "x86_64")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    loader::run()
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("this example is for x86-64");
}

#[cfg(target_arch = "x86_64")]
mod loader {
    use std::error::Error;
    use std::ffi::{CString, OsString};
    use std::fs;
    use std::os::unix::ffi::OsStringExt;
    use std::ptr;

    use object::LittleEndian;
    use object::elf::{FileHeader64, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD};
    use object::read::elf::{FileHeader, ProgramHeader};
    use vdso_data::arithmetic::{Timespec, Transform};
    use vdso_data::clock;
    use vdso_host::Host;
    use vdso_image::Source;
    use vdso_map::{ImageFile, LocalImage};

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    const PAGE_BYTES: usize = 4096;
    const STACK_BYTES: usize = 1 << 20;

    pub fn run() -> Result<()> {
        let mut arguments = std::env::args_os().skip(1);
        let ahead = arguments.next().ok_or("how many seconds ahead?")?;
        let ahead =
            ahead.to_str().and_then(|text| text.parse().ok()).ok_or("no number of seconds")?;
        let command: Vec<CString> = arguments
            .map(|it| CString::new(it.into_vec()))
            .collect::<std::result::Result<_, _>>()?;
        let path = command.first().ok_or("which program?")?;
        let image = image(ahead)?;
        let program = Program::map(&fs::read(OsString::from_vec(path.as_bytes().to_vec()))?)?;
        let stack = stack(&command, &program, image.image_addr())?;
        // From here on nothing of this program is used but what it has mapped.
        std::mem::forget(image);
        // SAFETY: the program's code is mapped there, and the stack is as execve would have left it.
        unsafe { enter(program.entry, stack) }
    }

    /// The image, with a page of clocks that are so many seconds ahead.
    fn image(ahead_sec: i64) -> Result<LocalImage> {
        let host = Host::find()?;
        let source = if host.page.is_ok() { Source::Host } else { Source::Chain };
        let file =
            ImageFile::create("vdso-example", &vdso_image::tailor(source, &host.image).bytes)?;
        let mut clocks = [Transform::IDENTITY; clock::LINES];
        for id in [clock::REALTIME, clock::REALTIME_COARSE, clock::TAI] {
            clocks[id as usize].offset = Timespec { sec: ahead_sec, nsec: 0 };
        }
        vdso_host::initialise(file.page(), &clocks);
        Ok(LocalImage::map(&file, &host.template(&vdso_image::FORWARDED), host.vdso_addr)?)
    }

    struct Program {
        entry: usize,
        headers_addr: usize,
        headers: usize,
    }

    impl Program {
        /// Maps its segments where it wants them.
        fn map(file: &[u8]) -> Result<Self> {
            let header = FileHeader64::<LittleEndian>::parse(file)?;
            let segments = header.program_headers(LittleEndian, file)?;
            if header.e_type.get(LittleEndian) != object::elf::ET_EXEC {
                return Err("the program would have to be relocated: link it with -no-pie".into());
            }
            let mut headers_addr = 0;
            for segment in segments {
                let kind = segment.p_type(LittleEndian);
                if kind == PT_INTERP {
                    return Err("the program needs an interpreter: link it statically".into());
                }
                if kind != PT_LOAD {
                    continue;
                }
                let content =
                    segment.data(LittleEndian, file).map_err(|()| "a segment is cut off")?;
                let addr = segment.p_vaddr(LittleEndian) as usize;
                map_segment(addr, segment.p_memsz(LittleEndian) as usize, content)?;
                protect(
                    addr,
                    segment.p_memsz(LittleEndian) as usize,
                    segment.p_flags(LittleEndian).0,
                )?;
                if segment.p_offset(LittleEndian) == 0 {
                    headers_addr = addr + header.e_phoff(LittleEndian) as usize;
                }
            }
            let entry = header.e_entry(LittleEndian) as usize;
            Ok(Self { entry, headers_addr, headers: segments.len() })
        }
    }

    /// Fresh memory with a segment's content. Zeros follow it.
    fn map_segment(addr: usize, bytes: usize, content: &[u8]) -> Result<()> {
        let start = addr / PAGE_BYTES * PAGE_BYTES;
        let length = (addr + bytes - start).next_multiple_of(PAGE_BYTES);
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
        );
        // SAFETY: a new mapping, which replaces none.
        let mapped = unsafe { libc::mmap(start as *mut _, length, protection, flags, -1, 0) };
        if mapped as usize != start {
            return Err(
                format!("cannot map {start:#x}: {}", std::io::Error::last_os_error()).into()
            );
        }
        // SAFETY: within the mapping, as a segment's content is not longer than its memory.
        unsafe { ptr::copy_nonoverlapping(content.as_ptr(), addr as *mut u8, content.len()) };
        Ok(())
    }

    fn protect(addr: usize, bytes: usize, flags: u32) -> Result<()> {
        let protection =
            [(PF_R.0, libc::PROT_READ), (PF_W.0, libc::PROT_WRITE), (PF_X.0, libc::PROT_EXEC)];
        let protection = protection.iter().filter(|(flag, _)| flags & flag != 0);
        let protection = protection.fold(0, |all, (_, one)| all | one);
        let start = addr / PAGE_BYTES * PAGE_BYTES;
        let length = (addr + bytes - start).next_multiple_of(PAGE_BYTES);
        // SAFETY: a mapping of the program's, to which nothing of this one refers.
        match unsafe { libc::mprotect(start as *mut _, length, protection) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error().into()),
        }
    }

    /// What a program finds at its start; gives the stack pointer.
    fn stack(command: &[CString], program: &Program, image_addr: usize) -> Result<usize> {
        let memory: &'static mut [u64] = Box::leak(vec![0; STACK_BYTES / 8].into_boxed_slice());
        let strings: &'static [CString] = Box::leak(command.to_vec().into_boxed_slice());
        let random: &'static [u8; 16] = Box::leak(Box::new(*b"sixteen bytes.. "));
        let asked = |kind| {
            // SAFETY: only asks.
            unsafe { libc::getauxval(kind) }
        };
        let vector = [
            (libc::AT_PHDR, program.headers_addr as u64),
            (libc::AT_PHENT, size_of::<object::elf::ProgramHeader64<LittleEndian>>() as u64),
            (libc::AT_PHNUM, program.headers as u64),
            (libc::AT_ENTRY, program.entry as u64),
            (libc::AT_PAGESZ, PAGE_BYTES as u64),
            (libc::AT_RANDOM, random.as_ptr() as u64),
            (libc::AT_EXECFN, strings[0].as_ptr() as u64),
            (libc::AT_SYSINFO_EHDR, image_addr as u64),
            (libc::AT_NULL, 0),
        ];
        let same = [
            libc::AT_UID,
            libc::AT_EUID,
            libc::AT_GID,
            libc::AT_EGID,
            libc::AT_SECURE,
            libc::AT_HWCAP,
            libc::AT_HWCAP2,
            libc::AT_CLKTCK,
        ];
        let mut words = vec![strings.len() as u64];
        words.extend(strings.iter().map(|argument| argument.as_ptr() as u64));
        // No environment.
        words.extend([0, 0]);
        for kind in same {
            words.extend([kind, asked(kind)]);
        }
        for (kind, value) in vector {
            words.extend([kind, value]);
        }
        // The stack grows down from here, and is aligned to 16 bytes.
        let start = (memory.len() - words.len()) & !1;
        let place = memory.get_mut(start..start + words.len()).ok_or("too many arguments")?;
        place.copy_from_slice(&words);
        let pointer = place.as_ptr() as usize;
        Ok(if pointer.is_multiple_of(16) { pointer } else { return Err("an odd stack".into()) })
    }

    /// Jumps to a program's entry point, never to come back.
    ///
    /// # Safety
    /// Both must be as the program expects them.
    unsafe fn enter(entry: usize, stack: usize) -> ! {
        // SAFETY: the caller's promise. No function is to be called at the program's end (rdx).
        unsafe {
            std::arch::asm!(
                "mov rsp, {stack}",
                "xor edx, edx",
                "xor ebp, ebp",
                "jmp {entry}",
                stack = in(reg) stack,
                entry = in(reg) entry,
                options(noreturn),
            )
        }
    }
}
