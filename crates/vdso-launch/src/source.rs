//! Which source of time is taken, and why.

use std::fmt::{self, Display, Formatter};
use std::hash::{BuildHasher, RandomState};
use std::{fs, io};

use vdso_arch::abi::CallSet;
use vdso_data::clock;
use vdso_data::process::Template;
use vdso_host::{Host, counter, initialise};
use vdso_image::{Source, Tailored};
use vdso_inject::arch::{ABIS, Abi};
use vdso_inject::detour::{CallSites, Detours};
use vdso_inject::exec::{Companion, CompanionFile, DataPages, KernelVdso, Payload};
use vdso_inject::{Error, ProgramFile, ProgramRoom};
use vdso_map::{CountsFile, LocalImage};

use crate::clock::Plan;

/// What the file of counts is called, which counted programs may write to as well.
pub(crate) const COUNTS_NAME: &str = "vdso-counts";

/// How often each clock is compared with the kernel's before its page is trusted.
const VALIDATION_READS: u32 = 100;

/// A source, ready to be put into programs.
#[derive(Debug)]
pub struct Selected {
    /// The source that was taken.
    pub source: Source,
    /// The reason why this source was taken.
    pub reason: Reason,
    /// What programs have to do without.
    pub lacks: Vec<Lack>,
    /// The image with its pages.
    pub payload: Payload,
    /// Exports of the kernel's vDSO that our image does not know, and that programs do not find.
    pub missing: Vec<String>,
}

/// Why a source was taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The caller has named it.
    Asked,
    /// It is the fastest for a clock with a rate of its own.
    FastestWithRate,
    /// The kernel's data page is known, and what it says is what the kernel says.
    KernelPage {
        /// Of which kernels the page is.
        page: &'static str,
        /// How many reads were compared.
        reads: u32,
    },
    /// No faster one is safe here.
    Unsafe(Unsuitable),
}

/// Why a source cannot be used here.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unsuitable {
    /// The kernel's data page cannot be read.
    Page(vdso_host::PageError),
    /// Instructions around a read of the counter could be executed before it or after it.
    CounterUnordered,
    /// The kernel does not use the counter, but this clocksource.
    Clocksource(String),
    /// It cannot be found out whether the kernel uses the counter.
    ClocksourceUnknown(io::Error),
    /// The image does not say what the kernel says.
    Disagrees {
        /// On which clock, by its id.
        clock: u32,
    },
    /// Its image cannot be mapped, or lacks what is compared.
    Image(Box<SourceError>),
}

/// What programs have to do without.
#[derive(Debug)]
#[non_exhaustive]
pub enum Lack {
    /// Where the kernel's function was to be called, a system call is made.
    KernelFunction(vdso_host::ImageError),
    /// `getrandom` is passed on to the kernel's function.
    Random(vdso_host::RandomError),
}

/// Why there is no source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The one that the caller has named cannot be used.
    #[error("the source '{}' cannot be used here: {why}", source_name(*.asked))]
    Refused {
        /// The source that the caller has named.
        asked: Source,
        /// Why it cannot be used on this machine, or for this clock.
        why: Unsuitable,
    },
    /// `host` was named, which is only moved.
    #[error("the source 'host' has no rate of its own, as 'own' and 'chain' have")]
    NoRate,
    /// The image cannot be made ready.
    #[error(transparent)]
    Inject(#[from] Error),
    /// The image cannot be mapped to be compared.
    #[error(transparent)]
    Map(#[from] vdso_map::Error),
    /// A function without which nothing can be compared.
    #[error("{0} lacks clock_gettime")]
    NoFunction(&'static str),
}

fn source_name(source: Source) -> &'static str {
    source.name()
}

/// As it is said of a source: "the fastest with a rate of its own".
impl Display for Reason {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => formatter.write_str("as asked"),
            Self::FastestWithRate => formatter.write_str("the fastest with a rate of its own"),
            Self::KernelPage { page, reads } => write!(
                formatter,
                "its data page is that of {page}, and {reads} reads of it agree with the kernel"
            ),
            Self::Unsafe(why) => write!(formatter, "{why}"),
        }
    }
}

