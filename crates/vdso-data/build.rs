//! Tells dependents where this crate's source is: the image is compiled from it with flags of its
//! own, so it cannot use the library that cargo builds.

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::metadata=source={root}/src");
}
