//! Jumps that are written over functions of the kernel's vDSO: one that reaches any place takes more room
//! than a small function has, so there is a near one at the function's beginning, to a far one behind the
//! vDSO's end.

pub use super::selected::JUMPS;

/// What an architecture's jumps are like, and its instructions that make a system call.
#[derive(Debug)]
pub struct Jumps {
    /// The instruction by which a program makes a system call, and one that jumps to itself: a program whose
    /// tracer was killed in the middle waits there for another.
    pub call: &'static [u8],
    /// What must stay at a function's beginning, where it is there.
    pub mark: &'static [u8],
    /// Jumps from one address to another, if it reaches there.
    pub near: fn(u64, u64) -> Option<Vec<u8>>,
    /// Jumps to an address from anywhere.
    pub far: fn(u64) -> Vec<u8>,
    /// How long a far one is.
    pub far_bytes: usize,
    /// In place of a function: makes the system call of this number with the function's arguments, and returns what that
    /// gives.
    pub make_call: fn(u32) -> Vec<u8>,
    /// In place of a function: returns this errno, negative.
    pub refuse: fn(i32) -> Vec<u8>,
}

/// Room at the end of a vDSO's mapping for [`Jumps::call`].
const CALL_BYTES: u64 = 16;

/// Where a program makes calls for its tracer, by where its vDSO's mapping ends, and by what instructions.
pub fn call_site(vdso_end_addr: u64) -> Option<(u64, &'static [u8])> {
    let call = JUMPS.as_ref()?.call;
    Some((vdso_end_addr - CALL_BYTES, call))
}

/// Whether a program that goes on at `addr` is in the middle of such a call, or waits behind one.
pub fn is_at_call_site(vdso_end_addr: u64, addr: u64) -> bool {
    call_site(vdso_end_addr)
        .is_some_and(|(site, call)| (site..site + call.len() as u64).contains(&addr))
}

/// Unused bytes behind a vDSO's end, on its last page.
#[derive(Debug)]
pub struct Room {
    /// The first one that is used.
    start_addr: u64,
    /// Behind the vDSO's last byte that is not zero.
    end_addr: u64,
}

impl Room {
    /// That behind the vDSO that is mapped at `vdso_addr`.
    pub fn behind(vdso_addr: u64, vdso: &[u8]) -> Self {
        /// What belongs to the image may end in zeros.
        const KEPT_BYTES: u64 = 16;
        let zeros = vdso.iter().rev().take_while(|&&byte| byte == 0).count();
        let end_addr = vdso_addr + (vdso.len() - zeros) as u64 + KEPT_BYTES;
        Self { start_addr: vdso_addr + vdso.len() as u64 - CALL_BYTES, end_addr }
    }

    /// Some of it, for whatever is written there; `None` if there is not enough.
    pub fn take(&mut self, bytes: usize) -> Option<u64> {
        const ALIGNMENT: u64 = 16;
        let addr = self.start_addr.checked_sub(bytes as u64)? & !(ALIGNMENT - 1);
        if addr < self.end_addr {
            return None;
        }
        self.start_addr = addr;
        Some(addr)
    }

    /// For the function at `addr`, whose bytes begin with `code`, to become that at `target_offset` of the
    /// image; `None` if there is no room.
    pub fn patch(&mut self, addr: u64, code: &[u8], target_offset: u64) -> Option<Patch> {
        let jumps = JUMPS.as_ref()?;
        let is_marked = !jumps.mark.is_empty() && code.starts_with(jumps.mark);
        let near_addr = if is_marked { addr + jumps.mark.len() as u64 } else { addr };
        let far_addr = self.take(jumps.far_bytes)?;
        let near = (jumps.near)(near_addr, far_addr)?;
        Some(Patch { near_addr, near, far_addr, far: jumps.far, target_offset })
    }
}

/// What is written over one function.
#[derive(Debug)]
pub struct Patch {
    near_addr: u64,
    near: Vec<u8>,
    far_addr: u64,
    far: fn(u64) -> Vec<u8>,
    target_offset: u64,
}

impl Patch {
    /// Whether somebody who goes on at `addr` would execute a part of an instruction.
    pub fn is_within(&self, addr: u64) -> bool {
        addr > self.near_addr && addr < self.near_addr + self.near.len() as u64
    }

    /// What is written over the function itself, and where.
    pub fn over_function(&self) -> (u64, &[u8]) {
        (self.near_addr, &self.near)
    }

    /// What is written, in this order.
    pub fn bytes_for(&self, image_addr: u64) -> [(u64, Vec<u8>); 2] {
        let far = (self.far)(image_addr + self.target_offset);
        [(self.far_addr, far), (self.near_addr, self.near.clone())]
    }
}

#[cfg(all(test, target_arch = "x86_64", target_pointer_width = "64"))]
mod tests {
    use super::*;

    const VDSO_ADDR: u64 = 0x7fff_0000_0000;

    /// With this many bytes that are not zero, and a function at its beginning.
    fn vdso(bytes: usize) -> Vec<u8> {
        let mut vdso = vec![0x90; bytes];
        vdso.resize(4096, 0);
        vdso
    }

    #[test]
    fn a_function_jumps_behind_the_end_and_from_there_to_the_image() {
        let vdso = vdso(100);
        let mut room = Room::behind(VDSO_ADDR, &vdso);
        let patch = room.patch(VDSO_ADDR, &vdso, 0x123).expect("room");
        let [(far_addr, far), (near_addr, near)] = patch.bytes_for(0x1234_0000_0000);
        assert_eq!((far_addr, near_addr), (VDSO_ADDR + 4064, VDSO_ADDR));
        assert_eq!(near, [0xe9, 0xdb, 0x0f, 0, 0]);
        assert_eq!(far, [0xff, 0x25, 0, 0, 0, 0, 0x23, 1, 0, 0, 0x34, 0x12, 0, 0]);
        assert!(!patch.is_within(VDSO_ADDR) && !patch.is_within(VDSO_ADDR + 5));
        assert!((1..5).all(|at| patch.is_within(VDSO_ADDR + at)));
    }

    #[test]
    fn where_branches_may_arrive_stays() {
        let mut vdso = vdso(100);
        vdso[..4].copy_from_slice(b"\xf3\x0f\x1e\xfa");
        let patch = Room::behind(VDSO_ADDR, &vdso).patch(VDSO_ADDR, &vdso, 0).expect("room");
        assert_eq!(patch.bytes_for(0)[1].0, VDSO_ADDR + 4);
    }

    #[test]
    fn there_is_as_much_room_as_there_are_zeros() {
        for (bytes, functions) in
            [(100, 4), (4096 - 64, 2), (4096 - 48, 1), (4096 - 47, 0), (4096, 0)]
        {
            let vdso = vdso(bytes);
            let mut room = Room::behind(VDSO_ADDR, &vdso);
            let patches = (0..4).map_while(|_| room.patch(VDSO_ADDR, &vdso, 0));
            assert_eq!(patches.count(), functions, "{bytes}");
        }
    }

    #[test]
    fn calls_are_made_behind_all_else() {
        let (addr, call) = call_site(VDSO_ADDR + 4096).expect("there is one");
        assert_eq!((addr, call.len()), (VDSO_ADDR + 4080, 4));
        let at = |offset| is_at_call_site(VDSO_ADDR + 4096, addr + offset);
        assert!(at(0) && at(2) && !at(4));
    }
}
