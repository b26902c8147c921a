//! A machine, its clocks and programs that read them, all simulated: the counter is a number here, so any
//! preemption, any slewing and any reader can be had, and had again by its seed.
//!
//! For tests: of this crate, and of whoever feeds a [`Timekeeper`](crate::Timekeeper) or writes a page alone.
//!
//! - [`World`] is a [`Reference`](crate::Reference) whose clocks are bent as NTP, people and sleep bend them.
//! - [`Readers`] are a program's reads, as the image of the `own` source makes them, at any time; they notice
//!   a clock that goes back.
//! - [`Hardware`] is a timer of that machine's, for calibration: with jitter, interruptions and faults.
//! - [`Random`] chooses, the same for the same seed.
//!
//! ```
//! use vdso_data::{arithmetic::Transform, clock, own::OwnPage};
//! use vdso_timekeeper::Timekeeper;
//! use vdso_timekeeper::simulated::{Random, Readers, World};
//!
//! let (world, page, mut random) = (World::new(), OwnPage::new(), Random::new(1));
//! let mut timekeeper = Timekeeper::new(&page, &world, [Transform::IDENTITY; clock::LINES]);
//! // Those that may be set do go back when they are.
//! let mut readers = Readers::of(&world, !clock::SETTABLE);
//! for _ in 0..1000 {
//!     let wait = timekeeper.update();
//!     let due = world.cycles() + world.cycles_in(wait);
//!     readers.read(&page, &world, due, &mut random)?;
//!     world.advance_to(due);
//!     world.disturb(&mut random);
//! }
//! # Ok::<(), vdso_timekeeper::simulated::WentBack>(())
//! ```

mod hardware;
mod random;
mod readers;
mod world;

pub use hardware::Hardware;
pub use random::Random;
pub use readers::{Readers, WentBack, alone, read, settled};
pub use world::World;
