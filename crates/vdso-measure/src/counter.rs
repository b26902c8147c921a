//! The counter itself, without a call: what no call can be faster than.

use std::hint::black_box;

use crate::interleave::Subject;

/// Ways to read the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// In the order in which the processor likes it: good for one thread's own measurements.
    Unordered,
    /// After everything before it: what a vDSO does.
    Ordered,
}

impl Counter {
    /// Reads it, and nothing else. `None` on an architecture whose counter is not known here.
    pub fn subject(self, name: &str) -> Option<Subject<'static>> {
        #[cfg(target_arch = "x86_64")]
        {
            Some(match self {
                Self::Unordered => Subject::new(name, |times| {
                    for _ in 0..times {
                        // SAFETY: reads a counter that user mode may read, or the process is told so by
                        // a signal.
                        black_box(unsafe { vdso_arch::counter_halves_unordered!() });
                    }
                }),
                Self::Ordered => Subject::new(name, |times| {
                    for _ in 0..times {
                        // SAFETY: as above.
                        black_box(unsafe { vdso_arch::counter_halves!() });
                    }
                }),
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = name;
            None
        }
    }
}
