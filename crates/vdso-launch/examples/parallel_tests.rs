//! Tests of a program at twenty times, which run in parallel: each starts the program on a clock of its own.
//!
//! `cargo test --example parallel_tests` runs them.

use std::time::{Duration, UNIX_EPOCH};

use vdso_launch::Command;

/// The program under test says which day it is.
fn day_at(seconds: u64) -> String {
    let output = Command::new("date")
        .args(["-u", "+%Y-%m-%d"])
        .at(UNIX_EPOCH + Duration::from_secs(seconds))
        .strict()
        .output()
        .expect("there is a program `date`");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

macro_rules! days {
    ($($name:ident: $seconds:literal is $day:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_eq!(day_at($seconds), $day);
            }
        )*

        fn main() {
            $( println!("{}: {}", stringify!($name), day_at($seconds)); )*
        }
    };
}

days! {
    the_epoch: 0 is "1970-01-01";
    a_billion_seconds: 1_000_000_000 is "2001-09-09";
    before_the_millennium: 946_684_799 is "1999-12-31";
    the_millennium: 946_684_800 is "2000-01-01";
    a_leap_day: 951_782_400 is "2000-02-29";
    behind_a_leap_day: 951_868_800 is "2000-03-01";
    a_leap_second: 1_483_228_799 is "2016-12-31";
    behind_a_leap_second: 1_483_228_800 is "2017-01-01";
    no_leap_day: 1_614_556_800 is "2021-03-01";
    a_leap_day_in_2024: 1_709_164_800 is "2024-02-29";
    two_billion_seconds: 2_000_000_000 is "2033-05-18";
    the_end_of_32_bits: 2_147_483_647 is "2038-01-19";
    behind_the_end_of_32_bits: 2_147_483_648 is "2038-01-19";
    a_day_later: 2_147_569_200 is "2038-01-20";
    behind_the_end_of_ntps_first_era: 2_085_978_496 is "2036-02-07";
    the_end_of_unsigned_32_bits: 4_294_967_295 is "2106-02-07";
    a_century_without_leap_day: 4_107_542_400 is "2100-03-01";
    ten_billion_seconds: 10_000_000_000 is "2286-11-20";
    the_end_of_four_digits: 253_402_300_799 is "9999-12-31";
    behind_the_end_of_four_digits: 253_402_300_800 is "10000-01-01";
}
