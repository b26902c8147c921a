//! The table of architectures.

use vdso_arch::Class;
use vdso_arch::abi::{ABIS, Abi, Call, Function, Purpose, rows};

#[test]
fn every_row_is_one_abi_and_names_each_purpose_once() {
    for (index, abi) in ABIS.iter().enumerate() {
        let is_twin = |other: &&Abi| other.machine == abi.machine && other.class == abi.class;
        assert!(!ABIS[..index].iter().any(is_twin), "{} is there twice", abi.name);
        assert!(std::ptr::eq(Abi::of(abi.machine, abi.class).expect("its own row"), *abi));
        for call in Call::ALL {
            for purpose in [Purpose::Call(call), Purpose::Time64(call)] {
                let count = abi.functions.iter().filter(|it| it.purpose == purpose).count();
                assert!(count <= 1, "{}: {count} for {purpose:?}", abi.name);
            }
        }
        let usual = |it: &&Function| it.version == abi.version;
        let count = abi.functions.iter().filter(usual).count();
        assert!(count > 0, "{}: no function has the version {}", abi.name, abi.version);
        for function in abi.functions {
            let found = abi.named(function.name).expect("its own name");
            assert_eq!(found, function, "{}: two are called {}", abi.name, function.name);
        }
    }
}

#[test]
fn times_of_64_bits_are_preferred() {
    let i386 = ABIS.iter().find(|abi| abi.name == "i386").expect("a row");
    let function = i386.function(Call::ClockGettime).expect("it has the call");
    assert_eq!(function.name, "__vdso_clock_gettime64");
    let function = i386.function(Call::Time).expect("it has the call");
    assert_eq!(function.name, "__vdso_time");
}

#[test]
fn this_program_has_a_row() {
    let abi = Abi::CURRENT.expect("tests run where there is a vDSO");
    assert_eq!(abi.class == Class::Elf64, cfg!(target_pointer_width = "64"));
}

/// As the x86-64 linker script has them, and no other.
#[test]
fn plain_aliases_are_names_of_calls_without_the_prefix() {
    let x86_64 = &rows::X86_64;
    let alias = |abi: &Abi, name| abi.plain_alias(abi.named(name).expect("a function"));
    assert_eq!(alias(x86_64, "__vdso_clock_gettime"), Some("clock_gettime"));
    assert_eq!(alias(x86_64, "__vdso_sgx_enter_enclave"), None);
    assert_eq!(alias(&rows::X32, "__vdso_clock_gettime"), None);
    assert_eq!(alias(&rows::ARM64, "__kernel_clock_gettime"), None);
}
