//! Images of ours, mapped into this process to be measured.

use std::thread;

use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_data::process::Template;
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::{CountsFile, Error, ImageFile, LocalImage};
use vdso_timekeeper::Timekeeper;

/// Maps the image of `source` with every clock moved by `transform`. An own page is published for as
/// long as the process lives.
pub fn map(host: &'static Host, source: Source, transform: Transform) -> Result<LocalImage, Error> {
    map_with(host, source, transform, &host.template(&vdso_image::FORWARDED))
}

/// The same for a process that is told something else of its kernel and CPU.
pub fn map_with(
    host: &'static Host,
    source: Source,
    transform: Transform,
    template: &Template,
) -> Result<LocalImage, Error> {
    let image = vdso_image::tailor(source, &host.image).bytes;
    let file = published(host, source, transform, &image)?;
    LocalImage::map(file, template, host.vdso_addr)
}

/// The image that counts its calls, and where it does.
pub struct Counting {
    /// The image.
    pub image: LocalImage,
    /// What it has counted.
    pub counts: CountsFile,
}

/// As [`map`], but it counts; `None` if no image does on this architecture.
pub fn map_counting(
    host: &'static Host,
    source: Source,
    transform: Transform,
) -> Result<Option<Counting>, Error> {
    let Some(tailored) = vdso_image::tailor_counting(source, &host.image) else { return Ok(None) };
    let file = published(host, source, transform, &tailored.bytes)?;
    let template = host.template(&vdso_image::FORWARDED);
    let counts = CountsFile::create("counts")?;
    let image = LocalImage::map_counting(file, &template, host.vdso_addr, &counts)?;
    Ok(Some(Counting { image, counts }))
}

/// A file with the image, whose page is published for as long as the process lives, if the image needs that.
fn published(
    host: &'static Host,
    source: Source,
    transform: Transform,
    image: &[u8],
) -> Result<&'static ImageFile, Error> {
    let transforms = [transform; clock::LINES];
    let file: &'static ImageFile = Box::leak(Box::new(ImageFile::create(source.name(), image)?));
    vdso_host::initialise(file.page(), &transforms);
    if source == Source::Own {
        let mut timekeeper = Timekeeper::new(file.page(), host.sampler(), transforms);
        timekeeper.update();
        thread::spawn(move || {
            loop {
                thread::sleep(timekeeper.update());
            }
        });
    }
    Ok(file)
}
