//! What can be wrong with a configuration: every fault at once, each with its place and what would be right.

use std::fmt;

/// One fault of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it is: `bridge.yaml: limits.connections (line 4)`, `environment: OTEL_BSP_SCHEDULE_DELAY` or
    /// `flag: --listen`.
    pub place: String,
    /// What is wrong, with the offending value unless it is a secret.
    pub problem: String,
    /// What would be right.
    pub help: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.problem, self.help)
    }
}

/// All faults of a configuration; never empty. Displayed one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// The faults: those of the file in its order, then the environment's, then the flags'.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
