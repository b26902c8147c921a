//! Where the states are: blocks of pages that are made when the ones before are full, and never go away.
//! A block has a list of owners in ordinary memory and as many states in memory that is wiped.
//!
//! ```text
//! BLOCKS: 1 page of states, 2, 4, …        a state:  generator | mark | up to the next cache line
//!   owners:  0 (free) | a thread | HELD
//! ```
//!
//! Owners change by compare-and-exchange alone. A thread that has ended says so to nobody: whoever needs
//! a state, and finds none free, takes those of threads that are gone.
//!
//! Nobody looks through all owners for one that is free: a block knows how many of its states are, and
//! where to look next, which is where one was given back last, or behind the one that was taken last. Both
//! are hints. Who is interrupted between two stores, or has forked then, leaves one that is wrong: that costs
//! a look through the block, or leaves a state unused.
//!
//! After a fork the list is a copy, with the parent's threads in it, all of which are gone here. So is
//! the one that forked: it has another number now, and its state may be taken from it. The mark is how it
//! learns that. It is in the memory that is wiped, so it is not there after a fork, and whoever takes the
//! state puts its own there.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::{ask_function, process};
use crate::arch;
use crate::errno::Errno;
use crate::memory::{self, MAP_PRIVATE_ANONYMOUS, PAGE_BYTES, PROT_READ_WRITE};
use crate::resolve::slots;

/// The owner of a state that nobody has.
const FREE: u32 = 0;
/// The owner of a state that belongs to no thread. No thread has this number.
pub const HELD: u32 = u32::MAX;

/// As many blocks as there can be: the last one has 2^15 pages.
const MOST_BLOCKS: usize = 16;

/// The smallest distance of two states, so that no two are in one cache line.
const CACHE_LINE_BYTES: usize = 64;

static BLOCKS: [AtomicPtr<Block>; MOST_BLOCKS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MOST_BLOCKS];

/// A block, at the beginning of its own ordinary memory; the owners follow it.
#[derive(Debug)]
struct Block {
    /// What the states are for.
    function: NonNull<()>,
    layout: Layout,
    /// How many states there are.
    count: usize,
    states: NonNull<u8>,
    owners: NonNull<AtomicU32>,
    /// How many states are free, more or less.
    free: AtomicUsize,
    /// Where to look for one that is free.
    next_free: AtomicUsize,
    /// Where to look for one whose owner is gone.
    next_gone: AtomicUsize,
}

// SAFETY: a block changes in its hints alone, which are atomics, and what its pointers lead to is changed by
// the owner of each state alone, but for the owners, which are atomics.
unsafe impl Sync for Block {}

/// What a function asks for, and what follows from it.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// What the function takes for a state.
    state_bytes: usize,
    /// Where the mark is in each.
    mark_at: usize,
    /// The distance of two states in a page. No state straddles two pages: the function refuses those.
    stride: usize,
    per_page: usize,
    /// For mmap(2).
    protection: usize,
    flags: usize,
}

/// `struct vgetrandom_opaque_params`. Source: `include/uapi/linux/random.h` (Linux 6.18).
#[repr(C)]
struct Parameters {
    state_bytes: u32,
    protection: u32,
    flags: u32,
    reserved: [u32; 13],
}

/// Says that memory is wiped in a forked child, and may be taken back by the kernel. Source:
/// `include/uapi/linux/mman.h` (Linux 6.18).
const MAP_DROPPABLE: usize = 0x08;

impl Parameters {
    /// What the function says.
    fn of(function: NonNull<()>) -> Result<Self, Errno> {
        let mut parameters = Self { state_bytes: 0, protection: 0, flags: 0, reserved: [0; 13] };
        let out = (&raw mut parameters).expose_provenance();
        // SAFETY: these arguments ask for the parameters, which have a place.
        let answer = unsafe { arch::call_with_five(function, [0, 0, 0, out, usize::MAX]) };
        Errno::check(answer)?;
        // SAFETY: `out` was exposed: the function may have written there.
        Ok(unsafe { (&raw const parameters).read_volatile() })
    }
}

/// Whether a getrandom says that it does not know.
pub(crate) fn answers_enosys(function: NonNull<()>) -> bool {
    matches!(Parameters::of(function), Err(Errno::ENOSYS))
}

impl Layout {
    fn of(function: NonNull<()>) -> Option<Self> {
        Self::from_parameters(&Parameters::of(function).ok()?)
    }

