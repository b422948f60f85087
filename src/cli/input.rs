//! What the commands read: the configuration from all its sources, and where the running bridge is.

use std::path::PathBuf;

use clap::Args;
use mcp_otel_bridge::client::{Client, DEFAULT_URL, URL_VARIABLE};
use mcp_otel_bridge::config::{self, Flags, Loaded, Sources};

use super::Failure;

/// The configuration of file, environment and flags, or all that is wrong with it.
pub(super) fn load(file: Option<PathBuf>, flags: Flags) -> Result<Loaded, Failure> {
    config::load(&Sources { file, env: config::environment(), flags })
        .map_err(|errors| Failure::Usage(format!("the configuration is wrong\n{errors}")))
}

/// Which running bridge.
#[derive(Debug, Args)]
pub(super) struct BridgeArgs {
    /// The running bridge
    #[arg(long = "bridge", value_name = "URL", env = URL_VARIABLE, default_value = DEFAULT_URL)]
    pub(super) url: String,
}

impl BridgeArgs {
    /// A client of it, with the token, the authorities and the certificate of the environment.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::from_environment(&self.url).map_err(Failure::Usage)
    }
}
