//! Clock reads inlined into the caller, in a process that runs on an image of ours with its own page
//! (`vdso run --source own`).
//!
//! The image says by a note (`vdso_data::note`) that two pages lie behind it, and what they are. It
//! reads them itself in every call, so a client that trusts the image's functions may as well read
//! them: no new trust is needed. The reader is that of the image (`image/source/own.rs` in the package
//! of `vdso-image`), on the same arithmetic and latch: the counter, the clock's line, and the word that
//! says whether the counter may be used at all, which changes when the kernel gives it up or the process
//! enters a time namespace. Whatever is unusual (a page that nobody publishes any more, a counter given
//! up) is left to the image's function, which knows it all.
//!
//! There is one such image, for x86-64. Elsewhere nothing of this is compiled in.

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
pub(crate) use none::*;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
pub(crate) use page::*;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
mod page {
    use core::mem::MaybeUninit;
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, Ordering};

    use vdso_data::PAGE_BYTES;
    use vdso_data::arithmetic::{NSEC_PER_SEC, nanos_at, rounded_down};
    use vdso_data::clock;
    use vdso_data::hint::cold_path;
    use vdso_data::latch;
    use vdso_data::linux::{BASETIME_BYTES, CLOCK_MODE_COUNTER};
    use vdso_data::note::{self, OWN_PAGE, PROCESS_PAGE, Pages};
    use vdso_data::own::{Halves, Line, OwnPage};
    use vdso_data::process::{self, FLAG_NO_LINUX, ProcessPage};
    use vdso_data::seqlock;
    use vdso_data::sync::{AtomicU32, AtomicU64};

    use crate::arch;
    use crate::clock_id::ClockId;
    use crate::line::Shared;
    use crate::timespec::Timespec;
    use crate::vdso::Vdso;

    /// What a read looks at first. In one piece, as each static of a program costs a load of its address; of
    /// zeros, which need nothing from its file.
    pub(crate) struct First {
        /// The page of clocks; null while none is known.
        page: AtomicPtr<OwnPage>,
        /// For reads that do not wait, where there is no page.
        pub line: Shared,
    }

    pub(crate) static FIRST: First =
        First { page: AtomicPtr::new(ptr::null_mut()), line: Shared::new() };

    /// Two pages that a note has been found for. The process page is where it is in every image of
    /// this version, a fixed distance from the page of clocks.
    #[derive(Clone, Copy)]
    pub(crate) struct OwnPages {
        clocks: &'static OwnPage,
    }

    /// Looks for the pages of the image that calls go to.
    #[inline]
    pub(crate) fn resolve(vdso: Option<&Vdso<'static>>) -> Option<OwnPages> {
        let page = vdso.and_then(find).map_or(ptr::null_mut(), |page| page.cast_mut());
        // Release: pairs with the Acquire in `OwnPages::get`, for pages that another thread mapped.
        FIRST.page.store(page, Ordering::Release);
        // SAFETY: null, or a page that `find` has looked at, which stays mapped as long as the image.
        unsafe { page.as_ref() }.map(|clocks| OwnPages { clocks })
    }

    /// Forgets them.
    pub(crate) fn forget() {
        FIRST.page.store(ptr::null_mut(), Ordering::Release);
    }

    /// How far an image and the pages that a note of its names reach, bytes; `None` if there is no such
    /// note.
    #[inline]
    pub(crate) fn named_bytes(vdso: &Vdso<'_>) -> Option<usize> {
        // Spares the first call a look at the notes: the kernel's images have no entry point.
        if vdso.image().entry() == 0 {
            return None;
        }
        let mut notes = vdso.image().notes().flatten();
        let note = notes.find(|note| note.owner == note::OWNER && note.kind == note::TYPE)?;
        let is_known = Pages::read(note.description)? == Pages::CURRENT;
        is_known.then_some(PROCESS_PAGE + PAGE_BYTES)
    }

    #[inline]
    fn find(vdso: &Vdso<'static>) -> Option<*const OwnPage> {
        named_bytes(vdso)?;
        let page: *const OwnPage = vdso.base().wrapping_add(OWN_PAGE).cast();
        if !page.is_aligned() {
            return None;
        }
        // SAFETY: the image says that the page is there, and reads it in every call; all of its
        // fields are atomics, as the timekeeper writes meanwhile.
        let clocks = unsafe { &*page };
        let pages = OwnPages { clocks };
        (clocks.is_readable() && pages.process().is_readable()).then_some(page)
    }

    impl OwnPages {
        /// The pages of the image that calls go to; `None` also before the first call.
        #[inline(always)]
        pub fn get() -> Option<Self> {
            // Acquire: pairs with the Release in `resolve`.
            let page = FIRST.page.load(Ordering::Acquire);
            // SAFETY: null, or a page that `find` has looked at, which stays mapped as long as the
            // image.
            unsafe { page.as_ref() }.map(|clocks| Self { clocks })
        }

        /// Where everything is that a read of the counter's clocks looks at.
        #[inline(always)]
        pub fn fine(self) -> FinePlaces {
            let mode = word(load(&self.process().0.clock_mode_addr));
            FinePlaces { clocks: self.clocks, mode }
        }

        /// Where everything is that a read of the tick's clocks looks at.
        #[inline(always)]
        pub fn coarse(self) -> CoarsePlaces {
            let hres = &self.process().0.hres;
            let (seq, times) = (word(load(&hres.seq_addr)), load(&hres.basetime_addr));
            CoarsePlaces { clocks: self.clocks, seq, times }
        }

        #[inline(always)]
        fn process(self) -> Process {
            let page = ptr::from_ref(self.clocks).cast::<u8>();
            let page = page.wrapping_add(PROCESS_PAGE - OWN_PAGE).cast::<ProcessPage>();
            // SAFETY: as for the page of clocks; this one never changes.
            Process(unsafe { &*page })
        }
    }

    /// What a read of the clocks that are computed from the counter looks at.
    #[derive(Clone, Copy)]
    pub(crate) struct FinePlaces {
        clocks: &'static OwnPage,
        /// Says whether the counter may be used.
        mode: &'static AtomicU32,
    }

    impl FinePlaces {
        /// The lines of clocks at one value of the counter; `None` if only the image's function knows.
        #[inline(always)]
        pub fn read<const N: usize>(
            self,
            ids: [ClockId; N],
            counter: impl FnMut() -> Halves,
        ) -> Option<[Timespec; N]> {
            let page = self.clocks;
            let times = latch::try_read(&page.header.seq, counter, |cycles, copy| {
                let mut times = [const { MaybeUninit::uninit() }; N];
                for (time, id) in times.iter_mut().zip(ids) {
                    time.write(on_line(page.line(copy, id.raw() as u32), cycles)?);
                }
                // SAFETY: all have been written.
                Some(times.map(|time| unsafe { time.assume_init() }))
            })?;
            // Relaxed: one word that stands for itself.
            (self.mode.load(Ordering::Relaxed) == CLOCK_MODE_COUNTER).then_some(times)
        }
    }

    /// What a read of the clocks that advance with the tick looks at.
    #[derive(Clone, Copy)]
    pub(crate) struct CoarsePlaces {
        clocks: &'static OwnPage,
        /// `seq` of the kernel's page.
        seq: &'static AtomicU32,
        /// Address of `basetime` of the kernel's page.
        times: u64,
    }

    impl CoarsePlaces {
        /// A clock's time in the kernel's page, moved as ours says; `None` if only the image's
        /// function knows.
        #[inline(always)]
        pub fn read(self, id: ClockId) -> Option<Timespec> {
            let id = id.raw() as u32;
            let place = self.times + u64::from(id) * BASETIME_BYTES as u64;
            let kernels = seqlock::try_read(self.seq, || {
                let sec = double_word(place).load(Ordering::Relaxed) as i64;
                (sec, double_word(place + 8).load(Ordering::Relaxed) as i64)
            });
            let Some((sec, nsec)) = kernels else { return self.without_linux(id) };
            let Some(sec) = self.clocks.moved_by_seconds(id, sec) else {
                cold_path();
                return None;
            };
            Some(Timespec { sec, nsec })
        }

        /// Where no Linux is below, the fine twin as of the last tick; `None` if only the image's function knows.
        #[cold]
        #[inline(never)]
        fn without_linux(self, id: u32) -> Option<Timespec> {
            let pages = OwnPages { clocks: self.clocks };
            // Relaxed: the process page does not change.
            if pages.process().0.flags.load(Ordering::Relaxed) & FLAG_NO_LINUX == 0 {
                return None;
            }
            let twin = ClockId::from_raw(clock::fine_twin(id) as i32);
            let [now] = pages.fine().read([twin], ordered)?;
            // Relaxed: one word that stands for itself.
            let tick_ns = self.clocks.header.coarse_res_ns.load(Ordering::Relaxed);
            Some(Timespec { nsec: rounded_down(now.nsec as u64, tick_ns) as i64, ..now })
        }
    }

    /// A line's time at the counter; `None` if it takes more than the usual arithmetic.
    ///
    /// What is between two reads of the counter costs by the instruction, as the processor begins
    /// none of them before it has read. So whatever can be left to the image is, and a branch that is
    /// never taken is better than a value that must be kept.
    #[inline(always)]
    fn on_line(line: &Line, cycles: Halves) -> Option<Timespec> {
        let (delta_cycles, beyond) = cycles.since(line.load_cycle_last());
        // Relaxed: under the latch.
        if beyond != 0 || delta_cycles > line.stale_cycles.load(Ordering::Relaxed) {
            cold_path();
            return None;
        }
        let ns = nanos_at(line.load_nanos(), delta_cycles, line.load_mult()).ns;
        let sec = line.sec.load(Ordering::Relaxed) as i64;
        if ns < NSEC_PER_SEC {
            return Some(Timespec { sec, nsec: ns as i64 });
        }
        let ns = ns - NSEC_PER_SEC;
        if ns < NSEC_PER_SEC {
            return Some(Timespec { sec: sec.wrapping_add(1), nsec: ns as i64 });
        }
        cold_path();
        None
    }

    /// The counter, ordered: whoever maps an image of the `own` source has looked whether this
    /// processor has what the image itself uses.
    #[inline(always)]
    pub(crate) fn ordered() -> Halves {
        // SAFETY: the image does the same.
        unsafe { arch::counter_halves() }
    }

    /// The counter at any moment around the call.
    #[inline(always)]
    pub(crate) fn unordered() -> Halves {
        // SAFETY: as above.
        unsafe { arch::counter_halves_unordered() }
    }

    #[derive(Clone, Copy)]
    struct Process(&'static ProcessPage);

    impl Process {
        fn is_readable(self) -> bool {
            // Relaxed: the page does not change.
            self.0.magic.load(Ordering::Relaxed) == process::MAGIC
                && self.0.version.load(Ordering::Relaxed) == process::VERSION
        }
    }

    #[inline(always)]
    fn load(address: &AtomicU64) -> u64 {
        // Relaxed: the process page does not change.
        address.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn word(address: u64) -> &'static AtomicU32 {
        // SAFETY: injection writes only addresses of aligned words that stay mapped into the process
        // page, and the image reads them in every call.
        unsafe { &*ptr::with_exposed_provenance(address as usize) }
    }

    #[inline(always)]
    fn double_word(address: u64) -> &'static AtomicU64 {
        // SAFETY: as above.
        unsafe { &*ptr::with_exposed_provenance(address as usize) }
    }
}