    fn from_parameters(parameters: &Parameters) -> Option<Self> {
        let state_bytes = parameters.state_bytes as usize;
        let flags = parameters.flags as usize;
        // A state that a child has, too, would give both the same bytes.
        if state_bytes == 0 || state_bytes > PAGE_BYTES / 2 || flags & MAP_DROPPABLE == 0 {
            return None;
        }
        let mark_at = state_bytes.next_multiple_of(align_of::<AtomicU32>());
        let stride = (mark_at + size_of::<AtomicU32>()).next_multiple_of(CACHE_LINE_BYTES);
        let (per_page, protection) = (PAGE_BYTES / stride, parameters.protection as usize);
        Some(Self { state_bytes, mark_at, stride, per_page, protection, flags })
    }

    /// Where state `index` is, from the first.
    const fn offset(&self, index: usize) -> usize {
        index / self.per_page * PAGE_BYTES + index % self.per_page * self.stride
    }
}

impl Block {
    /// Makes the block that has this many pages.
    fn make(function: NonNull<()>, layout: Layout, pages: usize) -> Option<NonNull<Self>> {
        let count = pages * layout.per_page;
        let states = memory::map(pages * PAGE_BYTES, layout.protection, layout.flags)?;
        let header = size_of::<Self>() + count * size_of::<AtomicU32>();
        let Some(memory) = memory::map(header, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS) else {
            // SAFETY: mapped above, and nobody knows of them.
            unsafe { memory::unmap(states, pages * PAGE_BYTES) };
            return None;
        };
        let block = memory.cast::<Self>();
        // SAFETY: the owners' place, behind the block in the same mapping; zeros, which is `FREE`.
        let owners = unsafe { block.add(1) }.cast();
        // SAFETY: mapped above, with room for a block, at the beginning of a page.
        unsafe { block.write(Self::new(function, layout, count, states, owners)) };
        Some(block)
    }

    const fn new(
        function: NonNull<()>,
        layout: Layout,
        count: usize,
        states: NonNull<u8>,
        owners: NonNull<AtomicU32>,
    ) -> Self {
        let (next_free, next_gone) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let free = AtomicUsize::new(count);
        Self { function, layout, count, states, owners, free, next_free, next_gone }
    }

    /// Undoes [`make`](Self::make).
    ///
    /// # Safety
    /// Nobody else may know of the block.
    unsafe fn unmake(block: NonNull<Self>) {
        // SAFETY: made by `make`.
        let Self { layout, count, states, .. } = *unsafe { block.as_ref() };
        // SAFETY: its states, which nobody has.
        unsafe { memory::unmap(states, count / layout.per_page * PAGE_BYTES) };
        let header = size_of::<Self>() + count * size_of::<AtomicU32>();
        // SAFETY: the block itself, which nobody knows of.
        unsafe { memory::unmap(block.cast(), header) };
    }

    fn owners(&self) -> &'static [AtomicU32] {
        // SAFETY: `make` has mapped them, and a block that is found is never unmapped.
        unsafe { slice::from_raw_parts(self.owners.as_ptr(), self.count) }
    }

    /// The state of index `index`, which must be less than `count`.
    fn place(&'static self, index: usize) -> Place {
        // SAFETY: inside the mapping of the states.
        let state = unsafe { self.states.add(self.layout.offset(index)) };
        Place { block: self, owner: &self.owners()[index], state }
    }

    /// A state that nobody has.
    fn claim_free(&'static self, by: u32) -> Option<Place> {
        // Relaxed, here and below: hints.
        if self.free.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let found =
            claim(self.owners(), by, self.next_free.load(Ordering::Relaxed), |it| it == FREE);
        let Some(index) = found else {
            // Of states that nobody has given back; they are counted when somebody does.
            self.free.store(0, Ordering::Relaxed);
            return None;
        };
        let less = |free: usize| free.checked_sub(1);
        let _ = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.next_free.store(index + 1, Ordering::Relaxed);
        Some(self.taken(index, by))
    }

    /// A state of one of whom `is_gone` says so.
    fn claim_gone(&'static self, by: u32, is_gone: impl Fn(u32) -> bool) -> Option<Place> {
        // Relaxed, here and below: hints. Threads that come and go one by one find the last one's first.
        let start = self.next_gone.load(Ordering::Relaxed);
        let index = claim(self.owners(), by, start, is_gone)?;
        self.next_gone.store(index, Ordering::Relaxed);
        Some(self.taken(index, by))
    }

    /// The state of this index, whose owner `by` has just become.
    fn taken(&'static self, index: usize, by: u32) -> Place {
        let place = self.place(index);
        place.wipe();
        place.mark(by);
        place
    }

    /// That this state is free.
    fn note_free(&self, owner: &AtomicU32) {
        let at = ptr::from_ref(owner).addr() - self.owners.as_ptr().addr();
        self.next_free.store(at / size_of::<AtomicU32>(), Ordering::Relaxed);
        self.free.fetch_add(1, Ordering::Relaxed);
    }
}

