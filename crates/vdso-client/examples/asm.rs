use vdso_client::*;
#[unsafe(no_mangle)] #[inline(never)] pub fn t_instant() -> Instant { Instant::now() }
#[unsafe(no_mangle)] #[inline(never)] pub fn t_coarse() -> Timespec { clock_gettime(ClockId::MONOTONIC_COARSE).unwrap_or_default() }
#[unsafe(no_mangle)] #[inline(never)] pub fn t_both() -> AtOnce<2> { match read_at_once([ClockId::REALTIME, ClockId::MONOTONIC]) { Ok(a)=>a, Err(_)=>panic!() } }
fn main(){ println!("{:?} {:?} {:?}", t_instant(), t_coarse(), t_both()); }
