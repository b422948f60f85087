//! Building a bridge: everything that can fail fails here, with one clear line.

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use opentelemetry::Key;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::door::{Door, QUEUE_MESSAGES, Shared};
use super::orders::WriterShelf;
use super::writer::Writer;
use super::{Bridge, Inner};
use crate::breaker::Registry;
use crate::catalog::Group;
use crate::catalog::metrics::{BRIDGE_BUILD_INFO, BRIDGE_READY, MCP_HUB_APP_INFO};
use crate::config::{App, Config, Otlp, PushMetrics, PushSpans};
use crate::event::Label;
use crate::expose::Exposed;
use crate::record::{Ledger, Recorder, restore_series};
use crate::state::{State, StoreError};
use crate::telemetry::push::{Push, PushError, PushParts, Shelf, Signal};
use crate::telemetry::{
    EventTracer, PushStats, Sampler, Telemetry, TelemetryError, instance_id, resource, sdk_sampler,
};

/// Why a bridge could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// What it remembers cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The push cannot be set up.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The writer's thread cannot be started.
    #[error("the writer's thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// A bridge yet to be built.
#[derive(Debug, Default)]
pub struct Builder {
    config: Config,
    data_dir: Option<PathBuf>,
    registry: Option<prometheus::Registry>,
    system_gauges: bool,
}

impl Builder {
    /// Runs on this configuration, but for its listeners and data directory, which are the program's own affair.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Remembers in this directory, over restarts: sessions, event ids, what every series has counted. Without one,
    /// memory alone remembers.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Shows the same metrics in an application's own registry, through opentelemetry-prometheus.
    ///
    /// There counters and histograms begin anew with each process, as those of the application do; what they had counted
    /// before a restart is shown by the bridge's own ways out only.
    #[must_use]
    pub fn with_registry(mut self, registry: prometheus::Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Shows CPU, memory, disk and uptime of the machine (`mcp_hub_cpu_usage_percent` and its like), sampled on a thread
    /// of its own as the configuration's `system` says. The binary asks for them; a program that has them from
    /// elsewhere need not.
    #[must_use]
    pub fn system_gauges(mut self) -> Self {
        self.system_gauges = true;
        self
    }

    /// Sets an attribute of the resource, such as `service.name`.
    #[must_use]
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.resource.push((key.into(), value.into()));
        self
    }

    /// Pushes metrics and spans to an OpenTelemetry collector at this URL, with the standard's defaults.
    #[must_use]
    pub fn otlp_endpoint(mut self, url: impl Into<String>) -> Self {
        let otlp = Otlp::new(url);
        self.config.push_metrics = Some(PushMetrics::new(otlp.clone()));
        self.config.push_spans = Some(PushSpans::new(otlp));
        self
    }