impl Display for Unsuitable {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(error) => write!(formatter, "{error}"),
            Self::CounterUnordered => {
                formatter.write_str("the CPU's counter cannot be read in order")
            }
            Self::Clocksource(name) => {
                write!(formatter, "the kernel's clocksource is '{name}', not the counter")
            }
            Self::ClocksourceUnknown(error) => write!(
                formatter,
                "the kernel's clocksource is not known: cannot read {CURRENT_CLOCKSOURCE}: {error}"
            ),
            Self::Disagrees { clock } => {
                write!(formatter, "what its page says of clock {clock} is not what the kernel says")
            }
            Self::Image(error) => write!(formatter, "{error}"),
        }
    }
}

impl Display for Lack {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelFunction(error) => write!(
                formatter,
                "the kernel's vDSO is not called, as {error}: system calls are made"
            ),
            Self::Random(error) => {
                write!(formatter, "getrandom is passed on to the kernel's, as {error}")
            }
        }
    }
}

/// The source, the reason, and what is lacking: one sentence.
impl Display for Selected {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "source {}: {}", self.source.name(), self.reason)?;
        self.lacks.iter().try_for_each(|lack| write!(formatter, "; {lack}"))
    }
}

/// Takes the fastest source that is safe for `plan`, or the one that was asked for. Programs do not find those functions
/// of its image that are `off`.
///
/// # Errors
/// [`SourceError::Refused`] and [`SourceError::NoRate`] only if one was asked for.
pub fn select(
    host: &Host,
    plan: &Plan,
    asked: Option<Source>,
    off: CallSet,
) -> Result<Selected, SourceError> {
    select_image(host, plan, asked, Wanted { images: Images::Usual, off })
}

/// The same with images that count how often they are called, which [`Payload::counts`] then tells.
///
/// # Errors
/// As of [`select`], and [`Error::Architecture`] where no image counts.
pub fn select_counting(
    host: &Host,
    plan: &Plan,
    asked: Option<Source>,
    off: CallSet,
) -> Result<Selected, SourceError> {
    let counts = CountsFile::create(COUNTS_NAME)?;
    let wanted = Wanted { images: Images::Counting, off };
    let mut selected = select_image(host, plan, asked, wanted)?;
    selected.payload.counts = Some(counts);
    Ok(selected)
}

/// What programs get, whatever its source.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    images: Images,
    /// The functions that are hidden.
    off: CallSet,
}

/// Which images programs get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Images {
    Usual,
    Counting,
}

impl Images {
    /// That of a source, as it was linked; `None` if there is none for this architecture.
    fn of(self, source: Source) -> Option<&'static [u8]> {
        match self {
            Self::Usual => Some(vdso_image::bytes(source)),
            Self::Counting => vdso_image::counting(source),
        }
    }
}

fn select_image(
    host: &Host,
    plan: &Plan,
    asked: Option<Source>,
    wanted: Wanted,
) -> Result<Selected, SourceError> {
    detours(plan, wanted.off).check_off()?;
    let make = |source, reason| make(host, plan, wanted, source, reason);
    let by_host = || by_host(host, plan, wanted);
    let refused = |asked| move |why| SourceError::Refused { asked, why };
    match asked {
        Some(Source::Chain) => make(Source::Chain, Reason::Asked),
        Some(Source::Own) => {
            counter_is_safe(host).map_err(refused(Source::Own))?;
            make(Source::Own, Reason::Asked)
        }
        Some(Source::Host) if plan.has_rate() => Err(SourceError::NoRate),
        Some(Source::Host) => by_host().map_err(refused(Source::Host)),
        None if plan.has_rate() => match own_is_safe(host) {
            Ok(()) => make(Source::Own, Reason::FastestWithRate),
            Err(why) => make(Source::Chain, Reason::Unsafe(why)),
        },
        None => match by_host() {
            Ok(selected) => Ok(selected),
            Err(why) => make(Source::Chain, Reason::Unsafe(why)),
        },
    }
}

/// `own` is safe by itself only where the kernel's page tells each read whether the process has
/// entered a time namespace.
fn own_is_safe(host: &Host) -> Result<(), Unsuitable> {
    host.page.as_ref().map_err(|error| Unsuitable::Page(error.clone()))?;
    counter_is_safe(host)
}

const CURRENT_CLOCKSOURCE: &str =
    "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Whether the counter may be read instead of the kernel.
