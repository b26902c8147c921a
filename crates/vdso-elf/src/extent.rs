//! How long an image in memory is: whoever has only its address must know that before it can be
//! [parsed](crate::Image::parse).

use crate::abi::PT_LOAD;
use crate::error::Error;
use crate::header::{self, Header};
use crate::reader::{Format, Reader};

/// The number of bytes from the ELF header to the end of what the first `PT_LOAD` maps, given the
/// beginning of the image, which has to have the program headers: they follow the ELF header, so a
/// page is enough.
///
/// The section headers of some images come behind that, in the rest of the last page.
#[inline]
pub fn extent(beginning: &[u8]) -> Result<usize, Error> {
    let reader = header::identify(beginning)?;
    match reader.native() {
        Some(native) => extent_of(native),
        None => extent_of(reader),
    }
}

#[inline]
fn extent_of(reader: Reader<'_, impl Format>) -> Result<usize, Error> {
    let segments = Header::read(reader)?.segments;
    let load = segments.first(reader, PT_LOAD).ok_or(Error::NoLoadSegment)?;
    let end = load.file_offset.checked_add(load.file_bytes);
    let end = end.and_then(|end| usize::try_from(end).ok());
    end.filter(|&end| end <= LONGEST).ok_or(Error::ImageTooLong)
}

/// No slice is longer than `isize::MAX`, also where its last page is counted whole (64 KiB at most).
const LONGEST: usize = isize::MAX as usize - 0xffff;
