//! quick
mod interleave;
use interleave::*;
use vdso_data::arithmetic::*;
use vdso_data::clock;
use vdso_image::Source;
use vdso_inject::{ImageFile, LocalImage};
use vdso_timekeeper::{Timekeeper, host::Host};
type Get = unsafe extern "C" fn(i32, *mut [i64; 2]) -> i32;
fn main() -> anyhow::Result<()> {
    let host = Host::find()?;
    println!("{:?}", host.page);
    let template = host.template(&vdso_image::FORWARDED);
    let kernel = |name: &str| (host.vdso_addr + host.function(name).unwrap()) as usize;
    let t = |off: i64, rate: Rate| {
        std::array::from_fn(|_| Transform {
            offset: Timespec { sec: off, nsec: 0 },
            base: Timespec::default(),
            rate,
        })
    };
    let make = |s: Source, tr: [Transform; 12]| {
        let f = ImageFile::create(s.name(), &vdso_image::tailor(s, &host.image).bytes).unwrap();
        vdso_timekeeper::initialise(f.page(), &tr);
        let f: &'static ImageFile = Box::leak(Box::new(f));
        if s == Source::Own {
            let host2 = Host::find().unwrap();
            std::thread::spawn(move || {
                let mut k = Timekeeper::new(f.page(), &host2, tr);
                loop {
                    let w = k.update();
                    if std::env::var("V").is_ok() {
                        println!("{:?}", k.report())
                    };
                    std::thread::sleep(w);
                }
            });
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        LocalImage::map(f, &template, host.vdso_addr).unwrap()
    };
    let own = make(Source::Own, t(0, Rate::ONE));
    let own_off = make(Source::Own, t(1000, Rate::ONE));
    let own_rate = make(Source::Own, t(0, Rate { whole: 1, fraction: 1 << 63 }));
    let hostimg = make(Source::Host, t(1000, Rate::ONE));
    let chain = make(Source::Chain, t(1000, Rate::ONE));
    let fp = |a: usize| -> Get { unsafe { std::mem::transmute(a) } };
    for id in [clock::MONOTONIC, clock::REALTIME, clock::MONOTONIC_RAW, clock::REALTIME_COARSE] {
        let mut ts = [0i64; 2];
        for (n, f) in [
            ("kernel", kernel("__vdso_clock_gettime")),
            ("own", own.function("__vdso_clock_gettime").unwrap()),
            ("own+off", own_off.function("__vdso_clock_gettime").unwrap()),
            ("own rate", own_rate.function("__vdso_clock_gettime").unwrap()),
            ("host+off", hostimg.function("__vdso_clock_gettime").unwrap()),
            ("chain+off", chain.function("__vdso_clock_gettime").unwrap()),
        ] {
            let r = unsafe { fp(f)(id as i32, &mut ts) };
            println!("{n} {id} {r} {ts:?}");
        }
        let mk = |n: &str, a: usize| {
            let f = fp(a);
            Subject::new(n, move |times| {
                let mut ts = [0i64; 2];
                for _ in 0..times {
                    unsafe { std::hint::black_box(f)(id as i32, &mut ts) };
                }
            })
        };
        let g = "__vdso_clock_gettime";
        let mut subjects = vec![
            mk("kernel", kernel(g)),
            mk("own", own.function(g).unwrap()),
            mk("own+off", own_off.function(g).unwrap()),
            mk("own rate", own_rate.function(g).unwrap()),
            mk("host+off", hostimg.function(g).unwrap()),
            mk("chain+off", chain.function(g).unwrap()),
            mk("kernel again", kernel(g)),
        ];
        for c in measure(&mut subjects, 2000) {
            println!("{id} {:14} {:7.2} {:7.2} {:.3}", c.name, c.median_ns, c.min_ns, c.ratio);
        }
    }
    type T = unsafe extern "C" fn(usize, usize, usize) -> i64;
    for g in ["__vdso_time", "__vdso_getcpu", "__vdso_gettimeofday"] {
        let mk = |n: &str, a: usize| {
            let f: T = unsafe { std::mem::transmute(a) };
            Subject::new(n, move |times| {
                let mut ts = [0i64; 2];
                for _ in 0..times {
                    unsafe { std::hint::black_box(f)(ts.as_mut_ptr() as usize, 0, 0) };
                }
            })
        };
        let mut subjects = vec![
            mk("kernel", kernel(g)),
            mk("own", own.function(g).unwrap()),
            mk("own+off", own_off.function(g).unwrap()),
            mk("own rate", own_rate.function(g).unwrap()),
            mk("host+off", hostimg.function(g).unwrap()),
            mk("chain+off", chain.function(g).unwrap()),
        ];
        for c in measure(&mut subjects, 2000) {
            println!("{g} {:14} {:7.2} {:7.2} {:.3}", c.name, c.median_ns, c.min_ns, c.ratio);
        }
    }
    Ok(())
}
