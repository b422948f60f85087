//! The Prometheus exposition formats: which one a client gets, and how a snapshot is written in it.

mod accept;
mod encode;
mod format;

pub use accept::{accepts_gzip, negotiate};
pub use encode::{NameFilter, encode, target_info};
pub use format::{Escaping, Exposition, Format};
