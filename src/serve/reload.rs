//! Certificates and tokens are read again when their files change, so that changing them needs no restart.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::accept::Shared;
use super::auth::Auth;
use super::stop::Stop;
use super::tls::Tls;
use crate::config::{self, Config};
use crate::files::Files;

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
        let tokens = Files::unseen(config.auth.files());
        Self { tls, tokens, auth: config.auth.clone() }
    }

    /// Follows the files until the bridge is to stop.
    pub(super) async fn follow(mut self, tls: Option<Tls>, auth: Auth, mut stop: Stop) {
        if self.tls.is_empty() && self.tokens.is_empty() {
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