    /// Builds the bridge and starts its writer and its push.
    ///
    /// # Errors
    ///
    /// When the data directory cannot be used, the registry holds another exporter, or an endpoint, a header or a
    /// certificate of the push is wrong.
    pub fn build(self) -> Result<Bridge, BuildError> {
        let Self { config, data_dir, registry, system_gauges } = self;
        let mut state = State::open(data_dir.as_deref(), &config)?;
        let resource = resource(&state.instance_id(instance_id)?, &config.resource);
        let telemetry = Arc::new(Telemetry::new(
            resource.clone(),
            &config.metrics,
            &config.views,
            config.exemplar_filter,
            registry,
        )?);
        restore_series(&mut state, &telemetry)?;
        telemetry.instrument(&BRIDGE_BUILD_INFO).set(&[env!("CARGO_PKG_VERSION"), env!("BUILT_WITH_RUSTC")], 1.0);
        let [name, version] = app(&config.app, telemetry.resource());
        telemetry.instrument(&MCP_HUB_APP_INFO).set(&[name.as_str(), version.as_str()], 1.0);

        let shared = Arc::new(Shared::new());
        let (queue, commands) = sync_channel(QUEUE_MESSAGES);
        let push_stats = Arc::new(PushStats::new(&telemetry));
        let shelf = WriterShelf::new(&state.outbox, state.push_base()?, Arc::clone(&shared), queue.clone());
        let push = start_push(&config, &telemetry, Arc::new(shelf), push_stats.clone())?;
        let mut tracer_provider =
            SdkTracerProvider::builder().with_resource(resource).with_sampler(sdk_sampler(config.sampler));
        if let Some(processor) = push.as_ref().and_then(Push::span_processor) {
            tracer_provider = tracer_provider.with_span_processor(processor);
        }

        let mut writer = Writer {
            state,
            recorder: Recorder::new(&telemetry, EventTracer::new(config.sampler)),
            ledger: Ledger::new(&telemetry),
            telemetry: Arc::clone(&telemetry),
            spans: push.as_ref().and_then(Push::spans),
            push_stats,
            shared: Arc::clone(&shared),
            ready: telemetry.instrument(&BRIDGE_READY),
            stale: false,
            refused_events: 0,
        };
        // Before anyone can look: the first scrape shows what is remembered.
        writer.restore();
        let writer = std::thread::Builder::new()
            .name("mcp-otel-writer".to_owned())
            .spawn(move || writer.run(&commands))
            .map_err(BuildError::Thread)?;
        let door = Door::new(queue, Arc::clone(&shared), config.limits.queue_events);
        let breakers = Registry::new(config.metrics.series_limit);
        let exposed = Exposed::new(&telemetry, config.metrics.enabled);
        let sampler = if system_gauges { sample(&config, &telemetry, data_dir) } else { None };
        Ok(Bridge(Arc::new(Inner {
            config,
            telemetry,
            door,
            shared,
            writer: Mutex::new(Some(writer)),
            push,
            tracer_provider: tracer_provider.build(),
            exposed,
            sampler,
            breakers,
        })))
    }
}

/// The name and version of the application: as configured, else the resource's.
fn app(app: &App, resource: &Resource) -> [Label; 2] {
    [(&app.name, "service.name"), (&app.version, "service.version")].map(|(configured, attribute)| {
        let value = match configured {
            Some(value) => value.clone(),
            None => resource.get(&Key::from_static_str(attribute)).map_or_else(String::new, |value| value.to_string()),
        };
        Label::lossy(&value)
    })
}

/// Starts to sample the machine, where the configuration does not forbid it. The bridge works without.
fn sample(config: &Config, telemetry: &Arc<Telemetry>, data_dir: Option<PathBuf>) -> Option<Sampler> {
    if !config.system.enabled || !config.metrics.groups.contains(&Group::McpHub) {
        return None;
    }
    let dir = data_dir.unwrap_or_else(|| PathBuf::from("."));
    Sampler::start(telemetry, dir, config.system.interval)
        .inspect_err(|error| tracing::warn!(%error, "the machine is not measured: its thread could not be started"))
        .ok()
}

fn start_push(
    config: &Config,
    telemetry: &Arc<Telemetry>,
    shelf: Arc<dyn Shelf>,
    stats: Arc<PushStats>,
) -> Result<Option<Push>, PushError> {
    if config.push_metrics.is_none() && config.push_spans.is_none() {
        return Ok(None);
    }
    let pushed = [(Signal::Metrics, config.push_metrics.is_some()), (Signal::Spans, config.push_spans.is_some())];
    pushed.into_iter().filter(|(_, on)| *on).for_each(|(signal, _)| stats.pushed(signal));
    let push = Push::start(PushParts {
        resource: telemetry.resource().clone(),
        metrics: config.push_metrics.clone(),
        spans: config.push_spans.clone(),
        collect: telemetry.collector(),
        decorate: telemetry.clone(),
        shelf,
        stats,
    })?;
    Ok(Some(push))
}
