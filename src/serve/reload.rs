//! Certificates and tokens are read again when their files change, so that changing them needs no restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

use super::accept::Shared;
use super::auth::Auth;
use super::stop::Stop;
use super::tls::Tls;
use crate::config::{self, Config};

/// How often the files are looked at. Looking is cheap, and works on every file system and through the links by which
/// Kubernetes exchanges the files of a secret all at once.
const LOOK: Duration = Duration::from_secs(2);

/// What is read again.
#[derive(Debug)]
pub(super) struct Reload {
    tls: Files,
    tokens: Files,
    auth: config::Auth,
}

impl Reload {
    /// From before anything was read, so that no change is missed.
    pub(super) fn new(config: &Config) -> Self {
        let tls = Files::now(config.tls.as_ref().map(Tls::files).unwrap_or_default());
        // The tokens were read with the configuration, who knows when.
        let tokens = Files { seen: Vec::new(), files: config.auth.files() };
        Self { tls, tokens, auth: config.auth.clone() }
    }

    /// Follows the files until the bridge is to stop.
    pub(super) async fn follow(mut self, tls: Option<Tls>, auth: Auth, mut stop: Stop) {
        if self.tls.files.is_empty() && self.tokens.files.is_empty() {
            return;
        }
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.draining() => return,
                _ = ticks.tick() => {}
            }
            let (tls, auth) = (tls.clone(), auth.clone());
            // A file system may hang.
            let looked = tokio::task::spawn_blocking(move || {
                self.look(tls.as_ref(), &auth);
                self
            });
            self = tokio::select! {
                () = stop.draining() => return,
                looked = looked => match looked {
                    Ok(looked) => looked,
                    // The runtime is going.
                    Err(_) => return,
                },
            };
        }
    }

    fn look(&mut self, tls: Option<&Tls>, auth: &Auth) {
        if let Some(tls) = tls.filter(|_| self.tls.changed()) {
            match tls.read_again() {
                Ok(()) => tracing::info!("the certificates have changed: new connections get the new ones"),
                Err(error) => tracing::error!(%error, "the changed certificates cannot be used; the old ones stay"),
            }
        }
        if self.tokens.changed() {
            let before = self.auth.clone();
            for problem in self.auth.read_again() {
                tracing::error!("{problem}; what it held before stays in force");
            }
            if self.auth != before {
                auth.exchange(&self.auth);
                tracing::info!("the tokens have changed: requests from now on need the new ones");
            }
        }
    }
}

impl Shared {
    /// What was read for these listeners, followed.
    pub(super) async fn follow(&self, reload: Reload) {
        reload.follow(self.tls.clone(), self.auth.clone(), self.stop.clone()).await;
    }
}

/// Files, and what they were when they were last looked at.
#[derive(Debug)]
struct Files {
    files: Vec<PathBuf>,
    seen: Vec<Option<Identity>>,
}

impl Files {
    fn now(files: Vec<PathBuf>) -> Self {
        let seen = files.iter().map(|path| Identity::of(path)).collect();
        Self { files, seen }
    }

    /// Whether any is another one than when this was last asked. It is asked before the files are read: what changes
    /// while they are is seen the next time.
    fn changed(&mut self) -> bool {
        let now: Vec<_> = self.files.iter().map(|path| Identity::of(path)).collect();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

/// What differs between two versions of a file.
#[derive(Debug, PartialEq)]
struct Identity {
    modified: Option<SystemTime>,
    size: u64,
    inode: (u64, u64),
    /// Tells of new contents also where a copy kept the time of its original.
    changed: (i64, i64),
}

impl Identity {
    /// The file that the path leads to, through links; `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let (inode, changed) = of_system(&file);
        Some(Self { modified: file.modified().ok(), size: file.len(), inode, changed })
    }
}

#[cfg(unix)]
fn of_system(file: &fs::Metadata) -> ((u64, u64), (i64, i64)) {
    use std::os::unix::fs::MetadataExt as _;
    ((file.dev(), file.ino()), (file.ctime(), file.ctime_nsec()))
}

#[cfg(not(unix))]
fn of_system(_: &fs::Metadata) -> ((u64, u64), (i64, i64)) {
    ((0, 0), (0, 0))
}
