//! The table of what the boots found, on standard output, row by row as they end; then the skips, notes
//! and failures.

use std::process::ExitCode;

use test_support::{Lacking, skip};

use super::boot::Outcome;
use super::console::{Check, Status};

/// Why something cannot be part of a boot.
#[derive(Clone, Debug)]
pub enum Missing {
    /// This machine lacks what it takes: a skip.
    Lacking(String),
    /// It should be there: a failure.
    Broken(String),
}

/// What has been found so far.
pub struct Table {
    is_verbose: bool,
    boots: usize,
    checks: usize,
    failures: Vec<String>,
    notes: Vec<Remark>,
    skips: Vec<Remark>,
}

impl Table {
    /// Prints the head.
    pub fn new(is_verbose: bool) -> Self {
        println!("{}", row(["arch", "kernel", "parameter", "checks", "ok", "fail", "skip", "s"]));
        Self {
            is_verbose,
            boots: 0,
            checks: 0,
            failures: Vec::new(),
            notes: Vec::new(),
            skips: Vec::new(),
        }
    }

    /// Prints a boot's rows, one for each group of each program.
    pub fn add(&mut self, arch: &str, release: &str, parameter: Option<&str>, outcome: &Outcome) {
        let parameter = parameter.unwrap_or("-");
        let place = match parameter {
            "-" => format!("{arch} {release}"),
            parameter => format!("{arch} {release} {parameter}"),
        };
        self.boots += 1;
        let mut time = format!("{:.1}", outcome.time.as_secs_f64());
        for group in groups(&outcome.checks) {
            let checks = || outcome.checks.iter().filter(|check| is_of(check, group));
            let count =
                |status| checks().filter(|check| check.status == status).count().to_string();
            let name = format!("{}/{}", group.0, group.1);
            let [ok, fail, skip] = [Status::Ok, Status::Fail, Status::Skip].map(count);
            println!("{}", row([arch, release, parameter, &name, &ok, &fail, &skip, &time]));
            // The boot's, so once.
            time.clear();
            checks().for_each(|check| self.add_check(&place, check));
        }
        if let Some(trouble) = &outcome.trouble {
            self.failures.push(format!("{place}: the boot\n{trouble}"));
        }
    }

    fn add_check(&mut self, place: &str, check: &Check) {
        self.checks += 1;
        let Check { abi, group, name, status, detail } = check;
        let name = format!("{abi}/{group}/{name}");
        if self.is_verbose {
            println!("    {name} {}: {detail}", format!("{status:?}").to_lowercase());
        }
        match status {
            Status::Ok => {}
            Status::Note => remember(&mut self.notes, place, &name, detail),
            Status::Fail => self.failures.push(format!("{place}: {name}: {detail}")),
            Status::Skip => self.skip(place, &name, detail),
        }
    }

    /// Remembers a skip.
    pub fn skip(&mut self, place: &str, name: &str, reason: &str) {
        remember(&mut self.skips, place, name, reason);
    }

    /// Remembers a skip or a failure.
    pub fn miss(&mut self, place: &str, name: &str, missing: &Missing) {
        match missing {
            Missing::Lacking(reason) => self.skip(place, name, reason),
            Missing::Broken(error) => self.fail(place, name, error),
        }
    }

