//! Images to test with: those of real kernels, the one of this process, and made ones.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod made;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A real image.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The images of the folder that the environment variable VDSO_IMAGES names. They are the kernel's
/// (GPL-2.0) and so not in this repository; `test` is skipped, aloud, where they are missing.
pub fn kernel_images(test: &str) -> Vec<Sample> {
    let Some(folder) = std::env::var_os("VDSO_IMAGES").map(PathBuf::from) else {
        eprintln!("skipped {test}: VDSO_IMAGES does not name a folder of vDSO images");
        return Vec::new();
    };
    let mut samples = Vec::new();
    for entry in fs::read_dir(&folder).expect("VDSO_IMAGES is a folder") {
        let path = entry.expect("VDSO_IMAGES can be read").path();
        if path.extension().is_some_and(|extension| extension == "so") {
            let name = path.file_name().expect("it has an extension").to_string_lossy();
            let bytes = fs::read(&path).expect("an image can be read");
            samples.push(Sample { name: name.into_owned(), bytes });
        }
    }
    assert!(!samples.is_empty(), "VDSO_IMAGES has no image");
    samples.sort_by(|left, right| left.name.cmp(&right.name));
    samples
}

/// The image that the kernel gave this process, unless there is none.
pub fn own_image(test: &str) -> Option<Sample> {
    const AT_SYSINFO_EHDR: usize = 33;
    let auxv = fs::read("/proc/self/auxv").ok()?;
    let (words, _) = auxv.as_chunks::<{ size_of::<usize>() }>();
    let words: Vec<usize> = words.iter().map(|word| usize::from_ne_bytes(*word)).collect();
    let address = words.chunks(2).find(|pair| pair[0] == AT_SYSINFO_EHDR).map(|pair| pair[1]);
    let Some(address) = address else {
        eprintln!("skipped {test}: this process has no vDSO");
        return None;
    };
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let start = format!("{address:x}-");
    let line = maps.lines().find(|line| line.trim_start_matches('0').starts_with(&start))?;
    let (range, _) = line.split_once(' ')?;
    let end = usize::from_str_radix(range.split_once('-')?.1, 16).ok()?;
    let mut bytes = vec![0; end - address];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, address as u64).ok()?;
    Some(Sample { name: "this process's own".to_owned(), bytes })
}