/// The first, from `start` on and around, whose owner can be changed from one of whom `is_gone` says so.
fn claim(
    owners: &[AtomicU32],
    by: u32,
    start: usize,
    is_gone: impl Fn(u32) -> bool,
) -> Option<usize> {
    let (before, behind) = owners.split_at(start.min(owners.len()));
    let indices = (before.len()..owners.len()).chain(0..before.len());
    indices.zip(behind.iter().chain(before)).find_map(|(index, owner)| {
        #[cfg(all(test, feature = "std"))]
        tests::LOOKS.with(|looks| looks.set(looks.get() + 1));
        // Relaxed: the exchange says whether it still holds.
        let last = owner.load(Ordering::Relaxed);
        if !is_gone(last) {
            return None;
        }
        // Acquire: pairs with the Release in `give_back`; what the last owner has left there is seen.
        owner.compare_exchange(last, by, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(index)
    })
}

/// All blocks for a function.
fn blocks_for(function: NonNull<()>) -> impl Iterator<Item = &'static Block> {
    // Acquire: pairs with the Release in `grow`; the block is complete.
    let blocks = BLOCKS.iter().map(|block| block.load(Ordering::Acquire));
    let blocks = blocks.take_while(|block| !block.is_null());
    // SAFETY: a block that was put there stays.
    blocks.map(|block| unsafe { &*block }).filter(move |block| block.function == function)
}

/// Puts another block behind the last; `None` if there is no room. Who comes second finds the first one's.
fn grow(function: NonNull<()>) -> Option<()> {
    // Acquire: as in `blocks_for`.
    let last = BLOCKS.iter().position(|block| block.load(Ordering::Acquire).is_null())?;
    let block = Block::make(function, Layout::of(function)?, 1 << last)?;
    let (success, failure) = (Ordering::Release, Ordering::Relaxed);
    if BLOCKS[last].compare_exchange(ptr::null_mut(), block.as_ptr(), success, failure).is_err() {
        // SAFETY: it was not put there, so nobody knows of it.
        unsafe { Block::unmake(block) };
    }
    Some(())
}

/// A state, and whose it is. A copy of it is no more than a note of where the state is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    block: &'static Block,
    owner: &'static AtomicU32,
    state: NonNull<u8>,
}

// SAFETY: the state belongs to whoever the owner says, on whatever thread that is.
unsafe impl Send for Place {}
// SAFETY: as above; to fill from it takes an owner's word that nobody else does meanwhile.
unsafe impl Sync for Place {}

impl Place {
    /// A state for an owner; `None` if there is no function, or no memory.
    pub fn claim(owner: u32) -> Option<Self> {
        let function = slots::GETRANDOM.get()?;
        // Another process's threads are never found alive.
        let is_gone = |thread| {
            let is_another = thread != FREE && thread != HELD;
            // Free, and not noted so.
            thread == FREE || is_another && process::owns_pool() && !process::is_alive(thread)
        };
        for _ in 0..MOST_BLOCKS {
            let free = blocks_for(function).find_map(|block| block.claim_free(owner));
            let gone = || blocks_for(function).find_map(|block| block.claim_gone(owner, is_gone));
            let place = free.or_else(gone);
            if place.is_some() {
                return place;
            }
            grow(function)?;
        }
        None
    }

