//! The content that symbols name: pieces of one size, then code.

use crate::recipe::{Place, Recipe};

/// Bytes of a piece.
const PIECE_BYTES: usize = 16;
/// How far code begins behind the code before it, and of what its address is a multiple.
const CODE_STEP: usize = 64;
/// What is between: one-byte no-operations, to x86.
const FILLER: u8 = 0x90;

/// All of it, for an image whose content begins at a multiple of [`CODE_STEP`].
pub(crate) fn bytes(recipe: &Recipe) -> Vec<u8> {
    let code_end = code_at(recipe, recipe.code.len());
    let end = if recipe.code.is_empty() { pieces_bytes(recipe) } else { code_end };
    let mut bytes = vec![FILLER; end];
    for (number, code) in recipe.code.iter().enumerate() {
        assert!(code.len() <= CODE_STEP, "code {number} is longer than {CODE_STEP} bytes");
        bytes[code_at(recipe, number)..][..code.len()].copy_from_slice(code);
    }
    bytes
}

/// Where in the content a symbol points, and how many bytes it names; `None` if it names none of it.
pub(crate) fn extent(recipe: &Recipe, place: Place) -> Option<(u64, u64)> {
    match place {
        Place::Piece(piece) | Place::HiddenPiece(piece) => {
            Some((u64::from(piece) * PIECE_BYTES as u64, PIECE_BYTES as u64))
        }
        Place::Code { number, displacement } => {
            let at = code_at(recipe, number) as u64 + displacement;
            Some((at, recipe.code[number].len() as u64))
        }
        Place::Absolute(_) | Place::Undefined => None,
    }
}

fn code_at(recipe: &Recipe, number: usize) -> usize {
    pieces_bytes(recipe).next_multiple_of(CODE_STEP) + number * CODE_STEP
}

/// A piece for each symbol without code, and one more.
fn pieces_bytes(recipe: &Recipe) -> usize {
    let is_code = |place| matches!(place, Place::Code { .. });
    let count = recipe.symbols.iter().filter(|symbol| !is_code(symbol.place)).count();
    PIECE_BYTES * (count + 1)
}
