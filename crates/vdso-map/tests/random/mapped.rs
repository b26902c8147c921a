//! Images whose kernel is the test.

use std::sync::atomic::Ordering;

use vdso_data::process::{RandomData, Template};
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::{ImageFile, LocalImage};

use super::support::*;

/// An image whose kernel is this test, as far as random numbers go.
pub struct Mapped {
    pub function: Getrandom,
    pub file: ImageFile,
    pub kernels: Box<RandomData>,
    _image: LocalImage,
}

impl Mapped {
    /// The sources that have code for it.
    pub fn all() -> [Self; 2] {
        [Source::Own, Source::Host].map(Self::new)
    }

    fn new(source: Source) -> Self {
        let host = Host::find().expect("/proc is mounted");
        let kernels = Box::new(RandomData::default());
        kernels.generation.store(40, Ordering::Relaxed);
        kernels.is_ready.store(1, Ordering::Relaxed);
        // As far from the vDSO as it is; where there is none, from address zero.
        let addr = std::ptr::from_ref(&*kernels).addr() as i64;
        let vdso_addr = host.vdso_addr.max(4096);
        let random_data = Some(addr.wrapping_sub(vdso_addr as i64));
        let template = Template { random_data, ..host.template(&vdso_image::FORWARDED) };
        // Not fitted to the kernel: one without getrandom would take it away.
        let file = ImageFile::create(source.name(), vdso_image::bytes(source)).expect("a file");
        let image = LocalImage::map(&file, &template, vdso_addr).expect("an image can be mapped");
        let function = image.function("__vdso_getrandom").expect("the image has it");
        Self { function: Getrandom::at(source.name(), function), file, kernels, _image: image }
    }
}
