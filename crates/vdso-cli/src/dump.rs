//! `vdso dump`: an image from a process's memory, byte for byte.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueHint;

use crate::args::target_parser;
use crate::exit::Exit;
use crate::message::{self, Hinted, printable_path};
use crate::subject::{FoundImage, Origin, Target, source_of};

/// The arguments of `vdso dump`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_NOTES)]
pub struct Dump {
    /// The number of a process, or the core file of one; without it, vdso's own image is written
    #[arg(value_name = "PID|CORE", value_hint = ValueHint::FilePath, value_parser = target_parser())]
    target: Option<OsString>,

    /// Write to FILE, or to standard output if that is -
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Take the kernel's image, where the program was given one of ours
    #[arg(long)]
    kernel: bool,
}

const EXAMPLES: &str = "\
Examples:
  vdso dump -o vdso.so
  vdso dump $(pgrep -n firefox) -o vdso.so
  vdso dump -o - | sha256sum";

const EXAMPLES_AND_NOTES: &str = "\
Examples:
  vdso dump -o vdso.so
  vdso dump $(pgrep -n firefox) -o vdso.so
  vdso dump core.1234 -o vdso.so
  vdso dump -o - | sha256sum
  ssh server vdso dump -o - >server.so

The whole mapping is written as it is in memory: the image, and zeros up to the end of its last page.
The file is written completely or not at all.

To read the memory of another process takes the right to trace it: it has to be yours, or you root.

Exit code: 0; 1 if the image cannot be read or written, 2 for a mistake in the arguments.";

/// Does it.
pub fn run(args: &Dump) -> Result<Exit> {
    let target = Target::find(args.target.as_deref())?;
    if let Origin::File(path) = &target.origin {
        bail!("{} is an image already, not a process or a core file", printable_path(path));
    }
    let image = target.image(args.kernel)?;
    let written = if message::is_stdout(&args.output)? {
        let stdout = message::stdout()?;
        write_to_stream(&mut stdout.lock(), &image.bytes).map_err(|error| {
            // Nothing was attempted yet where there is a hint.
            if error.is::<Hinted>() { error } else { error.context(message::PRINT) }
        })?;
        "standard output".to_owned()
    } else {
        write_to_file(&args.output, &image.bytes)?;
        printable_path(&args.output)
    };
    message::say(format_args!("{}, to {written}", describe(&target, image)));
    Ok(Exit::Success)
}

fn describe(target: &Target, image: &FoundImage) -> String {
    let maker = match source_of(&image.bytes) {
        Some(source) => format!("vdso's image, source {},", source.name()),
        None => "the kernel's image".to_owned(),
    };
    let addr = image.addr.unwrap_or_default();
    format!("{maker} of {}, {} bytes at {addr:#x}", target.origin, image.bytes.len())
}

/// Writes to something that may be a terminal.
fn write_to_stream(stream: &mut (impl Write + IsTerminal), bytes: &[u8]) -> Result<()> {
    if stream.is_terminal() {
        return Err(Hinted::new(
            "will not write an image to a terminal",
            "name a file with -o, or send the output to one",
        )
        .into());
    }
    stream.write_all(bytes)?;
    stream.flush()?;
    Ok(())
}

fn write_to_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", printable_path(path));
    let metadata = match (fs::metadata(path), fs::read_link(path)) {
        (Ok(metadata), _) => metadata,
        // A link to what is not there yet.
        (Err(error), Ok(end)) if error.kind() == io::ErrorKind::NotFound => {
            return write_to_file(&path.with_file_name("").join(end), bytes);
        }
        // It leads in a circle, or to where nobody may look: it is not to be replaced either.
        (Err(error), Ok(_)) => return Err(error).with_context(failed),
        (Err(_), Err(_)) => return replace(path, bytes).with_context(failed),
    };
    if metadata.is_dir() {
        bail!("{}: it is a folder", failed());
    }
    match fs::canonicalize(path) {
        // What a link points to is replaced, not the link.
        Ok(real) if metadata.is_file() => replace(&real, bytes).with_context(failed),
        // A device or a pipe is written to, and so is an open file without a name (/dev/stdout). None
        // of them may be replaced by a file.
        _ => {
            let mut stream = OpenOptions::new().write(true).open(path).with_context(failed)?;
            write_to_stream(&mut stream, bytes).with_context(failed)
        }
    }
}

/// Puts a file with these bytes in this place, in one step.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such folder"));
    }
    // Opened here, and written to directly, as tempfile puts its file's name into errors, of which nobody
    // has heard. The process's umask takes its part of the mode away.
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o666).open(path);
    let mut file = tempfile::Builder::new().prefix(".vdso-dump-").make_in(folder, open)?;
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
