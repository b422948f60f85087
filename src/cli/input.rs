//! What the commands read: the configuration from all its sources.

use std::path::PathBuf;

use mcp_otel_bridge::config::{self, Flags, Loaded, Sources};

use super::Failure;

/// The configuration of file, environment and flags, or all that is wrong with it.
pub(super) fn load(file: Option<PathBuf>, flags: Flags) -> Result<Loaded, Failure> {
    config::load(&Sources { file, env: config::environment(), flags })
        .map_err(|errors| Failure::Usage(format!("the configuration is wrong\n{errors}")))
}
