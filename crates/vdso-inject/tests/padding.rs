//! Where instructions can be put that nobody else executes.

/// Asks nobody where that is.
#[test]
fn room_in_the_kernels_vdso_is_zeros_in_its_last_page() {
    let host = vdso_host::Host::find().expect("/proc is mounted");
    let Some(padding) = vdso_inject::exec::find_padding() else { return };
    let padding = padding as usize;
    assert!(padding + 4096 > host.image.len());
    assert!(host.image[padding..].iter().all(|&byte| byte == 0));
}
