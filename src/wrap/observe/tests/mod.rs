//! The observer, told of streams as they go by.

mod json;
mod outcomes;
mod privacy;
mod script;
mod sessions;
mod streams;
