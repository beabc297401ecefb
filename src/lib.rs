//! Rondo
