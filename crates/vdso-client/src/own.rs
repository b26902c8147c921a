//! Clock reads inlined into the caller, in a process that runs on an image of ours with its own page
//! (`vdso run --source own`).
//!
//! The image says by a note (`vdso_data::note`) that two pages lie behind it, and what they are. It
//! reads them itself in every call, so a client that trusts the image's functions may as well read
//! them: no new trust is needed. The reader is that of `crates/vdso-image/image/source/own.rs`, on the
//! same arithmetic and latch: the counter, the clock's line, and the word that says whether the
//! counter may be used at all, which changes when the kernel gives it up or the process enters a time
//! namespace. Whatever is unusual (a page that nobody publishes any more, a counter given up) is
//! left to the image's function, which knows it all.
//!
//! There is one such image, for x86-64. Elsewhere nothing of this is compiled in.

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
pub(crate) use none::*;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
pub(crate) use page::*;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
mod page {
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, Ordering};

    use vdso_data::arithmetic::{Timespec as PageTimespec, nanos_at};
    use vdso_data::latch;
    use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
    use vdso_data::note::{self, OWN_PAGE, PROCESS_PAGE, Pages};
    use vdso_data::own::{Halves, OwnPage};
    use vdso_data::process::{self, KernelClock, ProcessPage};
    use vdso_data::seqlock;
    use vdso_data::sync::{AtomicU32, AtomicU64};

    use crate::arch;
    use crate::clock_id::ClockId;
    use crate::timespec::Timespec;
    use crate::vdso::Vdso;

    /// The page of clocks; null while none is known.
    static PAGE: AtomicPtr<OwnPage> = AtomicPtr::new(ptr::null_mut());

    /// Two pages that a note has been found for. The process page is where it is in every image of
    /// this version, a fixed distance from the page of clocks.
    #[derive(Clone, Copy)]
    pub(crate) struct OwnPages {
        clocks: &'static OwnPage,
    }

    /// Looks for the pages of the image that calls go to.
    pub(crate) fn resolve(vdso: Option<&Vdso<'static>>) {
        let page = vdso.and_then(find).map_or(ptr::null_mut(), |page| page.cast_mut());
        // Release: pairs with the Acquire in `OwnPages::get`, for pages that another thread mapped.
        PAGE.store(page, Ordering::Release);
    }

    /// Forgets them.
    pub(crate) fn forget() {
        PAGE.store(ptr::null_mut(), Ordering::Release);
    }

    fn find(vdso: &Vdso<'static>) -> Option<*const OwnPage> {
        let mut notes = vdso.image().notes().flatten();
        let note = notes.find(|note| note.owner == note::OWNER && note.kind == note::TYPE)?;
        if Pages::read(note.description)? != Pages::CURRENT {
            return None;
        }
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
            let page = PAGE.load(Ordering::Acquire);
            // SAFETY: null, or a page that `find` has looked at, which stays mapped as long as the
            // image.
            unsafe { page.as_ref() }.map(|clocks| Self { clocks })
        }

        /// The clock's line at the counter; `None` if only the image's function knows.
        #[inline(always)]
        pub fn fine(self, id: ClockId) -> Option<Timespec> {
            let [now] = self.fine_at_once([id], ordered)?;
            Some(now)
        }

        /// The lines of several clocks at one value of the counter.
        #[inline(always)]
        pub fn fine_at_once<const N: usize>(
            self,
            ids: [ClockId; N],
            counter: impl FnMut() -> Halves,
        ) -> Option<[Timespec; N]> {
            let page = self.clocks;
            let (times, beyond) = latch::read(&page.header.seq, counter, |cycles, copy| {
                let mut beyond = 0;
                let times = ids.map(|id| {
                    let line = page.line(copy, id.raw() as u32);
                    let (delta_cycles, beyond_this) = cycles.since(line.load_cycle_last());
                    beyond |= beyond_this;
                    let nanos = nanos_at(line.load_nanos(), delta_cycles, line.load_mult());
                    let sec = line.sec.load(Ordering::Relaxed);
                    Timespec::from(PageTimespec::carried(sec, nanos.ns))
                });
                (times, beyond)
            });
            (beyond == 0 && self.process().mode() == CLOCK_MODE_COUNTER).then_some(times)
        }

        /// A clock that advances with the tick, from the kernel's page, moved as ours says; `None` if
        /// only the image's function knows.
        #[inline(always)]
        pub fn coarse(self, id: ClockId) -> Option<Timespec> {
            let known = &self.process().0.hres;
            let id = id.raw() as u32;
            let in_time_namespace = || mode_beside(known) == CLOCK_MODE_TIMENS;
            let host = seqlock::read(seq(known), in_time_namespace, || (), |()| basetime(known, id))?;
            let sec = self.clocks.moved_by_seconds(id, host.sec)?;
            Some(Timespec { sec, nsec: host.nsec })
        }

        #[inline(always)]
        fn process(self) -> Process {
            let page = ptr::from_ref(self.clocks).cast::<u8>();
            let page = page.wrapping_add(PROCESS_PAGE - OWN_PAGE).cast::<ProcessPage>();
            // SAFETY: as for the page of clocks; this one never changes.
            Process(unsafe { &*page })
        }
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

        /// The word that says whether the counter may be used.
        #[inline(always)]
        fn mode(self) -> u32 {
            word(load(&self.0.clock_mode_addr)).load(Ordering::Relaxed)
        }
    }

    /// `seq` of the kernel's page.
    #[inline(always)]
    fn seq(known: &KernelClock) -> &'static AtomicU32 {
        word(load(&known.seq_addr))
    }

    /// `clock_mode` of the kernel's page, which follows `seq`.
    #[inline(always)]
    fn mode_beside(known: &KernelClock) -> u32 {
        word(load(&known.seq_addr) + 4).load(Ordering::Relaxed)
    }

    /// `basetime[id]` of the kernel's page.
    #[inline(always)]
    fn basetime(known: &KernelClock, id: u32) -> PageTimespec {
        let address = load(&known.basetime_addr)
            + u64::from(id) * vdso_data::linux::BASETIME_BYTES as u64;
        PageTimespec {
            sec: double_word(address).load(Ordering::Relaxed) as i64,
            nsec: double_word(address + 8).load(Ordering::Relaxed) as i64,
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

    pub(crate) enum OwnPages {}

    impl OwnPages {
        #[inline(always)]
        pub fn get() -> Option<Self> {
            None
        }

        #[inline(always)]
        pub fn fine(self, _: ClockId) -> Option<Timespec> {
            match self {}
        }

        #[inline(always)]
        pub fn fine_at_once<const N: usize>(
            self,
            _: [ClockId; N],
            _: impl FnMut(),
        ) -> Option<[Timespec; N]> {
            match self {}
        }

        #[inline(always)]
        pub fn coarse(self, _: ClockId) -> Option<Timespec> {
            match self {}
        }
    }

    pub(crate) fn ordered() {}

    pub(crate) fn unordered() {}

    pub(crate) fn resolve(_: Option<&Vdso<'static>>) {}

    pub(crate) fn forget() {}
}
