//! `check` and `config`: the configuration, judged and shown by the very code that `serve` runs on.

use mcp_otel_bridge::config;

use super::{ConfigArgs, Failure, input, print};

/// Says every error of the configuration at once, or that there is none.
pub(super) fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let loaded = input::load(args.config.clone(), config::Flags::default())?;
    for warning in &loaded.warnings {
        print(&format!("warning: {warning}\n"))?;
    }
    print("the configuration is good\n")
}

/// Shows the configuration in force, in the form of the file.
pub(super) fn config(args: &ConfigArgs) -> Result<(), Failure> {
    let loaded = input::load(args.config.clone(), config::Flags::default())?;
    print(&config::show(&loaded.config))
}
