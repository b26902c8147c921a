//! Is there a vDSO, and is it this architecture's?

use vdso_client::names::Abi;
use vdso_client::{ClockId, clock_gettime, system_call, vdso};

use crate::report::Report;

pub fn run(report: &mut Report) {
    match vdso() {
        Ok(vdso) => report.ok("vdso", format_args!("{} symbols", vdso.symbols().count())),
        Err(error) => report.fail("vdso", error),
    }
    let read = || {
        Ok((system_call::clock_gettime(ClockId::MONOTONIC)?, clock_gettime(ClockId::MONOTONIC)?))
    };
    let result: Result<_, vdso_client::Errno> = read();
    match result {
        Ok((asked, read)) if read >= asked => {
            report.ok("reads", Abi::CURRENT.map_or("?", |abi| abi.name))
        }
        Ok((asked, read)) => report.fail("reads", format_args!("{read:?} is before {asked:?}")),
        Err(error) => report.fail("reads", error),
    }
}
