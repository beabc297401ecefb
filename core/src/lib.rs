//! Rondo's decisions as pure functions: what is sent with which key and when (`pool`), the bytes on the
//! wire (`wire`), secrets (`vault`), configuration (`config`) and the platform's numbers (`limits`).
//! Nothing here reads a clock, does I/O or makes randomness: time and entropy come in as arguments.

pub mod config;
pub mod limits;
pub mod pool;
pub mod vault;
pub mod wire;
