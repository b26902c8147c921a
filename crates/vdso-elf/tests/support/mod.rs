//! Images to test with: those of real kernels, the one of this process, and the fuzzer's.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod by_object;
pub mod by_us;
pub mod exercise;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use test_support::{Lacking, skip};

/// An image, and what to call it.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The images of the folder that the environment variable VDSO_IMAGES names. They are the kernel's
/// (GPL-2.0) and so not in this repository; `test` is skipped, aloud, where they are missing.
pub fn kernel_images(test: &str) -> Vec<Sample> {
    let Some(folder) = std::env::var_os("VDSO_IMAGES").map(PathBuf::from) else {
        skip(Lacking::Images, test, "VDSO_IMAGES does not name a folder of real vDSO images");
        return Vec::new();
    };
    let samples = files(&folder, |path| path.extension().is_some_and(|it| it == "so"));
    assert!(!samples.is_empty(), "VDSO_IMAGES has no image");
    samples
}

/// The inputs that the fuzzer has found to go where no other goes; all grew from made images.
pub fn fuzzer_corpus() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/image");
    let samples = files(&folder, |_| true);
    assert!(!samples.is_empty(), "the corpus is empty");
    samples
}

fn files(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<Sample> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read the folder {}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut samples: Vec<Sample> = paths
        .filter(|path| is_wanted(path))
        .map(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            Sample { name, bytes: fs::read(&path).expect("a file can be read") }
        })
        .collect();
    samples.sort_by(|left, right| left.name.cmp(&right.name));
    samples
}

/// The image that the kernel gave this process, unless there is none.
pub fn own_image(test: &str) -> Option<Sample> {
    const AT_SYSINFO_EHDR: usize = 33;
    let auxv = fs::read("/proc/self/auxv").ok()?;
    let words = auxv.chunks_exact(size_of::<usize>());
    let words: Vec<usize> =
        words.map(|word| usize::from_ne_bytes(word.try_into().expect("a word"))).collect();
    let address = words.chunks(2).find(|pair| pair[0] == AT_SYSINFO_EHDR).map(|pair| pair[1]);
    let Some(address) = address else {
        skip(Lacking::Kernel, test, "this process has no vDSO");
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
