//! A virtual machine's counter: its host's, scaled and moved, as processors do it for a guest.

use vdso_data::gettimeofday::Timezone;

use crate::reference::{Fallback, Reference, Resolutions, Sample, Slopes};
use crate::steering::Fixed;

/// How a guest's counter follows from its host's: `(host * ratio >> fraction_bits) + offset`, in 128 bits, and
/// then modulo 2^64.
///
/// - VMX: `ratio` is the TSC multiplier, with 48 fractional bits, `offset` the TSC offset (Intel SDM, volume 3,
///   "Time-Stamp Counter Offset and Multiplier").
/// - SVM: the TSC ratio MSR, with 32 (AMD APM, volume 2, "TSC Ratio MSR").
/// - arm64 has no scale; the offset is the negative of `CNTVOFF_EL2`. RISC-V's is `htimedelta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// Guest's cycles in one of the host's, with [`fraction_bits`](Self::fraction_bits). Zero: the guest's
    /// stands still.
    pub ratio: u64,
    /// How many bits of `ratio` are behind the point: 63 at most.
    pub fraction_bits: u32,
    /// What is added, cycles; a negative one as its two's complement.
    pub offset_cycles: u64,
}

impl Scaling {
    /// The host's own counter.
    pub const NONE: Self = Self::offset(0);

    /// The fractional bits of VMX's multiplier.
    pub const VMX_FRACTION_BITS: u32 = 48;
    /// The fractional bits of SVM's ratio.
    pub const SVM_FRACTION_BITS: u32 = 32;

    /// An offset alone.
    pub const fn offset(offset_cycles: u64) -> Self {
        Self { ratio: 1, fraction_bits: 0, offset_cycles }
    }

    /// For a guest that is told another frequency than the host's; the nearest below that the bits can say.
    pub const fn between(host_hz: u64, guest_hz: u64, fraction_bits: u32) -> Self {
        let fraction_bits = if fraction_bits > 63 { 63 } else { fraction_bits };
        let host_hz = if host_hz == 0 { 1 } else { host_hz };
        let ratio = ((guest_hz as u128) << fraction_bits) / host_hz as u128;
        let ratio = if ratio > u64::MAX as u128 { u64::MAX } else { ratio as u64 };
        Self { ratio, fraction_bits, offset_cycles: 0 }
    }

    /// The same scale, with the offset by which the guest's counter is `guest_cycles` when the host's is
    /// `host_cycles`: as for a guest that comes from another machine.
    pub const fn meeting(self, host_cycles: u64, guest_cycles: u64) -> Self {
        let unmoved = Self { offset_cycles: 0, ..self }.guest_cycles(host_cycles);
        Self { offset_cycles: guest_cycles.wrapping_sub(unmoved), ..self }
    }

    /// The guest's counter when the host's is `host_cycles`.
    pub const fn guest_cycles(&self, host_cycles: u64) -> u64 {
        let scaled = (self.product(host_cycles) >> self.bits()) as u64;
        scaled.wrapping_add(self.offset_cycles)
    }

    /// What part of a guest's cycle has passed since its counter changed, units of 2^-32.
    const fn part_of_cycle(&self, host_cycles: u64) -> u32 {
        let product = self.product(host_cycles);
        let fraction = product & ((1 << self.bits()) - 1);
        ((fraction << 32) >> self.bits()) as u32
    }

    /// A slope over the guest's counter, of one over the host's.
    const fn guest_slope(&self, slope: u128) -> u128 {
        let ratio = self.ratio as u128;
        let Some(whole) = slope.checked_div(ratio) else { return u128::MAX };
        // Below 2^64, so it has room for the shift.
        let part = ((slope % ratio) << self.bits()) / ratio;
        whole.saturating_mul(1 << self.bits()).saturating_add(part)
    }

    const fn product(&self, host_cycles: u64) -> u128 {
        host_cycles as u128 * self.ratio as u128
    }

    const fn bits(&self) -> u32 {
        if self.fraction_bits > 63 { 63 } else { self.fraction_bits }
    }
}

/// A host's clocks over its guest's counter: for a page that the guest reads.
///
/// The host writes it, or a guest whose host's counter it knows. A guest that moves to another machine goes on with
/// another timekeeper, whose scaling [meets](Scaling::meeting) the guest's counter, on the same page.
#[derive(Clone, Copy, Debug)]
pub struct Guest<R> {
    host: R,
    scaling: Scaling,
}

impl<R: Reference> Guest<R> {
    /// With the scaling that the guest's processor has.
    pub const fn new(host: R, scaling: Scaling) -> Self {
        Self { host, scaling }
    }

    /// The host.
    pub const fn host(&self) -> &R {
        &self.host
    }

    /// How the guest's counter follows from the host's.
    pub const fn scaling(&self) -> Scaling {
        self.scaling
    }
}

impl<R: Reference> Reference for Guest<R> {
    fn counter(&self) -> u64 {
        self.scaling.guest_cycles(self.host.counter())
    }

    /// `None` also for a guest whose counter stands still.
    fn sample(&mut self) -> Option<Sample> {
        let Sample { cycles, fixed } = self.host.sample().filter(|_| self.scaling.ratio != 0)?;
        // A guest's cycle may be many of the host's: the sample is that of its beginning.
        let part = u128::from(self.scaling.part_of_cycle(cycles));
        let slopes = self.slopes();
        let ago = |id| ((part.saturating_mul(slopes.of(id) >> 32)) >> 32) as Fixed;
        let fixed = core::array::from_fn(|id| fixed[id].saturating_sub(ago(id)));
        Some(Sample { cycles: self.scaling.guest_cycles(cycles), fixed })
    }

    fn slopes(&self) -> Slopes {
        let Slopes { steered, raw } = self.host.slopes();
        let scaled = |slope| self.scaling.guest_slope(slope);
        Slopes { steered: scaled(steered), raw: scaled(raw) }
    }

    fn resolutions(&self) -> Resolutions {
        self.host.resolutions()
    }

    fn time_zone(&self) -> Option<Timezone> {
        self.host.time_zone()
    }

    fn fallback(&self) -> Fallback {
        self.host.fallback()
    }

    fn noise_ns(&self) -> u32 {
        self.host.noise_ns()
    }
}
