//! Which source of time is taken, and why.

use std::fs;

use anyhow::{Context, Result, bail};
use vdso_data::clock;
use vdso_data::process::Template;
use vdso_host::{Host, counter, initialise};
use vdso_image::Source;
use vdso_inject::arch::{ABIS, Abi};
use vdso_inject::exec::{Companion, CompanionFile, DataPages, KernelVdso, Payload};
use vdso_inject::{Error, ImageFile, ImageRoom, LocalImage};

use super::clocks::Plan;

/// How often each clock is compared with the kernel's before its page is trusted.
const VALIDATION_READS: u32 = 500;

/// A source, ready to be put into programs.
pub struct Selected {
    /// Which.
    pub source: Source,
    /// Why, for a person.
    pub reason: String,
    /// The image with its pages.
    pub payload: Payload,
    /// Exports of the kernel's vDSO that our image does not know.
    pub missing: Vec<String>,
}

/// Takes the fastest source that is safe for `plan`, or the one that was asked for.
pub fn select(host: &Host, plan: &Plan, asked: Option<Source>) -> Result<Selected> {
    match asked {
        Some(Source::Chain) => chain(host, plan, "as asked".to_owned()),
        Some(Source::Own) => {
            counter_is_safe(host).map_err(|reason| refused(Source::Own, &reason))?;
            make(host, plan, Source::Own, "as asked".to_owned())
        }
        Some(Source::Host) => {
            if plan.has_rate() {
                bail!(
                    "the source 'host' has no rate of its own: use 'own' or 'chain' with --rate and --freeze"
                );
            }
            by_host(host, plan).map_err(|reason| refused(Source::Host, &reason))
        }
        None if plan.has_rate() => match own_is_safe(host) {
            Ok(()) => {
                make(host, plan, Source::Own, "the fastest with a rate of its own".to_owned())
            }
            Err(reason) => chain(host, plan, reason),
        },
        None => match by_host(host, plan) {
            Ok(selected) => Ok(selected),
            Err(reason) => chain(host, plan, reason),
        },
    }
}

fn refused(source: Source, reason: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "the source '{}' cannot be used here: {reason}; leave --source out to have a safe one chosen",
        source.name()
    )
}

/// `own` is safe by itself only where the kernel's page tells each read whether the process has
/// entered a time namespace.
fn own_is_safe(host: &Host) -> Result<(), String> {
    host.page.as_ref().map_err(ToString::to_string)?;
    counter_is_safe(host)
}

/// Whether the counter may be read instead of the kernel.
fn counter_is_safe(host: &Host) -> Result<(), String> {
    use vdso_host::PageError::{CounterUnused, TimeNamespace};
    if !counter::is_usable() {
        return Err("the CPU's counter cannot be read in order".to_owned());
    }
    if let Err(error @ (CounterUnused { .. } | TimeNamespace)) = &host.page {
        return Err(error.to_string());
    }
    const CURRENT: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    if host.page.is_ok() {
        return Ok(());
    }
    match fs::read_to_string(CURRENT) {
        Ok(current) if current.trim() == counter::CLOCKSOURCE => Ok(()),
        Ok(current) => {
            Err(format!("the kernel's clocksource is '{}', not the counter", current.trim()))
        }
        Err(error) => {
            Err(format!("the kernel's clocksource is not known: cannot read {CURRENT}: {error}"))
        }
    }
}

fn by_host(host: &Host, plan: &Plan) -> Result<Selected, String> {
    let page = host.page.as_ref().map_err(ToString::to_string)?;
    counter_is_safe(host)?;
    let reason = format!("its data page is that of {}", page.name());
    let mut selected = make(host, plan, Source::Host, reason).map_err(|e| format!("{e:#}"))?;
    let compared = validate(host, plan, &selected.payload).map_err(|e| format!("{e:#}"))?;
    selected.reason += &format!(", and {compared} reads of it agree with the kernel");
    Ok(selected)
}

/// Needs nothing, and says what it has to do without.
fn chain(host: &Host, plan: &Plan, mut reason: String) -> Result<Selected> {
    if let Some(error) = host.image_error() {
        reason += &format!("; the kernel's vDSO is not called, as {error}: system calls are made");
    }
    make(host, plan, Source::Chain, reason)
}