fn counter_is_safe(host: &Host) -> Result<(), Unsuitable> {
    use vdso_host::PageError::{CounterUnused, TimeNamespace};
    if !counter::is_usable() {
        return Err(Unsuitable::CounterUnordered);
    }
    if let Err(error @ (CounterUnused { .. } | TimeNamespace)) = &host.page {
        return Err(Unsuitable::Page(error.clone()));
    }
    if host.page.is_ok() {
        return Ok(());
    }
    match fs::read_to_string(CURRENT_CLOCKSOURCE) {
        Ok(current) if current.trim() == counter::CLOCKSOURCE => Ok(()),
        Ok(current) => Err(Unsuitable::Clocksource(current.trim().to_owned())),
        Err(error) => Err(Unsuitable::ClocksourceUnknown(error)),
    }
}

/// Whether the kernel's vDSO reads the clocks itself, as far as can be told. If it stops doing so later, that only takes
/// time.
fn kernel_has_fast_clocks() -> bool {
    /// Those that `arch/x86/include/asm/vdso/clocksource.h` (Linux 6.18) has a mode for, and other architectures'.
    const FAST: [&str; 5] = [
        "tsc",
        "kvm-clock",
        "hyperv_clocksource_tsc_page",
        "arch_sys_counter",
        "riscv_clocksource",
    ];
    fs::read_to_string(CURRENT_CLOCKSOURCE).map_or(true, |name| FAST.contains(&name.trim()))
}

fn by_host(host: &Host, plan: &Plan, wanted: Wanted) -> Result<Selected, Unsuitable> {
    let page = host.page.as_ref().map_err(|error| Unsuitable::Page(error.clone()))?;
    counter_is_safe(host)?;
    let unready = |error| Unsuitable::Image(Box::new(error));
    let reason = Reason::KernelPage { page: page.name(), reads: 0 };
    let selected = make(host, plan, wanted, Source::Host, reason).map_err(unready)?;
    let reads = validate(host, plan, wanted.images, &selected.payload)?;
    Ok(Selected { reason: Reason::KernelPage { page: page.name(), reads }, ..selected })
}

fn make(
    host: &Host,
    plan: &Plan,
    wanted: Wanted,
    source: Source,
    reason: Reason,
) -> Result<Selected, SourceError> {
    let Wanted { images, off } = wanted;
    let lacks = lacks(host, source);
    let mut tailored = tailored(host, source, images)?;
    tailored.hide(off);
    let name = format!("vdso-{}", source.name());
    let file = ProgramFile::create(&name, &tailored.bytes)?;
    initialise(file.page(), &plan.transforms);
    let detours = detours(plan, off);
    let mut template = host.template(&vdso_image::FORWARDED);
    add_mark(&mut template, &detours);
    if source == Source::Chain {
        // It needs no knowledge of the kernel's page, so it must not depend on any.
        (template.hres, template.raw) = (None, None);
    }
    let padding = vdso_inject::exec::find_padding();
    let mut companions = Vec::new();
    if let Some(name) = vdso_image::ARCHITECTURE.companion {
        companions.extend(companion(name, plan, detours)?);
    }
    companions.extend(
        vdso_image::ARCHITECTURE.twin.map(|abi| twin(abi, source, detours, &file, &template)),
    );
    let payload = Payload { file, template, padding, detours, counts: None, companions };
    Ok(Selected { source, reason, lacks, payload, missing: tailored.missing })
}

/// The image with all functions that this kernel has.
fn tailored(host: &Host, source: Source, images: Images) -> vdso_inject::Result<Tailored> {
    match images {
        Images::Usual => Ok(vdso_image::tailor(source, &host.image)),
        Images::Counting => {
            vdso_image::tailor_counting(source, &host.image).ok_or(Error::Architecture)
        }
    }
}

/// By which the image's own calls are known.
fn add_mark(template: &mut Template, detours: &Detours) {
    template.call_mark = detours.mark;
    if detours.is_any() && !kernel_has_fast_clocks() {
        // The kernel's function would make calls that are not marked, and so looked at each time.
        (template.clock_gettime, template.gettimeofday) = (None, None);
    }
}

/// Which calls programs report. The mark is a secret of the launch's, if only so that no program has it by chance.
fn detours(plan: &Plan, off: CallSet) -> Detours {
    let mark = RandomState::new().hash_one(()) as u32;
    Detours { off, ..Detours::of(&plan.transforms, plan.setting, CallSites::default(), mark) }
}

