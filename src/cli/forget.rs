//! `forget`: takes series with a certain label out of the data of a bridge that does not run.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use mcp_otel_bridge::config::{self, Flags};
use mcp_otel_bridge::{ForgetError, Labelled, forget};

use super::{ConfigArgs, Failure, input, print};

/// What `forget` is told.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// The label and its value, in which * stands for anything
    #[arg(value_name = "LABEL=PATTERN")]
    which: Labelled,
    #[command(flatten)]
    config: ConfigArgs,
    /// What the bridge keeps is here [default: where serve keeps it]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Say what would be forgotten, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Forgets, and says how many series of which metrics.
pub(super) fn run(args: ForgetArgs) -> Result<(), Failure> {
    let ForgetArgs { which, config, data_dir, dry_run } = args;
    let loaded = input::load(config.config, Flags { data_dir, ..Flags::default() })?;
    let dir = config::data_dir(&loaded.config).map_err(|error| Failure::Usage(error.to_string()))?;
    let forgotten = forget(&dir, &which, dry_run).map_err(|error| match error {
        ForgetError::Missing(_) => Failure::Usage(error.to_string()),
        _ => Failure::Fault(error.to_string()),
    })?;
    let mut text = String::new();
    for (metric, series) in &forgotten.series {
        // Writing into a String does not fail.
        let _ = writeln!(text, "{series:>8}  {metric}");
    }
    let done = if dry_run { "would be forgotten" } else { "forgotten" };
    let (series, breakers) = (forgotten.series.values().sum::<usize>(), forgotten.breakers);
    let _ = writeln!(text, "{series} series and {breakers} circuit breakers {done}");
    print(&text)
}
