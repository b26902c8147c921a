//! A certificate that expires in 30 days is made, and looked at by openssl in 29 days and in 31, which takes a
//! second. Prints:
//!
//! ```text
//! in 29 days: OK
//! in 31 days: certificate has expired
//! ```

use std::error::Error;
use std::time::Duration;

use vdso_launch::Command;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| folder.path().join(name));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ed25519",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-days",
            "30",
        ])
        .args(["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into());
    }
    for days in [29, 31] {
        let output = Command::new("openssl")
            .args(["verify", "-CAfile"])
            .args([&certificate, &certificate])
            .ahead(days * DAY)
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let verdict = if output.status.success() {
            "OK"
        } else {
            let error = errors.lines().find(|line| line.contains("depth lookup: "));
            error.and_then(|line| line.rsplit_once(": ")).map_or(&*errors, |(_, why)| why)
        };
        println!("in {days} days: {verdict}");
    }
    Ok(())
}
