//! What the supervisor reports, for a person, with what to do about it.

use vdso_launch::follow::{Notice, Severity};
use vdso_launch::hint;

use crate::message::say;

/// Says what the supervisor reports.
pub fn notice(notice: &Notice) {
    match notice.severity() {
        Severity::Info => say(notice),
        Severity::Warning => say(format_args!("warning: {notice}")),
        Severity::Error => say(format_args!("error: {notice} (--strict)")),
    }
    if let Some(hint) = remedy(notice) {
        say(format_args!("hint: {hint}"));
    }
}

fn remedy(notice: &Notice) -> Option<&'static str> {
    match notice {
        Notice::Unprivileged { .. } => Some("run it with --no-follow, or as root"),
        Notice::ListenerRefused { .. } | Notice::StrictModeRefused { .. } => {
            Some("run it with --no-follow")
        }
        _ => notice.error().and_then(hint),
    }
}
