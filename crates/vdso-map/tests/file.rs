//! The file of an image.

use vdso_image::Source;
use vdso_map::{Error, ImageFile};

#[test]
fn a_name_with_a_zero_byte_is_an_error() {
    let image = vdso_image::bytes(Source::Chain);
    for name in ["a\0b", &"x".repeat(300)] {
        let error = ImageFile::create(name, image).expect_err("no file has such a name");
        assert!(matches!(error, Error::System { errno: nix::errno::Errno::EINVAL, .. }), "{error}");
    }
}
