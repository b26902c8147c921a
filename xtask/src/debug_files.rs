//! `cargo xtask debug-files`: writes what a debugger needs for the image in a program.
//!
//! A debugger finds the image in the program's memory, as it does the kernel's own vDSO, and looks
//! for the debug file by the build-id that is in there. `docs/DEBUGGING.md` goes on from here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use vdso_image::Source;

/// Write the images and their debug files where gdb finds them
#[derive(clap::Args)]
pub struct Args {
    /// Write to this folder
    #[arg(long, value_name = "DIR", default_value = "target/debug-files")]
    out: PathBuf,
}

/// Writes `SOURCE.so`, `SOURCE-counting.so` and their `.build-id/xx/yyyy.debug` for each source, and prints how gdb is told.
pub fn run(args: Args) -> Result<ExitCode> {
    for source in Source::ALL {
        write_pair(
            &args.out,
            source.name(),
            vdso_image::bytes(source),
            vdso_image::debug_file(source),
        )?;
        let counting = vdso_image::counting(source).zip(vdso_image::counting_debug_file(source));
        if let Some((image, debug)) = counting {
            write_pair(&args.out, &format!("{}-counting", source.name()), image, debug)?;
        }
    }
    let out = args.out.canonicalize().context("the folder has gone")?;
    let crates = xtask_build::cargo::workspace().join("crates");
    println!("set debug-file-directory {}:/usr/lib/debug", out.display());
    println!("set substitute-path /vdso-image/image {}/vdso-image/image", crates.display());
    for name in ["vdso-data", "vdso-arch"] {
        println!("set substitute-path /{name}/src {}/{name}/src", crates.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// An image under its name, and its debug file.
fn write_pair(out: &Path, name: &str, image: &[u8], debug: &[u8]) -> Result<()> {
    write(&out.join(format!("{name}.so")), image)?;
    write(&out.join(debug_path(name, image)?), debug)
}

/// `.build-id/xx/yyyy.debug`, as in gdb's manual, "Debugging Information in Separate Files".
fn debug_path(name: &str, image: &[u8]) -> Result<PathBuf> {
    let image = vdso_elf::Image::parse(image).context("the image is broken")?;
    let Some([first, rest @ ..]) = image.build_id() else {
        bail!("the image {name} has no build-id");
    };
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(PathBuf::from(format!(".build-id/{first:02x}/{rest}.debug")))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().context("a path of ours has a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use object::Object;

    use super::*;

    #[test]
    fn the_debug_file_is_where_its_image_points_to() {
        let out = tempfile::tempdir().unwrap();
        run(Args { out: out.path().to_owned() }).unwrap();
        for source in Source::ALL {
            let image = fs::read(out.path().join(format!("{}.so", source.name()))).unwrap();
            let image = object::File::parse(&*image).unwrap();
            let build_id = image.build_id().unwrap().unwrap();
            let hex: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
            let path = format!(".build-id/{}/{}.debug", &hex[..2], &hex[2..]);
            let debug = fs::read(out.path().join(path)).unwrap();
            let debug = object::File::parse(&*debug).unwrap();
            assert_eq!(debug.build_id().unwrap().unwrap(), build_id);
            assert!(debug.has_debug_symbols(), "{}", source.name());
        }
    }
}
