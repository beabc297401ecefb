//! The bytes on the wire: what is read of a request without building a tree (`json`), event streams (`sse`),
//! errors in the form that every client understands (`errors`), which headers pass (`headers`) and what was
//! used (`usage`).

pub mod cleanup;
pub mod dialects;
pub mod errors;
pub mod headers;
pub mod json;
mod lex;
pub mod sse;
mod tokens;
mod upstream_error;
pub mod usage;
