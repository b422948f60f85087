//! The way to a bridge: connections that show what the client has, and trust whom it trusts, as the files say now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::Agent;
use ureq::tls::TlsConfig;

use super::access::{Access, Credentials, Trusted};
use super::is_loopback;
use crate::files::Files;

/// The way, for all clones of a client.
pub(super) struct Way {
    bridge: String,
    access: Access,
    current: Mutex<Current>,
}

struct Current {
    files: Files,
    /// `None` where nothing could be read yet.
    open: Option<Arc<Open>>,
    /// Why what is there now cannot be used; what was read before is still in force.
    problem: Option<String>,
}

/// The way as it is now.
pub(super) struct Open {
    pub(super) agent: Agent,
    pub(super) credentials: Credentials,
    /// The header with the token.
    pub(super) authorization: Option<String>,
}

impl Way {
    pub(super) fn new(bridge: &str, access: Access) -> Self {
        // Looked at before they are read, so that no change is missed.
        let files = Files::now(access.files());
        let (open, problem) = match access.read() {
            Ok(credentials) => (Some(Arc::new(Open::new(bridge, credentials))), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { bridge: bridge.to_owned(), access, current: Mutex::new(Current { files, open, problem }) }
    }

    /// One that shows these for ever.
    pub(super) fn fixed(bridge: &str, credentials: Credentials) -> Self {
        let way = Self::new(bridge, Access::default());
        way.current().open = Some(Arc::new(Open::new(bridge, credentials)));
        way
    }

    /// One that leads nowhere, for that reason.
    pub(super) fn closed(bridge: &str, problem: String) -> Self {
        let way = Self::new(bridge, Access::default());
        {
            let mut current = way.current();
            current.open = None;
            current.problem = Some(problem);
        }
        way
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way for the next request. Where a file has changed it is a new one, with new connections; files that cannot be
    /// used, such as a pair of which one half was exchanged yet, are read again for each request until they can.
    pub(super) fn open(&self) -> Result<Arc<Open>, ureq::Error> {
        let mut current = self.current();
        if !current.files.is_empty() && (current.files.changed() || current.problem.is_some()) {
            match self.access.read() {
                Ok(credentials) => {
                    current.open = Some(Arc::new(Open::new(&self.bridge, credentials)));
                    current.problem = None;
                }
                Err(problem) => current.problem = Some(problem),
            }
        }
        match (&current.open, &current.problem) {
            (Some(open), _) => Ok(Arc::clone(open)),
            (None, problem) => Err(ureq::Error::Other(problem.clone().unwrap_or_default().into())),
        }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// What the way was when it was last taken.
    pub(super) fn last(&self) -> Option<Arc<Open>> {
        self.current().open.clone()
    }

    /// Why what is there now cannot be used.
    pub(super) fn problem(&self) -> Option<String> {
        self.current().problem.clone()
    }
}

impl Open {
    fn new(bridge: &str, credentials: Credentials) -> Self {
        let tls = TlsConfig::builder().client_cert(credentials.certificate.clone());
        let tls = match &credentials.trusted {
            Trusted::Public => tls,
            Trusted::These(roots) => tls.root_certs(roots.clone()),
            Trusted::Any => tls.disable_verification(true),
        };
        let mut config = Agent::config_builder().http_status_as_error(false).tls_config(tls.build());
        if is_loopback(bridge) || matches!(credentials.trusted, Trusted::Any) {
            // A proxy would look for the bridge on its own machine.
            config = config.proxy(None);
        }
        let authorization = credentials.token.as_ref().map(|token| format!("Bearer {token}"));
        Self { agent: config.build().new_agent(), credentials, authorization }
    }
}