/// Where there is no such image.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
mod none {
    use crate::clock_id::ClockId;
    use crate::timespec::Timespec;
    use crate::vdso::Vdso;

    /// There is none.
    #[derive(Clone, Copy)]
    pub(crate) struct OwnPages(());

    impl OwnPages {
        #[inline(always)]
        pub fn get() -> Option<Self> {
            None
        }

        #[inline(always)]
        pub fn fine(self) -> FinePlaces {
            FinePlaces(())
        }

        #[inline(always)]
        pub fn coarse(self) -> CoarsePlaces {
            CoarsePlaces(())
        }
    }

    /// There are none.
    #[derive(Clone, Copy)]
    pub(crate) struct FinePlaces(());

    impl FinePlaces {
        #[inline(always)]
        pub fn read<const N: usize>(
            self,
            _: [ClockId; N],
            _: impl FnMut(),
        ) -> Option<[Timespec; N]> {
            None
        }
    }

    /// There are none.
    #[derive(Clone, Copy)]
    pub(crate) struct CoarsePlaces(());

    impl CoarsePlaces {
        #[inline(always)]
        pub fn read(self, _: ClockId) -> Option<Timespec> {
            None
        }
    }

    pub(crate) fn ordered() {}

    pub(crate) fn unordered() {}

    pub(crate) fn resolve(_: Option<&Vdso<'static>>) -> Option<OwnPages> {
        None
    }

    pub(crate) fn named_bytes(_: &Vdso<'_>) -> Option<usize> {
        None
    }

    pub(crate) fn forget() {}
}