    /// Remembers a failure of what comes before a boot: it is none of the boot's checks.
    pub fn fail(&mut self, place: &str, name: &str, error: &str) {
        let failure = format!("{place}: {name}: {error}");
        // What is broken for several kernels is told once.
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// Whether no check has failed. If nothing was booted, nothing is known.
    fn has_passed(&self) -> bool {
        self.boots > 0 && self.failures.is_empty()
    }

    /// Prints what is not as it should be.
    pub fn close(self) -> ExitCode {
        for remark in &self.skips {
            let name = format!("{} ({})", remark.name, remark.place());
            skip(Lacking::Kernel, &name, &remark.text);
        }
        for remark in &self.notes {
            eprintln!("note {}: {}: {}", remark.place(), remark.name, remark.text);
        }
        for failure in &self.failures {
            eprintln!("FAIL {failure}");
        }
        let Self { boots, checks, .. } = &self;
        eprintln!("{boots} boots, {checks} checks, {} failures", self.failures.len());
        if *boots == 0 {
            eprintln!("nothing was booted, so nothing was checked: the skips tell what is lacking");
        }
        if self.has_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Something that is told once, in however many boots it was found.
#[derive(Debug)]
struct Remark {
    name: String,
    text: String,
    places: Vec<String>,
}

impl Remark {
    fn place(&self) -> String {
        match self.places.as_slice() {
            [place] => place.clone(),
            places => format!("{} boots", places.len()),
        }
    }
}

fn remember(remarks: &mut Vec<Remark>, place: &str, name: &str, text: &str) {
    let is_same = |remark: &&mut Remark| remark.name == name && remark.text == text;
    match remarks.iter_mut().find(is_same) {
        Some(remark) if remark.places.iter().any(|other| other == place) => {}
        Some(remark) => remark.places.push(place.to_owned()),
        None => {
            let [name, text, place] = [name, text, place].map(str::to_owned);
            remarks.push(Remark { name, text, places: vec![place] });
        }
    }
}

type Group<'a> = (&'a str, &'a str);

fn is_of(check: &Check, group: Group<'_>) -> bool {
    (check.abi.as_str(), check.group.as_str()) == group
}

/// The groups of some checks, in the order in which they ran.
fn groups(checks: &[Check]) -> Vec<Group<'_>> {
    let mut groups = Vec::new();
    for check in checks {
        let group = (check.abi.as_str(), check.group.as_str());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn row(cells: [&str; 8]) -> String {
    let [arch, kernel, parameter, checks, ok, fail, skip, time] = cells;
    let row = format!(
        "{arch:9} {kernel:29} {parameter:20} {checks:16} {ok:>4} {fail:>4} {skip:>4} {time:>5}"
    );
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(abi: &str, name: &str, status: Status) -> Check {
        let [abi, name] = [abi, name].map(str::to_owned);
        Check { abi, group: "client".to_owned(), name, status, detail: "why".to_owned() }
    }

    fn outcome(checks: Vec<Check>) -> Outcome {
        Outcome { checks, time: std::time::Duration::from_secs(4), trouble: None }
    }

    #[test]
    fn groups_are_those_of_the_checks() {
        let checks = ["amd64", "i386", "amd64"].map(|abi| check(abi, "vdso", Status::Ok));
        assert_eq!(groups(&checks), [("amd64", "client"), ("i386", "client")]);
    }

    #[test]
    fn a_failed_check_fails_all() {
        let mut table = Table::new(false);
        table.add("amd64", "6.1", None, &outcome(vec![check("amd64", "vdso", Status::Ok)]));
        assert!(table.failures.is_empty());
        table.add("amd64", "6.1", None, &outcome(vec![check("amd64", "time", Status::Fail)]));
        assert_eq!(table.failures, ["amd64 6.1: amd64/client/time: why"]);
        assert!(!table.has_passed());
    }

    #[test]
    fn what_is_lacking_is_no_failure_and_what_is_broken_is_one() {
        let mut table = Table::new(false);
        table.add("amd64", "6.1", None, &outcome(vec![check("amd64", "vdso", Status::Ok)]));
        table.miss("amd64", "x32", &Missing::Lacking("no source".to_owned()));
        assert!(table.failures.is_empty());
        for _ in 0..2 {
            table.miss("amd64", "i386", &Missing::Broken("does not build".to_owned()));
        }
        assert_eq!(table.failures, ["amd64: i386: does not build"]);
        assert!(!table.has_passed());
    }

    #[test]
    fn without_a_boot_nothing_has_passed() {
        let mut table = Table::new(false);
        table.skip("amd64", "kernel amd64 6.1", "no emulator");
        assert!(!table.has_passed());
    }

    #[test]
    fn one_skip_in_two_boots_is_told_once() {
        let mut table = Table::new(false);
        for release in ["6.1", "6.12", "6.12"] {
            let skipped = vec![check("amd64", "getrandom", Status::Skip)];
            table.add("amd64", release, None, &outcome(skipped));
        }
        let [remark] = table.skips.as_slice() else { panic!("{:?}", table.skips) };
        assert_eq!((remark.name.as_str(), remark.text.as_str()), ("amd64/client/getrandom", "why"));
        assert_eq!(remark.places, ["amd64 6.1", "amd64 6.12"]);
    }
}