fn make(host: &Host, plan: &Plan, source: Source, mut reason: String) -> Result<Selected> {
    use vdso_host::RandomError::{NoCode, NoFunction};
    if let Err(error) = &host.random_data
        && source != Source::Chain
        && !matches!(error, NoCode | NoFunction)
    {
        reason += &format!("; getrandom is passed on to the kernel's, as {error}");
    }
    let tailored = vdso_image::tailor(source, &host.image);
    let name = format!("vdso-{}", source.name());
    let file = ImageFile::create(&name, &tailored.bytes)?;
    initialise(file.page(), &plan.transforms);
    let mut template = host.template(&vdso_image::FORWARDED);
    if source == Source::Chain {
        // It needs no knowledge of the kernel's page, so it must not depend on any.
        (template.hres, template.raw) = (None, None);
    }
    let padding = vdso_inject::exec::find_padding();
    let mut companions = Vec::new();
    if let Some(name) = vdso_image::ARCHITECTURE.companion {
        companions.extend(companion(name, plan)?);
    }
    companions.extend(vdso_image::ARCHITECTURE.twin.map(|abi| twin(abi, source, &file, &template)));
    let payload = Payload { file, template, padding, companions };
    Ok(Selected { source, reason, payload, missing: tailored.missing })
}

/// What programs of another kind get that the kernel executes. Their image asks the kernel, whose
/// page 32-bit ones have in another form.
fn companion(name: &'static str, plan: &Plan) -> Result<Option<Companion>> {
    let Some(abi) = ABIS.iter().find(|abi| abi.name == name) else { return Ok(None) };
    let transforms = plan.transforms;
    let room = ImageRoom::create(abi, &format!("vdso-{}-{name}", Source::Chain.name()))?;
    let file = CompanionFile::Own(room.clone());
    let make = move |_: &'static Abi, kernel: &KernelVdso| {
        let tailored = vdso_image::tailor_companion(&kernel.image).ok_or(Error::Architecture)?;
        let file = room.fill(&tailored.bytes)?;
        initialise(file.page(), &transforms);
        let template = vdso_host::functions(file.architecture(), &kernel.image);
        Ok(Payload { file, template, padding: None, companions: Vec::new() })
    };
    Ok(Some(Companion::new(name, file, Box::new(make))))
}

/// What programs get that differ from this one in the size of their pointers alone: the same source, page of
/// clocks, and places in the kernel's page.
fn twin(abi: &'static str, source: Source, file: &ImageFile, template: &Template) -> Companion {
    let (file, template) = (file.clone(), template.clone());
    let make =
        move |_: &'static Abi, kernel: &KernelVdso| twin_payload(source, &file, &template, kernel);
    Companion::new(abi, CompanionFile::SameAsPayload, Box::new(make))
}

fn twin_payload(
    source: Source,
    file: &ImageFile,
    template: &Template,
    kernel: &KernelVdso,
) -> vdso_inject::Result<Payload> {
    let (source, hres, raw) = match kernel.pages {
        DataPages::AsInLauncher => (source, template.hres, template.raw),
        // Where a page's place is not known, the kernel is asked, which is right everywhere.
        DataPages::Elsewhere => (Source::Chain, None, None),
    };
    let tailored = vdso_image::tailor_twin(source, &kernel.image).ok_or(Error::Architecture)?;
    let file = file.twin(&tailored.bytes)?;
    let template =
        Template { hres, raw, ..vdso_host::functions(file.architecture(), &kernel.image) };
    Ok(Payload { file, template, padding: None, companions: Vec::new() })
}

type ClockGettime = unsafe extern "C" fn(i32, *mut libc::timespec) -> i32;

/// Compares the image, in this process, with the kernel: each of its reads must lie between two of
/// the kernel's. Gives the number of reads.
fn validate(host: &Host, plan: &Plan, payload: &Payload) -> Result<u32> {
    let image = LocalImage::map(&payload.file, &payload.template, host.vdso_addr)?;
    let function = vdso_image::ARCHITECTURE.export("clock_gettime").map(|export| export.name);
    let ours = function.and_then(|name| image.function(name));
    let ours = ours.context("the image lacks clock_gettime")?;
    let kernels = host.function_called("clock_gettime");
    let kernels = kernels.context("the kernel's vDSO lacks clock_gettime")?;
    // SAFETY: both are functions of this type, mapped until the end of this one.
    let ours: ClockGettime = unsafe { std::mem::transmute(ours) };
    // SAFETY: as above.
    let kernels: ClockGettime = unsafe { std::mem::transmute((host.vdso_addr + kernels) as usize) };
    let ids = clock::HIGH_RESOLUTION_IDS
        .into_iter()
        .chain([clock::REALTIME_COARSE, clock::MONOTONIC_COARSE]);
    let mut compared = 0;
    for id in ids {
        let transform = &plan.transforms[id as usize];
        for _ in 0..VALIDATION_READS {
            let before = transform.apply(read(kernels, id));
            let now = read(ours, id);
            let after = transform.apply(read(kernels, id));
            if !(before <= now && now <= after) {
                bail!("what its page says of clock {id} is not what the kernel says");
            }
            compared += 1;
        }
    }
    Ok(compared)
}

fn read(function: ClockGettime, id: u32) -> vdso_data::arithmetic::Timespec {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a clock_gettime, and `ts` is ours.
    unsafe { function(id as i32, &mut ts) };
    vdso_data::arithmetic::Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec }
}

#[cfg(test)]
mod tests;