fn lacks(host: &Host, source: Source) -> Vec<Lack> {
    use vdso_host::RandomError::{NoCode, NoFunction};
    if source == Source::Chain {
        return host.image_error().map(Lack::KernelFunction).into_iter().collect();
    }
    match &host.random_data {
        Ok(_) | Err(NoCode | NoFunction) => Vec::new(),
        Err(error) => vec![Lack::Random(error.clone())],
    }
}

/// What programs of another kind get that the kernel executes. Their image asks the kernel, whose
/// page 32-bit ones have in another form.
fn companion(
    name: &'static str,
    plan: &Plan,
    detours: Detours,
) -> vdso_inject::Result<Option<Companion>> {
    let Some(abi) = ABIS.iter().find(|abi| abi.name == name) else { return Ok(None) };
    let transforms = plan.transforms;
    let room = ProgramRoom::create(abi, &format!("vdso-{}-{name}", Source::Chain.name()))?;
    let file = CompanionFile::Own(room.clone());
    let make = move |abi: &'static Abi, kernel: &KernelVdso| {
        let mut tailored =
            vdso_image::tailor_companion(&kernel.image).ok_or(Error::Architecture)?;
        tailored.hide(detours.hidden_from(abi));
        let file = room.fill(&tailored.bytes)?;
        initialise(file.page(), &transforms);
        let mut template = vdso_host::functions(file.architecture(), &kernel.image);
        add_mark(&mut template, &detours);
        Ok(Payload {
            file,
            template,
            padding: None,
            detours: Detours::default(),
            counts: None,
            companions: Vec::new(),
        })
    };
    Ok(Some(Companion::new(name, file, Box::new(make))))
}

/// What programs get that differ from this one in the size of their pointers alone: the same source, page of
/// clocks, and places in the kernel's page.
fn twin(
    abi: &'static str,
    source: Source,
    detours: Detours,
    file: &ProgramFile,
    template: &Template,
) -> Companion {
    let (file, template) = (file.clone(), template.clone());
    let make = move |abi: &'static Abi, kernel: &KernelVdso| {
        twin_payload(source, detours.hidden_from(abi), &file, &template, kernel)
    };
    Companion::new(abi, CompanionFile::SameAsPayload, Box::new(make))
}

fn twin_payload(
    source: Source,
    off: CallSet,
    file: &ProgramFile,
    template: &Template,
    kernel: &KernelVdso,
) -> vdso_inject::Result<Payload> {
    let (source, hres, raw) = match kernel.pages {
        DataPages::AsInLauncher => (source, template.hres, template.raw),
        // Where a page's place is not known, the kernel is asked, which is right everywhere.
        DataPages::Elsewhere => (Source::Chain, None, None),
    };
    let mut tailored = vdso_image::tailor_twin(source, &kernel.image).ok_or(Error::Architecture)?;
    tailored.hide(off);
    let file = file.twin(&tailored.bytes)?;
    let functions = vdso_host::functions(file.architecture(), &kernel.image);
    let template = Template { hres, raw, call_mark: template.call_mark, ..functions };
    Ok(Payload {
        file,
        template,
        padding: None,
        detours: Detours::default(),
        counts: None,
        companions: Vec::new(),
    })
}

type ClockGettime = unsafe extern "C" fn(i32, *mut libc::timespec) -> i32;

/// Compares the image, in this process, with the kernel: each of its reads must lie between two of
/// the kernel's. Gives the number of reads.
fn validate(
    host: &Host,
    plan: &Plan,
    images: Images,
    payload: &Payload,
) -> Result<u32, Unsuitable> {
    let unready = |error: SourceError| Unsuitable::Image(Box::new(error));
    let image = LocalImage::map(&payload.file, &payload.template, host.vdso_addr)
        .map_err(|error| unready(error.into()))?;
    // Also where it is hidden from programs.
    let whole = images.of(Source::Host).and_then(|whole| vdso_elf::Image::parse(whole).ok());
    let function = vdso_image::ARCHITECTURE.export("clock_gettime").map(|export| export.name);
    let offset =
        whole.zip(function).and_then(|(whole, name)| whole.lookup(name, None)?.file_offset);
    let ours = offset.map(|offset| image.image_addr() + offset);
    let ours = ours.ok_or_else(|| unready(SourceError::NoFunction("the image")))?;
    let kernels = host.function_called("clock_gettime");
    let kernels = kernels.ok_or_else(|| unready(SourceError::NoFunction("the kernel's vDSO")))?;
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
                return Err(Unsuitable::Disagrees { clock: id });
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
