//! What programs have on standard input. A stub that took it for the image would map and enter it.

use std::fs::File;
use std::io::{PipeWriter, Write, pipe};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use super::random::Random;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Machine code that says so when it is executed.
    Code,
    /// Bytes that mean nothing.
    Noise,
    /// Nothing that can be mapped.
    Pipe,
}

impl Input {
    /// Each of them, in the order in which launches take them.
    pub const ALL: [Self; 3] = [Self::Code, Self::Noise, Self::Pipe];
}

/// The files behind them.
#[derive(Debug)]
pub struct Inputs {
    code: PathBuf,
    noise: PathBuf,
}

/// More than an image with all of its pages.
const FILE_BYTES: usize = 1 << 18;
const PAGE_BYTES: usize = 4096;

impl Inputs {
    /// Writes the files into a folder.
    pub fn write(folder: &Path, random: &mut Random) -> Result<Self> {
        let (code, noise) = (folder.join("code"), folder.join("noise"));
        write(&code, &code_everywhere())?;
        let bytes = std::iter::repeat_with(|| random.word() as u8).take(FILE_BYTES);
        write(&noise, &bytes.collect::<Vec<u8>>())?;
        Ok(Self { code, noise })
    }

    /// To be given to a launch; for a pipe with the end that must stay open.
    pub fn open(&self, input: Input) -> Result<(Stdio, Option<PipeWriter>)> {
        Ok(match input {
            Input::Code => (File::open(&self.code)?.into(), None),
            Input::Noise => (File::open(&self.noise)?.into(), None),
            Input::Pipe => {
                let (reader, writer) = pipe()?;
                (reader.into(), Some(writer))
            }
        })
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(bytes).context("cannot write what is to be standard input")
}

/// In each page, so that it is met wherever a stub enters: a slide of `nop`, and the code at its end.
fn code_everywhere() -> Vec<u8> {
    const NOP: u8 = 0x90;
    let mut page = vec![NOP; PAGE_BYTES - CODE.len()];
    page.extend(CODE);
    page.repeat(FILE_BYTES / PAGE_BYTES)
}

/// `write(1, "FOREIGN\n", 8); exit_group(99)` at any address, for x86-64 and for i386: where 0x40 is a
/// prefix and not an instruction of its own, the jump is taken. Elsewhere these bytes are as good as
/// noise.
const CODE: &[u8] = b"\
    \x31\xc0\
    \x40\x90\
    \x74\x26\
    \xe8\x00\x00\x00\x00\
    \x59\
    \x83\xc1\x45\
    \xbb\x01\x00\x00\x00\
    \xba\x08\x00\x00\x00\
    \xb8\x04\x00\x00\x00\
    \xcd\x80\
    \xbb\x63\x00\x00\x00\
    \xb8\xfc\x00\x00\x00\
    \xcd\x80\
    \x48\x8d\x35\x1d\x00\x00\x00\
    \xbf\x01\x00\x00\x00\
    \xba\x08\x00\x00\x00\
    \xb8\x01\x00\x00\x00\
    \x0f\x05\
    \xbf\x63\x00\x00\x00\
    \xb8\xe7\x00\x00\x00\
    \x0f\x05\
    FOREIGN\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// The code itself is executed, or nothing that the storms show would be believed.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_code_says_that_it_was_executed() {
        use std::os::unix::fs::PermissionsExt;
        use std::process::Command;

        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("enter.c");
        let program = folder.path().join("enter");
        std::fs::write(
            &source,
            "#include <sys/mman.h>\nint main(void) { char *code = mmap(0, 8192, PROT_READ | PROT_EXEC, \
             MAP_PRIVATE, 0, 4096); ((void (*)(void))(code + 100))(); }\n",
        )
        .unwrap();
        match Command::new("gcc").arg("-o").arg(&program).arg(&source).status() {
            Ok(status) => assert!(status.success()),
            Err(_) => {
                return test_support::skip(test_support::Lacking::Tool, "foreign code", "no gcc");
            }
        }
        let inputs = Inputs::write(folder.path(), &mut Random::new(1)).unwrap();
        let (stdin, _) = inputs.open(Input::Code).unwrap();
        let output = Command::new(&program).stdin(stdin).output().unwrap();
        assert_eq!(output.stdout, format!("{}\n", super::super::records::FOREIGN).as_bytes());
        assert_eq!(output.status.code(), Some(99));
        let mode = std::fs::metadata(folder.path().join("noise")).unwrap().permissions().mode();
        assert_eq!(mode & 0o444, 0o444, "every user must be able to read it");
    }
}
