//! Calls of `execve` that have failed.

use std::time::Instant;

use super::{Purpose, Tracer};
use crate::follow::whereabouts::{Look, Whereabouts, whereabouts};

impl Tracer<'_> {
    /// When to call [`look`](Self::look) next.
    pub fn looks_at(&self) -> Option<Instant> {
        let reported = self.traced.values().filter(|(_, traced)| traced.is_reported());
        reported.map(|(_, traced)| traced.look.next).min()
    }

    /// Looks for processes whose `execve` has failed, to let go of them.
    pub fn look(&mut self) {
        if self.traced.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut no_longer_needed = Vec::new();
        for (thread, traced) in self.traced.values_mut() {
            if !traced.is_reported() || now < traced.look.next {
                continue;
            }
            let mut longest = Look::LONGEST;
            if matches!(traced.purpose, Purpose::Exec(_) | Purpose::Failed) {
                match whereabouts(thread.tid(), &mut traced.look) {
                    // It stops, which is heard of.
                    Whereabouts::Interruptible => {
                        let _ = thread.interrupt();
                    }
                    Whereabouts::InCall => {
                        traced.purpose = Purpose::Failed;
                        no_longer_needed.extend(traced.slot.take());
                        longest = Look::LONGEST_OF_FAILED;
                    }
                    Whereabouts::MaybeInExecve => {}
                }
            }
            traced.look.again(longest);
        }
        for slot in no_longer_needed {
            self.free(Some(slot));
        }
    }
}
