//! From a program that writes to one that reads, counting.

use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs `reader` on what `writer` writes, until either has had enough: what the reader said, and how many
/// bytes it was given.
///
/// What the reader says must fit a pipe, as nobody looks at it before the end.
pub fn pump(writer: &mut Command, reader: &mut Command) -> Result<(Output, u64)> {
    let describe = |command: &Command| format!("cannot run {command:?}");
    let mut from = writer.stdout(Stdio::piped()).spawn().with_context(|| describe(writer))?;
    reader.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut to = reader.spawn().with_context(|| describe(reader))?;
    let mut input = from.stdout.take().context("the writer's output is piped")?;
    let mut output = to.stdin.take().context("the reader's input is piped")?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    let mut is_wanted = true;
    loop {
        let read = input.read(&mut buffer).context("cannot read the random bytes")?;
        if read == 0 {
            break;
        }
        match output.write_all(&buffer[..read]) {
            Ok(()) => bytes += read as u64,
            // The reader has ended.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                is_wanted = false;
                break;
            }
            Err(error) => return Err(error).context("cannot write the random bytes"),
        }
    }
    drop((input, output));
    let said = to.wait_with_output().context("cannot wait for the reader")?;
    let ended = from.wait().context("cannot wait for the writer")?;
    // One whose reader has gone is killed by a signal, or fails to write.
    ensure!(ended.success() || !is_wanted, "{writer:?} has failed: {ended}");
    Ok((said, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_written_is_read() {
        let mut writer = Command::new("head");
        writer.args(["-c", "300000", "/dev/zero"]);
        let (said, bytes) = pump(&mut writer, Command::new("wc").arg("-c")).unwrap();
        assert_eq!((String::from_utf8_lossy(&said.stdout).trim(), bytes), ("300000", 300_000));
    }

    #[test]
    fn a_reader_may_have_enough() {
        let mut reader = Command::new("head");
        reader.args(["-c", "3"]);
        let (said, _) = pump(Command::new("yes").arg("ab"), &mut reader).unwrap();
        assert_eq!(said.stdout, b"ab\n");
    }

    #[test]
    fn a_writer_that_fails_is_an_error() {
        let error = pump(&mut Command::new("false"), &mut Command::new("cat")).unwrap_err();
        assert!(error.to_string().contains("has failed"), "{error:#}");
    }
}
