//! The operands of the stubs' instructions, which all of them name alike: where what they work on is, what they
//! ask for, and by which numbers.
//!
//! `$stub` is the instructions, with the operands that the one stub has alone, up to a comma; `$numbers` are
//! those of the program's system calls. Whoever assembles one has the names of [`names`] as well.

/// What the operands below are computed from.
#[allow(unused_imports, reason = "not where there are no stubs")]
pub(crate) mod names {
    pub(crate) use std::mem::offset_of;

    pub(crate) use vdso_data::PAGE_BYTES;
    pub(crate) use vdso_data::process::{
        CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, RAW_SEQ_ADDR,
    };
    pub(crate) use vdso_map::Identity;

    pub(crate) use super::{stub, stub_of_64_bits};
    pub(crate) use crate::stub::{
        MemoryMap, PROCESS_PAGE_WORDS, REQUEST, REQUEST_ANNOUNCE, REQUEST_COUNTS, REQUEST_FILE,
        REQUEST_RESCUE, StubData, step,
    };
}

/// Assembles a stub that has the words of any program.
#[allow(unused_macros, reason = "not where there are no stubs")]
macro_rules! stub {
    ($numbers:expr, $($stub:tt)*) => {
        ::core::arch::global_asm!(
            $($stub)*
            token = const offset_of!(StubData, token),
            file = const offset_of!(StubData, file),
            mapping_addr = const offset_of!(StubData, mapping_addr),
            mapping_bytes = const offset_of!(StubData, mapping_bytes),
            second_stage_offset = const offset_of!(StubData, second_stage_offset),
            file_offset = const offset_of!(StubData, file_offset),
            covers = const offset_of!(StubData, covers),
            give_up_addr = const offset_of!(StubData, give_up_addr),
            leave_addr = const offset_of!(StubData, leave_addr),
            leave_bytes = const offset_of!(StubData, leave_bytes),
            status = const offset_of!(StubData, status),
            step_descriptor = const step::DESCRIPTOR,
            step_answer = const step::ANSWER,
            step_look = const step::LOOK,
            step_compare = const step::COMPARE,
            step_map = const step::MAP,
            step_uncover = const step::UNCOVER,
            request_file = const REQUEST_FILE,
            cloexec = const libc::EFD_CLOEXEC,
            read_execute = const libc::PROT_READ | libc::PROT_EXEC,
            read_write_execute = const libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            private = const libc::MAP_PRIVATE,
            anonymous = const libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            eventfd = const $numbers.eventfd2,
            fstat = const $numbers.fstat.expect("each has this call"),
            entry_offset = const offset_of!(StubData, entry_offset),
            auxv_value_addr = const offset_of!(StubData, auxv_value_addr),
            program_entry_addr = const offset_of!(StubData, program_entry_addr),
            first_stage_addr = const offset_of!(StubData, first_stage_addr),
            first_stage_bytes = const offset_of!(StubData, first_stage_bytes),
            original_addr = const offset_of!(StubData, original_addr),
            dropped_page_addr = const offset_of!(StubData, dropped_page_addr),
            memory_map = const offset_of!(StubData, memory_map),
            memory_map_bytes = const size_of::<MemoryMap>(),
            start_brk = const offset_of!(StubData, memory_map) + offset_of!(MemoryMap, start_brk),
            process_page = const offset_of!(StubData, process_page),
            clock_mode_addr = const CLOCK_MODE_ADDR,
            counter_mode = const COUNTER_MODE,
            hres_seq_addr = const HRES_SEQ_ADDR,
            raw_seq_addr = const RAW_SEQ_ADDR,
            never_even_seq = const NEVER_EVEN_SEQ,
            page = const PAGE_BYTES,
            rescue = const REQUEST_RESCUE,
            announce = const REQUEST_ANNOUNCE,
            announces = const offset_of!(StubData, announces),
            read = const libc::PROT_READ,
            read_write = const libc::PROT_READ | libc::PROT_WRITE,
            shared_fixed = const libc::MAP_SHARED | libc::MAP_FIXED,
            anonymous_fixed = const libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            dontneed = const libc::MADV_DONTNEED,
            set_mm = const libc::PR_SET_MM,
            set_mm_map = const libc::PR_SET_MM_MAP,
            prctl = const $numbers.prctl,
            brk = const $numbers.brk,
            munmap = const $numbers.munmap,
            madvise = const $numbers.madvise,
            mprotect = const $numbers.mprotect,
            close = const $numbers.close,
            exit_group = const $numbers.exit_group,
        );
    };
}

/// Assembles a stub that has 64-bit words.
#[allow(unused_macros, reason = "not where there are no stubs")]
macro_rules! stub_of_64_bits {
    ($numbers:expr, $($stub:tt)*) => {
        stub!(
            $numbers,
            $($stub)*
            file_device = const offset_of!(StubData, identity) + offset_of!(Identity, device),
            file_inode = const offset_of!(StubData, identity) + offset_of!(Identity, inode),
            file_bytes = const offset_of!(StubData, identity) + offset_of!(Identity, bytes),
            status_device = const offset_of!(StubData, status) + offset_of!(libc::stat, st_dev),
            status_inode = const offset_of!(StubData, status) + offset_of!(libc::stat, st_ino),
            status_bytes = const offset_of!(StubData, status) + offset_of!(libc::stat, st_size),
            stack_block_bytes = const offset_of!(StubData, stack_block_bytes),
            process_page_words = const PROCESS_PAGE_WORDS,
            data_words = const size_of::<StubData>() / 8,
            own_page = const vdso_image::OWN_PAGE,
            process_page_offset = const vdso_image::PROCESS_PAGE,
            at_sysinfo_ehdr = const libc::AT_SYSINFO_EHDR,
            mmap = const $numbers.mmap,
        );
    };
}

#[allow(unused_imports, reason = "not where there are no stubs")]
pub(crate) use {stub, stub_of_64_bits};
