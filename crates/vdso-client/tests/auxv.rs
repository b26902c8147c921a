//! The ways to the auxiliary vector.

#![cfg(not(miri))]

use vdso_client::auxv::{self, Order, Source};
use vdso_client::{NotFound, Vdso};

#[test]
fn all_ways_lead_to_one_address() {
    let known = |source| auxv::vdso_address(Order::of(&[source]));
    let by_proc = known(Source::ProcSelf).expect("/proc is mounted");
    assert_eq!(known(Source::Getauxval), cfg!(feature = "libc-auxv").then_some(by_proc));
    assert_eq!(known(Source::Prctl), has_prctl().then_some(by_proc));
}

/// The one test here that hands a stack over: it stays for the whole process.
#[test]
fn the_first_way_that_is_there_decides() {
    let stack_first = Order::of(&[Source::StartupStack, Source::ProcSelf]);
    let by_proc = auxv::vdso_address(stack_first);
    assert_eq!(auxv::vdso_address(Order::of(&[Source::StartupStack])), None);
    assert_eq!(auxv::vdso_address(Order::USUAL), by_proc);
    assert_eq!(Vdso::from_auxv(Order::of(&[])).unwrap_err(), NotFound::NoAuxiliaryVector);

    // argc, argv, the environment, and a vector from which somebody has taken the vDSO.
    let stack = [2, 0x1000, 0x2000, 0, 0x3000, 0, 6, 4096, 1, 0x1234, 0, 0];
    let stack: &'static [usize] = Box::leak(Box::new(stack));
    // SAFETY: a stack as the kernel makes it, which stays.
    unsafe { auxv::set_startup_stack(stack.as_ptr()) };
    assert_eq!(auxv::vdso_address(stack_first), Some(std::ptr::null()));
    assert_eq!(Vdso::from_auxv(stack_first).unwrap_err(), NotFound::NotInAuxiliaryVector);

    let address = by_proc.expect("/proc is mounted");
    let stack = [0, 0, 0, 6, 4096, 33, address.expose_provenance(), 0, 0];
    let stack: &'static [usize] = Box::leak(Box::new(stack));
    // SAFETY: as above.
    unsafe { auxv::set_startup_stack(stack.as_ptr()) };
    assert_eq!(auxv::vdso_address(Order::of(&[Source::StartupStack])), Some(address));

    // Memory that can be read and is no image, and an address that no image can have.
    let pages: &'static [u8] = vec![0x55; 2 * 4096].leak();
    let inside = pages.as_ptr().map_addr(|start| start.next_multiple_of(4096));
    for (address, expected) in [
        (inside, NotFound::Unreadable(vdso_elf::Error::NotElf)),
        (inside.wrapping_add(8), NotFound::NotThere),
    ] {
        let stack = [0, 0, 0, 33, address.expose_provenance(), 0, 0];
        // SAFETY: as above.
        unsafe { auxv::set_startup_stack(Box::leak(Box::new(stack)).as_ptr()) };
        assert_eq!(Vdso::from_auxv(Order::of(&[Source::StartupStack])).unwrap_err(), expected);
    }
}

/// As valgrind leaves it: the kernel's copy names an image that is not there any more.
#[test]
fn an_address_that_is_stale_is_not_read() {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    const SEALED: i32 = 77;
    let Ok(vdso) = Vdso::from_auxv(Order::USUAL) else { return };
    let (start, bytes) = (vdso.base().cast_mut(), vdso.image().bytes().len());
    // SAFETY: the child makes system calls and ends.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            // SAFETY: nobody in this child calls what is there.
            let is_gone = unsafe { libc::munmap(start.cast(), bytes) } == 0;
            let answers = [Source::Prctl, Source::ProcSelf].map(|source| {
                matches!(
                    Vdso::from_auxv(Order::of(&[source])),
                    // Kernels before 6.4 have no prctl.
                    Err(NotFound::NotThere | NotFound::NoAuxiliaryVector)
                )
            });
            let status = if is_gone { i32::from(answers != [true; 2]) } else { SEALED };
            // SAFETY: ends at once.
            unsafe { libc::_exit(status) };
        }
        ForkResult::Parent { child } => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, SEALED)) => {
                let name = "an_address_that_is_stale_is_not_read";
                test_support::skip(test_support::Lacking::Kernel, name, "it has sealed its vDSO");
            }
            status => assert_eq!(status, Ok(WaitStatus::Exited(child, 0))),
        },
    }
}

#[test]
fn an_order_is_kept() {
    let order = Order::of(&[Source::Prctl, Source::ProcSelf]);
    auxv::set_order(order);
    assert_eq!(auxv::order(), order);
    vdso_client::reset();
    assert!(vdso_client::clock_gettime(vdso_client::ClockId::MONOTONIC).is_ok());
    auxv::set_order(Order::USUAL);
}

/// Kernels before 6.4 lack it.
fn has_prctl() -> bool {
    const PR_GET_AUXV: libc::c_int = 0x4155_5856;
    let mut words = [0usize; 128];
    // SAFETY: the kernel writes to `words` and not beyond its size.
    unsafe { libc::prctl(PR_GET_AUXV, &raw mut words, size_of_val(&words), 0usize, 0usize) > 0 }
}
