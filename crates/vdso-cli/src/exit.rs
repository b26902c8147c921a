//! Exit codes of the commands that look at things. Those of `run` are its own.

use std::process::ExitCode;

use anyhow::Result;

use crate::message;

/// How a command ended that did what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Success,
    /// 1: a problem was found.
    Problem,
}

/// The exit code, after saying what went wrong, if anything: 1. A mistake in the arguments is 2, which
/// clap gives.
pub fn code(result: Result<Exit>) -> ExitCode {
    match result {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::Problem) => ExitCode::from(1),
        Err(error) => {
            if is_broken_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            message::fail(&error);
            ExitCode::from(1)
        }
    }
}

/// Whether it is only that whoever reads has had enough.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
