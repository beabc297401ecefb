//! Randomness from the platform's generator. Not to be called in the global scope.

/// `N` random bytes.
///
/// # Errors
/// When the platform gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
