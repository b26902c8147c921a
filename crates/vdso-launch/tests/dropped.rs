//! A caller that gives up what it may between two launches. Alone in its process, whose rights they are.

use std::os::unix::fs::PermissionsExt;

use nix::unistd::{Uid, geteuid, seteuid};
use test_support::{Lacking, skip};
use vdso_launch::{Command, Error};

#[test]
fn a_set_user_id_program_is_refused_to_who_was_root() {
    if !geteuid().is_root() {
        return skip(Lacking::Privilege, "a caller that was root", "not root");
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let program = folder.path().join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&program, 0o4755)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let mut command = Command::new(&program);
    assert!(command.ahead(std::time::Duration::from_secs(9)).status().unwrap().success());
    let (root, nobody) = (geteuid(), Uid::from_raw(65_534));
    seteuid(nobody).unwrap();
    let result = command.status();
    seteuid(root).unwrap();
    assert!(matches!(result, Err(Error::Privileged { .. })), "{result:?}");
}
