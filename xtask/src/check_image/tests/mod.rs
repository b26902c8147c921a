//! Every check against an image that breaks its promise, and none against the images as they are.

mod edit;
mod linked;
mod spoilt;

use vdso_data::architecture::Architecture;
use vdso_image::Source;

use super::checks::{CHECKS, Check};
use super::rebuild::same_bytes;
use super::subject::Subject;

/// An image and its debug file, to be spoilt.
#[derive(Clone)]
pub struct Pair {
    /// What it should be for.
    pub architecture: &'static Architecture,
    pub image: Vec<u8>,
    pub debug: Vec<u8>,
}

impl Pair {
    fn good(source: Source) -> Self {
        let image = vdso_image::bytes(source).to_vec();
        let debug = vdso_image::debug_file(source).to_vec();
        Self { architecture: vdso_image::ARCHITECTURE, image, debug }
    }

    fn subject(&self) -> Subject<'_> {
        let architecture = self.architecture;
        Subject { architecture, bytes: &self.image, debug: Some(&self.debug), counts: false }
    }
}

fn check(name: &str) -> &'static Check {
    CHECKS.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no check {name}"))
}

#[test]
fn the_images_are_what_is_promised() {
    for source in Source::ALL {
        let good = Pair::good(source);
        for check in CHECKS {
            let outcome = (check.run)(&good.subject());
            assert!(outcome.is_ok(), "{} {}: {outcome:?}", source.name(), check.name);
        }
    }
}

#[test]
fn an_image_without_a_debug_file_is_checked_as_far_as_it_goes() {
    let good = Pair::good(Source::Own);
    let subject = Subject { debug: None, ..good.subject() };
    for check in CHECKS.iter().filter(|check| check.needs == super::Needs::Image) {
        let outcome = (check.run)(&subject);
        assert!(outcome.is_ok(), "{}: {outcome:?}", check.name);
    }
}

#[test]
fn every_check_has_a_name_of_its_own_and_a_bad_image() {
    for (index, check) in CHECKS.iter().enumerate() {
        let twin = CHECKS[..index].iter().find(|other| other.name == check.name);
        assert!(twin.is_none(), "two checks are called {}", check.name);
        let has_bad_image = spoilt::SPOILT.iter().any(|(name, ..)| *name == check.name);
        assert!(has_bad_image, "no bad image shows that {} can fail", check.name);
    }
}

#[test]
fn every_bad_image_fails_its_check() {
    for (name, how, spoil) in spoilt::SPOILT {
        let mut bad = Pair::good(Source::Own);
        spoil(&mut bad);
        let outcome = (check(name).run)(&bad.subject());
        let reason = outcome.expect_err(&format!("{name} does not see: {how}"));
        assert!(!format!("{reason:#}").ends_with('.'), "{name}: {reason:#}");
        // However bad it is, no check panics over it.
        for check in CHECKS {
            let _ = (check.run)(&bad.subject());
        }
    }
}

#[test]
fn bytes_that_are_no_image_fail_every_check_but_those_of_any_file() {
    let nothing =
        Pair { image: b"not an image".to_vec(), debug: Vec::new(), ..Pair::good(Source::Own) };
    for check in CHECKS {
        let is_of_any_file = ["file-size", "no-build-path"].contains(&check.name);
        assert_eq!((check.run)(&nothing.subject()).is_ok(), is_of_any_file, "{}", check.name);
    }
}

/// Every eleventh byte, as all of them take a minute.
#[test]
fn no_check_panics_over_a_damaged_image() {
    let good = Pair::good(Source::Own);
    let mut bad = good.clone();
    for at in (0..good.image.len()).step_by(11) {
        for value in [0, 0xff, good.image[at] ^ 0x80] {
            bad.image[at] = value;
            let subject = Subject { debug: None, ..bad.subject() };
            for check in CHECKS {
                let _ = (check.run)(&subject);
            }
        }
        bad.image[at] = good.image[at];
    }
}

#[test]
fn a_rebuilt_image_may_differ_in_no_byte() {
    let image = Pair::good(Source::Own).image;
    assert!(same_bytes("image", &image, &image).is_ok());
    let mut other = image.clone();
    other[0x123] ^= 1;
    let reason = same_bytes("image", &image, &other).expect_err("a byte differs");
    assert_eq!(reason.to_string(), "the rebuilt image differs at 0x123");
    other = image.clone();
    other.push(0);
    assert!(same_bytes("image", &image, &other).is_err());
}
