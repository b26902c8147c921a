//! What a boot has said: the lines that `test-programs/kernel-init/src/report.rs` tells of.

/// One check's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The ABI of the program that made it.
    pub abi: String,
    /// The group.
    pub group: String,
    /// Its name in the group.
    pub name: String,
    /// What came of it.
    pub status: Status,
    /// What it found, or why it was not made.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// What was expected.
    Ok,
    /// Something else.
    Fail,
    /// It cannot be made there.
    Skip,
    /// Something that nobody knew, and no failure.
    Note,
}

/// Begins each line. The firmware's and the kernel's own output may come before it.
const MARK: &str = "vdso-check ";

/// Every check of a boot, and failed ones for what is lacking: the last line, a group's end, a line.
pub fn checks(console: &str) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let mut lost = Vec::new();
    let mut is_complete = false;
    let lines = console.lines().filter_map(|line| line.split_once(MARK));
    for (_, line) in lines {
        let line = line.trim_end();
        if line == "end" {
            is_complete = true;
        } else if let Some(check) = check(line) {
            checks.push(check);
        } else if let Some((abi, group, count)) = end(line) {
            let has = |check: &&Check| check.abi == abi && check.group == group;
            let counted = checks.iter().filter(has).count();
            if counted != count {
                lost.push(failed(abi, group, &format!("{count} lines, {counted} came")));
            }
        } else {
            lost.push(failed("?", "?", &format!("a line that says nothing: {line:?}")));
        }
    }
    checks.append(&mut lost);
    if !is_complete {
        checks.push(failed("?", "boot", "the first program did not come to its end"));
    }
    checks
}

/// `ABI/GROUP/NAME ok DETAIL`
fn check(line: &str) -> Option<Check> {
    let mut words = line.splitn(3, ' ');
    let mut path = words.next()?.splitn(3, '/');
    let (abi, group, name) = (path.next()?, path.next()?, path.next()?);
    let status = match words.next()? {
        "ok" => Status::Ok,
        "fail" => Status::Fail,
        "skip" => Status::Skip,
        "note" => Status::Note,
        _ => return None,
    };
    let detail = words.next().unwrap_or_default();
    let [abi, group, name, detail] = [abi, group, name, detail].map(str::to_owned);
    Some(Check { abi, group, name, status, detail })
}

/// `ABI/GROUP end COUNT`
fn end(line: &str) -> Option<(&str, &str, usize)> {
    let (path, count) = line.split_once(" end ")?;
    let (abi, group) = path.split_once('/')?;
    Some((abi, group, count.parse().ok()?))
}

fn failed(abi: &str, group: &str, detail: &str) -> Check {
    let [abi, group, detail] = [abi, group, detail].map(str::to_owned);
    Check { abi, group, name: "console".to_owned(), status: Status::Fail, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(console: &str) -> Vec<(String, Status)> {
        let word =
            |check: &Check| (format!("{}/{}/{}", check.abi, check.group, check.name), check.status);
        checks(console).iter().map(word).collect()
    }

    #[test]
    fn a_complete_boot_gives_its_checks() {
        let console = "\x1bc\x1b[2Jvdso-check amd64/client/vdso ok 16 symbols\r\n\
                       [    2.1] something of the kernel's\r\n\
                       vdso-check amd64/client/getrandom skip no state\r\n\
                       vdso-check amd64/client end 2\r\n\
                       vdso-check end\r\n";
        let found = checks(console);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].detail, "16 symbols");
        assert_eq!(found[0].status, Status::Ok);
        assert_eq!((found[1].abi.as_str(), found[1].name.as_str()), ("amd64", "getrandom"));
        assert_eq!(found[1].status, Status::Skip);
    }

    #[test]
    fn a_lost_line_is_a_failure() {
        let console = "vdso-check a/b/c ok\nvdso-check a/b end 2\nvdso-check end\n";
        let expected = [("a/b/c", Status::Ok), ("a/b/console", Status::Fail)];
        assert_eq!(words(console), expected.map(|(name, status)| (name.to_owned(), status)));
    }

    #[test]
    fn a_boot_without_the_last_line_is_a_failure() {
        let expected = [("?/boot/console".to_owned(), Status::Fail)];
        assert_eq!(words("Kernel panic - not syncing"), expected);
    }

    #[test]
    fn a_damaged_line_is_a_failure() {
        let expected = [("?/?/console".to_owned(), Status::Fail)];
        assert_eq!(words("vdso-check a/b/c maybe\nvdso-check end\n"), expected);
    }
}
