//! The file of an image, and where instructions can be put.

use vdso_image::Source;
use vdso_inject::{Error, ImageFile};

#[test]
fn a_name_with_a_zero_byte_is_an_error() {
    let image = vdso_image::bytes(Source::Chain);
    for name in ["a\0b", &"x".repeat(300)] {
        let error = ImageFile::create(name, image).expect_err("no file has such a name");
        assert!(matches!(error, Error::System { errno: nix::errno::Errno::EINVAL, .. }), "{error}");
    }
}

/// Asks nobody where that is.
#[test]
fn room_in_the_kernels_vdso_is_zeros_in_its_last_page() {
    let host = vdso_host::Host::find().expect("/proc is mounted");
    let Some(padding) = vdso_inject::exec::find_padding() else { return };
    let padding = padding as usize;
    assert!(padding + 4096 > host.image.len());
    assert!(host.image[padding..].iter().all(|&byte| byte == 0));
}
