//! Placeholder.
use crate::wire::headers::LimitReading;
/// Placeholder.
#[derive(Debug, Default)]
pub struct Kinship {}
impl Kinship {
    /// Placeholder.
    pub fn sent(&mut self, _at: u64, _group: &str, _model: &str) {}
    /// Placeholder.
    pub fn seen(&mut self, _at: u64, _group: &str, _model: &str, _limits: &[LimitReading]) {}
}
