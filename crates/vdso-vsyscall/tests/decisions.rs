//! What is decided of accesses and calls, for any registers.

use proptest::prelude::*;
use vdso_vsyscall::{
    Access, AfterFilter, Entry, Filtered, Mode, PAGE, PAGE_ADDR, PAGE_BYTES, Reaction, Registers,
    SegvCode, UserMemory, react,
};

const END_ADDR: u64 = 0x7fff_ffff_f000;

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Execute];

#[test]
fn each_address_of_the_page_reacts_by_mode_and_access() {
    for addr in PAGE_ADDR..PAGE_ADDR + PAGE_BYTES as u64 {
        let entry = Entry::at(addr);
        assert_eq!(entry.is_some(), [0, 0x400, 0x800].contains(&(addr - PAGE_ADDR)));
        for mode in Mode::ALL {
            for access in ACCESSES {
                match (react(mode, access, addr), access, mode) {
                    (Reaction::Bytes, Access::Read, Mode::Emulate) => {}
                    (Reaction::Enter(found), Access::Execute, Mode::Emulate | Mode::Xonly) => {
                        assert_eq!(Some(found), entry);
                    }
                    (Reaction::Signal(segv), Access::Execute, Mode::Emulate | Mode::Xonly) => {
                        assert_eq!((segv.code, segv.addr), (SegvCode::Kernel, 0));
                        assert_eq!(entry, None);
                    }
                    (Reaction::Signal(segv), ..) => {
                        assert_eq!((segv.code, segv.addr), (SegvCode::MapErr, addr));
                        let code = segv.page_fault.expect("a plain fault").error_code;
                        let expected = match access {
                            Access::Read => 0x5,
                            Access::Write => 0x7,
                            Access::Execute => 0x15,
                        };
                        assert_eq!(code, expected);
                    }
                    other => panic!("{addr:#x}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn the_pages_entries_make_their_calls_and_return() {
    for entry in Entry::ALL {
        let code = &PAGE[entry.offset()..][..10];
        let [a, b, c, d] = entry.number().to_le_bytes();
        assert_eq!(code, [0x48, 0xc7, 0xc0, a, b, c, d, 0x0f, 0x05, 0xc3]);
    }
    let is_code =
        |at: usize| Entry::ALL.iter().any(|it| (it.offset()..it.offset() + 10).contains(&at));
    assert!((0..PAGE_BYTES).all(|at| is_code(at) || PAGE[at] == 0xcc));
}

#[test]
fn modes_are_told_by_their_names_and_mappings() {
    for mode in Mode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
        assert_eq!(Mode::of_permissions(mode.permissions()), Some(mode));
    }
    assert!("native".parse::<Mode>().is_err());
    assert_eq!(Mode::of_permissions(Some("r--p")), None);
}

fn entry() -> impl Strategy<Value = Entry> {
    proptest::sample::select(&Entry::ALL[..])
}

/// Pointers that are null, a program's, at the end of a program's memory, or anything.
fn pointer() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..END_ADDR, END_ADDR - 32..END_ADDR + 32, any::<u64>()]
}

fn registers() -> impl Strategy<Value = Registers> {
    (any::<u64>(), pointer(), pointer(), any::<u64>(), any::<u64>())
        .prop_map(|(rax, rdi, rsi, rsp, rip)| Registers { rax, rdi, rsi, rsp, rip })
}

/// How much a function writes to where its arguments point, by its manual page.
fn results(entry: Entry, registers: &Registers) -> Vec<(u64, u64)> {
    let Registers { rdi, rsi, .. } = *registers;
    match entry {
        Entry::Gettimeofday => vec![(rdi, 16), (rsi, 8)],
        Entry::Time => vec![(rdi, 8)],
        Entry::Getcpu => vec![(rdi, 4), (rsi, 4)],
    }
}

proptest! {
    #[test]
    fn outside_the_page_nothing_is_decided(addr in any::<u64>(), mode in 0..3usize, access in 0..3usize) {
        let is_inside = (PAGE_ADDR..PAGE_ADDR + 4096).contains(&addr);
        let reaction = react(Mode::ALL[mode], ACCESSES[access], addr);
        prop_assert_eq!(reaction == Reaction::Elsewhere, !is_inside);
    }

    #[test]
    fn a_call_begins_if_its_results_may_go_where_they_are_to(
        entry in entry(), registers in registers(), return_addr in any::<Option<u64>>(),
    ) {
        let at_entry = Registers { rip: entry.addr(), ..registers };
        let memory = UserMemory { return_addr, end_addr: END_ADDR };
        let bad = results(entry, &registers).into_iter().find(|&(pointer, bytes)| {
            u128::from(pointer) + u128::from(bytes) > u128::from(END_ADDR)
        });
        match entry.call(registers, memory) {
            Ok(call) => {
                prop_assert!(return_addr.is_some() && bad.is_none());
                prop_assert_eq!(call.number(), entry.number());
                prop_assert_eq!(call.arguments(), [registers.rdi, registers.rsi, 0]);
                let seen = Registers { rax: -38i64 as u64, ..at_entry };
                prop_assert_eq!(call.seen_by_filter(), seen);
            }
            Err(fault) => {
                // Nothing has happened yet.
                prop_assert_eq!(fault.registers, at_entry);
                match (return_addr, bad) {
                    (None, _) => prop_assert_eq!(fault.segv.code, SegvCode::Kernel),
                    (Some(_), Some((pointer, _))) => {
                        prop_assert_eq!((fault.segv.code, fault.segv.addr), (SegvCode::MapErr, pointer));
                        prop_assert_eq!(fault.segv.page_fault.map(|it| it.error_code), Some(6));
                    }
                    (Some(_), None) => prop_assert!(false, "{:?}", fault),
                }
            }
        }
    }

    #[test]
    fn a_call_returns_as_a_function_does(
        entry in entry(), rax in any::<u64>(), rsp in any::<u64>(), caller in any::<u64>(), result in any::<i64>(),
    ) {
        let registers = Registers { rax, rdi: 0, rsi: 0x1000, rsp, rip: 0 };
        let memory = UserMemory { return_addr: Some(caller), end_addr: END_ADDR };
        let call = entry.call(registers, memory).expect("good pointers");
        let returned = |rax| Registers { rax, rsp: rsp.wrapping_add(8), rip: caller, ..registers };
        match call.made(result) {
            Ok(after) => prop_assert_eq!(after, returned(result as u64)),
            Err(_) => prop_assert_eq!(result, -14),
        }
        let skipped = call.after_filter(Filtered::Skipped { rax, rip: entry.addr() });
        prop_assert_eq!(skipped, AfterFilter::Return(returned(rax)));
    }

    #[test]
    fn a_filter_or_tracer_can_change_nothing_but_the_result(
        entry in entry(), number in 0..400u64, rip in prop_oneof![any::<u64>(), (0..3usize).prop_map(|it| Entry::ALL[it].addr())],
    ) {
        let memory = UserMemory { return_addr: Some(1), end_addr: END_ADDR };
        let registers = Registers { rax: 0, rdi: 0, rsi: 0, rsp: 8, rip };
        let call = entry.call(registers, memory).expect("good pointers");
        let is_same = number == u64::from(entry.number()) && rip == entry.addr();
        let allowed = call.after_filter(Filtered::Allowed { number, rip });
        prop_assert_eq!(allowed, if is_same { AfterFilter::Make } else { AfterFilter::End });
        let skipped = call.after_filter(Filtered::Skipped { rax: 0, rip });
        prop_assert_eq!(skipped == AfterFilter::End, rip != entry.addr());
    }

    #[test]
    fn bad_memory_is_a_signal_at_the_entry(entry in entry(), registers in registers()) {
        let memory = UserMemory { return_addr: Some(1), end_addr: u64::MAX };
        if let Ok(call) = entry.call(registers, memory) {
            let fault = call.made(-14).expect_err("a signal");
            prop_assert_eq!(fault.registers, call.seen_by_filter());
            prop_assert_eq!((fault.segv.code, fault.segv.addr), (SegvCode::Kernel, 0));
        }
    }
}
