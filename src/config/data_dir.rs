//! Where the bridge keeps what it remembers, when nothing says where.

use std::path::PathBuf;

use etcetera::base_strategy::{BaseStrategy, Xdg};

use super::model::Config;

/// No directory could be found for the bridge's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no home directory is known for the bridge's data; set data_dir, --data-dir or --ephemeral")]
pub struct NoDataDir;

/// The directory of the bridge's data: `data_dir`, or systemd's STATE_DIRECTORY, or `mcp-otel-bridge` in the user's
/// state directory (XDG_STATE_HOME, else `~/.local/state`).
///
/// # Errors
///
/// When none is set and the user has no home.
pub fn data_dir(config: &Config) -> Result<PathBuf, NoDataDir> {
    let home = || Xdg::new().ok().and_then(|xdg| xdg.state_dir());
    choose(config, std::env::var_os("STATE_DIRECTORY").and_then(|dirs| dirs.into_string().ok()), home)
}

fn choose(
    config: &Config,
    systemd: Option<String>,
    home: impl FnOnce() -> Option<PathBuf>,
) -> Result<PathBuf, NoDataDir> {
    if let Some(dir) = &config.data_dir {
        return Ok(dir.clone());
    }
    // A unit may have several, separated by colons; the first is the bridge's.
    if let Some(first) = systemd.as_deref().and_then(|dirs| dirs.split(':').find(|dir| !dir.is_empty())) {
        return Ok(PathBuf::from(first));
    }
    home().map(|state| state.join("mcp-otel-bridge")).ok_or(NoDataDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_goes_before_systemd_and_systemd_before_the_home() {
        let set = Config { data_dir: Some("/set".into()), ..Config::default() };
        let home = || Some(PathBuf::from("/home/me/.local/state"));
        let systemd = || Some("/var/lib/bridge:/var/lib/other".to_owned());
        assert_eq!(choose(&set, systemd(), home), Ok("/set".into()));
        let unset = Config::default();
        assert_eq!(choose(&unset, systemd(), home), Ok("/var/lib/bridge".into()));
        assert_eq!(choose(&unset, Some(String::new()), home), Ok("/home/me/.local/state/mcp-otel-bridge".into()));
        assert_eq!(choose(&unset, None, || None), Err(NoDataDir));
    }
}
