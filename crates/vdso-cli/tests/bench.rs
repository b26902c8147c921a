//! `vdso bench`, with few turns: what it prints, not how fast anything is.

use std::process::Command;

const VDSO: &str = env!("CARGO_BIN_EXE_vdso");
const QUICK: [&str; 3] = ["bench", "--rounds=3", "--times=50"];

fn vdso(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(VDSO).args(QUICK).args(arguments).output().expect("vdso starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_call_has_a_table_with_every_way() {
    let (code, stdout, _) = vdso(&["--json"]);
    assert_eq!(code, Some(0));
    let document: serde_json::Value = serde_json::from_str(&stdout).expect("one document");
    assert_eq!((&document["schema_version"], &document["rounds"]), (&1.into(), &3.into()));
    let tables = document["tables"].as_array().expect("tables");
    assert_eq!(tables.len(), 14, "13 calls and the counter");
    for table in tables {
        let rows = table["rows"].as_array().expect("rows");
        let ways: Vec<&str> = rows.iter().filter_map(|row| row["way"].as_str()).collect();
        if table["call"] == "counter" {
            assert_eq!(ways, ["rdtscp, ordered", "rdtsc, unordered"]);
        } else {
            assert_eq!(ways[..2], ["system call", "C library"], "{}", table["call"]);
            // Of some functions an image of ours has what the kernel has.
            let is_passed_on = table["call"] == "getrandom";
            if !is_passed_on || ways.contains(&"kernel's vDSO") {
                assert!(ways.contains(&"ours, source chain"), "{ways:?}");
            }
        }
        for row in rows {
            let ns = |key: &str| row[key].as_f64().expect("a number");
            assert!(ns("min_ns") > 0.0 && ns("min_ns") <= ns("median_ns"), "{row}");
            assert!(ns("median_ns") <= ns("p99_ns"), "{row}");
        }
        assert_eq!(rows[0]["ratio"], 1.0);
    }
}

#[test]
fn calls_can_be_chosen_by_their_beginning() {
    let (code, stdout, stderr) = vdso(&["time", "clock_gettime(REALTIME"]);
    assert_eq!(code, Some(0), "{stderr}");
    let titles: Vec<&str> = stdout
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(' ') && !line.contains(", "))
        .skip(1)
        .collect();
    let expected = ["clock_gettime(REALTIME)", "clock_gettime(REALTIME_COARSE)", "time", "counter"];
    assert_eq!(titles, expected, "{stdout}");
    assert!(!stdout.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn mistakes_are_usage() {
    for (arguments, says) in [
        (&["gettimer"][..], "there are clock_gettime"),
        (&["--rounds=0"], "0"),
        (&["--times=x"], "x"),
    ] {
        let (code, stdout, stderr) = vdso(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let script = format!("{VDSO} bench --rounds=1 --times=1 | head -1; exit ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("error"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}
