//! `getrandom` of the vDSO that this process has.

use std::collections::HashSet;
use std::fs::File;
use std::mem::transmute;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use vdso_client::{Vdso, auxv};
use vdso_data::architecture::Architecture;
use vdso_measure::random::{Getrandom, State};

type Block = [u8; 32];

/// The function, and a state for it.
struct Random {
    function: Getrandom,
    state: State,
}

impl Random {
    /// `None` if the vDSO has no such function, or there is none.
    fn find() -> Result<Option<Self>> {
        let Ok(vdso) = Vdso::from_auxv(auxv::order()) else { return Ok(None) };
        let export = Architecture::CURRENT.and_then(|row| row.export("getrandom"));
        let Some(function) = export.and_then(|it| vdso.lookup(it.name, Some(it.version))) else {
            return Ok(None);
        };
        // SAFETY: a vDSO's function of this name is of this type.
        let function = unsafe { transmute::<usize, Getrandom>(function.as_ptr().addr()) };
        // SAFETY: it is that function.
        let state = unsafe { State::map(function) }.context("it asks for no state")?;
        Ok(Some(Self { function, state }))
    }

    fn draw(&self) -> Result<Block> {
        let mut block = [0; 32];
        let (buffer, state) = (block.as_mut_ptr().cast(), self.state.memory());
        // SAFETY: a buffer of this length, and a state of this function's.
        let given = unsafe { (self.function)(buffer, block.len(), 0, state, self.state.bytes()) };
        ensure!(given == 32, "it gives {given} bytes of 32");
        Ok(block)
    }

    fn copy(&self) -> Vec<u8> {
        let state = self.state.memory().cast::<u8>();
        // SAFETY: mapped with this length, and nobody writes meanwhile.
        unsafe { std::slice::from_raw_parts(state, self.state.bytes()) }.to_vec()
    }

    fn put_back(&self, copy: &[u8]) {
        let state = self.state.memory().cast::<u8>();
        // SAFETY: as above.
        unsafe { state.copy_from_nonoverlapping(copy.as_ptr(), copy.len()) };
    }
}

/// How many bytes a state of this process's vDSO has; `None` without the function.
pub fn state_bytes() -> Result<Option<usize>> {
    Ok(Random::find()?.map(|random| random.state.bytes()))
}

/// Prints that, after a state was used, put back, and made to take a new key by a new seed of the
/// kernel's.
pub fn run() -> Result<()> {
    const BLOCKS: usize = 10_000;
    let Some(random) = Random::find()? else {
        println!("no function");
        return Ok(());
    };
    let mut blocks = HashSet::new();
    for _ in 0..BLOCKS {
        blocks.insert(random.draw()?);
    }
    ensure!(blocks.len() == BLOCKS, "a block was given twice");
    ensure!(!blocks.contains(&[0; 32]), "a block of zeros");
    parted_by_a_new_seed(&random)?;
    println!("{} bytes", random.state.bytes());
    Ok(())
}

/// As when a virtual machine is restored twice: from the copy on, its keys are other ones.
fn parted_by_a_new_seed(random: &Random) -> Result<()> {
    let copy = random.copy();
    let before = random.draw()?;
    random.put_back(&copy);
    let again = random.draw()?;
    random.put_back(&copy);
    take_new_seed()?;
    let after = random.draw()?;
    ensure!(again == before, "a state that is put back gives other bytes: is it used at all?");
    ensure!(after != before, "a new seed of the kernel's does not change the key");
    Ok(())
}

fn take_new_seed() -> Result<()> {
    /// `_IO('R', 0x07)`. Source: `include/uapi/linux/random.h` (Linux 6.18).
    const RNDRESEEDCRNG: libc::Ioctl = 0x5207;
    let device = File::open("/dev/random").context("cannot open /dev/random")?;
    // SAFETY: it takes nothing.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) };
    ensure!(result == 0, "the kernel takes no new seed: {}", std::io::Error::last_os_error());
    Ok(())
}