    /// Whether it is for the function that this program's calls go to now.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub fn is_current(&self) -> bool {
        slots::GETRANDOM.resolved() == Some(self.block.function)
    }

    /// Whether it has this owner's mark.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub fn is_marked(&self, owner: u32) -> bool {
        // Relaxed: the owner itself has put it there; after a fork or a drop it is another page.
        self.mark_word().load(Ordering::Relaxed) == owner
    }

    /// Whether it still belongs to the owner, though it has lost its mark; puts that there again.
    #[cfg(feature = "std")]
    pub fn confirm(&self, owner: u32) -> bool {
        // Relaxed: the owner itself has written it.
        let is_owner = self.owner.load(Ordering::Relaxed) == owner;
        if is_owner {
            self.mark(owner);
        }
        is_owner
    }

    /// Fills a buffer, or its beginning. The caller is the owner.
    #[inline]
    pub fn fill(&self, part: &mut [MaybeUninit<u8>], flags: usize) -> Result<usize, Errno> {
        let Block { function, layout, .. } = *self.block;
        // SAFETY: the block was made for this function, and the state has one owner, which is the caller.
        unsafe { ask_function(function, part, flags, self.state, layout.state_bytes) }
    }

    /// For the next one. The caller is `owner`.
    pub fn give_back(&self, owner: u32) {
        // Relaxed: the owner itself has written it, and nobody takes it from one who lives.
        if self.owner.load(Ordering::Relaxed) == owner {
            self.wipe();
            // Release: pairs with the Acquire in `claim`.
            self.owner.store(FREE, Ordering::Release);
            self.block.note_free(self.owner);
        }
    }

    /// What an owner has left: its key, and perhaps the word that says that the state is in use, for ever.
    fn wipe(&self) {
        let bytes = self.block.layout.mark_at;
        // SAFETY: inside the mapping of the states, and the caller's.
        unsafe { self.state.write_bytes(0, bytes) };
    }

    /// Whether both are the same state.
    #[cfg(all(test, feature = "std"))]
    pub fn is_at(&self, other: &Self) -> bool {
        self.state == other.state
    }

    /// Puts an owner's mark there.
    pub fn mark(&self, owner: u32) {
        // Relaxed: for the owner itself.
        self.mark_word().store(owner, Ordering::Relaxed);
    }

    #[inline(always)]
    fn mark_word(&self) -> &'static AtomicU32 {
        // SAFETY: inside the mapping of the states.
        let mark = unsafe { self.state.add(self.block.layout.mark_at) };
        // SAFETY: aligned, and nothing but a mark is ever there, for as long as the block: for ever.
        unsafe { mark.cast().as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::{CACHE_LINE_BYTES, Layout, MAP_DROPPABLE, PAGE_BYTES, Parameters};

    #[cfg(feature = "std")]
    std::thread_local! {
        /// How many owners this thread has looked at.
        pub static LOOKS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
    }

    /// Counted, as time would not tell it on every machine.
    #[cfg(all(feature = "std", not(miri)))]
    #[test]
    fn of_twenty_thousand_states_one_that_is_free_is_found_at_once() {
        use super::{HELD, Place};

        const MANY: usize = 20_000;
        let mut places: std::vec::Vec<Place> =
            (0..MANY).map_while(|_| Place::claim(HELD)).collect();
        let looks = |body: &mut dyn FnMut()| {
            LOOKS.set(0);
            body();
            LOOKS.get()
        };
        if places.len() == MANY {
            // One is made and dropped; one is made before another is dropped.
            let count = looks(&mut || {
                (0..1_000).for_each(|_| Place::claim(HELD).expect("a state").give_back(HELD));
            });
            assert!(count < 4_000, "{count}");
            let count = looks(&mut || {
                for index in 0..1_000 {
                    let new = Place::claim(HELD).expect("a state");
                    std::mem::replace(&mut places[index * 7_919 % MANY], new).give_back(HELD);
                }
            });
            assert!(count < 4_000, "{count}");
            // Many are dropped here and there, and then as many made.
            places.iter().step_by(7).for_each(|place| place.give_back(HELD));
            let count = looks(&mut || {
                places.iter_mut().step_by(7).for_each(|it| *it = Place::claim(HELD).expect("one"));
            });
            assert!(count < 2 * MANY, "{count}");
        }
        places.iter().for_each(|place| place.give_back(HELD));
    }

    fn layout(state_bytes: u32) -> Option<Layout> {
        let flags = MAP_DROPPABLE as u32 | 0x20;
        Layout::from_parameters(&Parameters {
            state_bytes,
            protection: 3,
            flags,
            reserved: [0; 13],
        })
    }

    #[test]
    fn no_state_straddles_a_page_or_shares_a_cache_line() {
        for state_bytes in 1..=2048 {
            let layout = layout(state_bytes).expect("a size that fits");
            let mut end = 0;
            for index in 0..3 * layout.per_page {
                let start = layout.offset(index);
                assert!(start >= end && start % CACHE_LINE_BYTES == 0, "{layout:?}");
                end = start + layout.mark_at + 4;
                assert_eq!(start / PAGE_BYTES, (end - 1) / PAGE_BYTES, "{layout:?}");
            }
            assert_eq!(layout.offset(layout.per_page), PAGE_BYTES);
        }
    }

    #[test]
    fn parameters_that_nothing_can_be_made_of_are_refused() {
        assert!(layout(0).is_none());
        assert!(layout(2049).is_none());
        assert!(layout(u32::MAX).is_none());
        let kept = Parameters { state_bytes: 144, protection: 3, flags: 0x22, reserved: [0; 13] };
        assert!(Layout::from_parameters(&kept).is_none(), "memory that a child has, too");
    }
}
