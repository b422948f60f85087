//! A configuration in the making: what the keys set, before the checks that need several of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::model::{self, Config, KeyPair, Otlp, PushMetrics, PushSpans, Secret, Temporality, TokenSource, Tokens};
use super::tree::Sourced;
use crate::catalog::Group;

/// Where OTLP goes when nothing says where: the standard's default.
pub(super) const DEFAULT_ENDPOINT: &str = "http://localhost:4317";

/// All that can be set, each value with what later checks need to know about it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// What is set as it is. What it says of gRPC, the feed's listener, TLS, pushes, groups and tokens comes from
    /// the fields below in the end.
    pub(super) config: Config,
    pub(super) disabled: bool,
    /// By the order of [`Group::ALL`].
    pub(super) groups: [bool; Group::ALL.len()],
    pub(super) grpc_listen: Option<Sourced<SocketAddr>>,
    pub(super) live_listen: Option<Sourced<SocketAddr>>,
    pub(super) tls: Tls,
    pub(super) auth: Auth,
    pub(super) metrics: MetricsPush,
    pub(super) spans: SpansPush,
}

/// A certificate and its key.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub(super) cert_file: Option<Sourced<PathBuf>>,
    pub(super) key_file: Option<Sourced<PathBuf>>,
}

impl Pair {
    pub(super) fn is_unset(&self) -> bool {
        self.cert_file.is_none() && self.key_file.is_none()
    }
}

/// TLS of the listeners.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    pub(super) pair: Pair,
    pub(super) client_ca_file: Option<Sourced<PathBuf>>,
}

/// Where a secret comes from; the last that is set holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) file: Option<Sourced<PathBuf>>,
    pub(super) env: Option<Sourced<String>>,
}

/// Where the tokens and the password come from.
#[derive(Debug, Clone, Default)]
pub(super) struct Auth {
    pub(super) all: Held,
    pub(super) scrape: Held,
    pub(super) ingest: Held,
    pub(super) admin: Held,
    pub(super) basic: Basic,
}

/// A user name, and where its password comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Basic {
    pub(super) username: Option<Sourced<String>>,
    pub(super) password: Held,
}

/// One OTLP exporter.
#[derive(Debug, Clone)]
pub(super) struct Exporter {
    pub(super) on: bool,
    pub(super) endpoint: Option<Sourced<String>>,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) gzip: bool,
    pub(super) timeout: Duration,
    pub(super) ca_file: Option<Sourced<PathBuf>>,
    pub(super) client: Pair,
    pub(super) insecure: Option<Sourced<bool>>,
    /// Of metrics only.
    pub(super) temporality: Temporality,
}

/// The push of metrics.
#[derive(Debug, Clone)]
pub(super) struct MetricsPush {
    pub(super) exporter: Exporter,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// The push of spans.
#[derive(Debug, Clone)]
pub(super) struct SpansPush {
    pub(super) exporter: Exporter,
    pub(super) schedule_delay: Duration,
    pub(super) export_timeout: Duration,
    pub(super) max_queue_size: usize,
    pub(super) max_export_batch_size: Option<Sourced<usize>>,
}

impl Default for Draft {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}

impl From<&Config> for Draft {
    fn from(config: &Config) -> Self {
        let metrics = config.push_metrics.clone();
        let spans = config.push_spans.clone();
        let (metrics_on, spans_on) = (metrics.is_some(), spans.is_some());
        let metrics = metrics.unwrap_or_else(|| PushMetrics::new(Otlp::new(DEFAULT_ENDPOINT)));
        let spans = spans.unwrap_or_else(|| PushSpans::new(Otlp::new(DEFAULT_ENDPOINT)));
        Self {
            config: config.clone(),
            disabled: false,
            groups: Group::ALL.map(|group| config.metrics.groups.contains(&group)),
            grpc_listen: config.grpc_listen.map(Sourced::nowhere),
            live_listen: config.live.listen.map(Sourced::nowhere),
            tls: Tls {
                pair: Pair::from(config.tls.as_ref().map(|tls| &tls.identity)),
                client_ca_file: config.tls.as_ref().and_then(|tls| tls.client_ca_file.clone()).map(Sourced::nowhere),
            },
            auth: Auth::from(&config.auth),
            metrics: MetricsPush {
                exporter: Exporter::new(&metrics.otlp, metrics_on, metrics.temporality),
                interval: metrics.interval,
                timeout: metrics.timeout,
            },
            spans: SpansPush {
                exporter: Exporter::new(&spans.otlp, spans_on, Temporality::Cumulative),
                schedule_delay: spans.schedule_delay,
                export_timeout: spans.export_timeout,
                max_queue_size: spans.max_queue_size,
                max_export_batch_size: Some(Sourced::nowhere(spans.max_export_batch_size)),
            },
        }
    }
}

impl From<&model::Auth> for Auth {
    fn from(auth: &model::Auth) -> Self {
        let held = |tokens: &Option<Tokens>| Held::from(tokens.as_ref().and_then(|tokens| tokens.source.as_ref()));
        let basic = auth.basic.as_ref();
        Self {
            all: held(&auth.all),
            scrape: held(&auth.scrape),
            ingest: held(&auth.ingest),
            admin: held(&auth.admin),
            basic: Basic {
                username: basic.map(|basic| Sourced::nowhere(basic.username.clone())),
                password: Held::from(basic.and_then(|basic| basic.source.as_ref())),
            },
        }
    }
}

impl From<Option<&TokenSource>> for Held {
    fn from(source: Option<&TokenSource>) -> Self {
        match source {
            Some(TokenSource::File(path)) => Self { file: Some(Sourced::nowhere(path.clone())), env: None },
            Some(TokenSource::Env(name)) => Self { file: None, env: Some(Sourced::nowhere(name.clone())) },
            None => Self::default(),
        }
    }
}

impl From<Option<&KeyPair>> for Pair {
    fn from(pair: Option<&KeyPair>) -> Self {
        Self {
            cert_file: pair.map(|pair| Sourced::nowhere(pair.cert_file.clone())),
            key_file: pair.map(|pair| Sourced::nowhere(pair.key_file.clone())),
        }
    }
}

impl Exporter {
    fn new(otlp: &Otlp, on: bool, temporality: Temporality) -> Self {
        Self {
            on,
            // The default is no choice of the user's: it is shown only where push is on.
            endpoint: on.then(|| Sourced::nowhere(otlp.endpoint.clone())),
            headers: otlp.headers.clone(),
            gzip: otlp.gzip,
            timeout: otlp.timeout,
            ca_file: otlp.ca_file.clone().map(Sourced::nowhere),
            client: Pair::from(otlp.client.as_ref()),
            insecure: None,
            temporality,
        }
    }
}
