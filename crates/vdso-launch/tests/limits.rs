//! A caller whose files may not grow. Alone in its process, which the limit is for.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vdso_launch::Command;

/// The kernel's answer to a file that would grow is a signal that ends the process, beside the error.
#[test]
fn where_files_may_not_grow_a_launch_fails_and_the_caller_lives() {
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 4096, most).unwrap();
    let error = Command::new("true").ahead(std::time::Duration::from_secs(9)).spawn().unwrap_err();
    setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
    let text = error.to_string();
    assert!(text.contains(Errno::EFBIG.desc()), "{text}");
}
