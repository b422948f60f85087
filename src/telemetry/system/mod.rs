//! The gauges of the machine, set by a thread of its own: measuring it may wait for a disk, and a scrape must not.

mod cgroup;
mod machine;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::{Instrument, Telemetry};
use crate::catalog::metrics::{
    MCP_HUB_CPU_USAGE, MCP_HUB_DISK_FREE, MCP_HUB_DISK_USAGE, MCP_HUB_MEMORY_AVAILABLE, MCP_HUB_MEMORY_USAGE,
    MCP_HUB_UPTIME,
};
use machine::{Machine, Usage};

/// Samples the machine until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Sampler {
    stop: SyncSender<()>,
}

impl Sampler {
    /// Starts to sample: at once, then at every `interval`. The disk is the one that `dir` is on.
    ///
    /// # Errors
    ///
    /// When the system cannot start a thread.
    pub(crate) fn start(telemetry: &Arc<Telemetry>, dir: PathBuf, interval: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let gauges = Gauges::new(telemetry);
        std::thread::Builder::new()
            .name("mcp-otel-system".to_owned())
            .spawn(move || gauges.run(dir, interval, &stopped))?;
        Ok(Self { stop })
    }

    /// Takes no further samples. One that is under way is not waited for.
    pub(crate) fn stop(&self) {
        // A full channel means that it was told before, a closed one that it has stopped.
        let _ = self.stop.try_send(());
    }
}

#[derive(Debug)]
struct Gauges {
    telemetry: Arc<Telemetry>,
    cpu: Arc<Instrument>,
    memory: [Arc<Instrument>; 2],
    disk: [Arc<Instrument>; 2],
    uptime: Arc<Instrument>,
    since: Instant,
}

impl Gauges {
    fn new(telemetry: &Arc<Telemetry>) -> Self {
        Self {
            telemetry: Arc::clone(telemetry),
            cpu: telemetry.instrument(&MCP_HUB_CPU_USAGE),
            memory: [&MCP_HUB_MEMORY_USAGE, &MCP_HUB_MEMORY_AVAILABLE].map(|metric| telemetry.instrument(metric)),
            disk: [&MCP_HUB_DISK_USAGE, &MCP_HUB_DISK_FREE].map(|metric| telemetry.instrument(metric)),
            uptime: telemetry.instrument(&MCP_HUB_UPTIME),
            since: Instant::now(),
        }
    }

    fn run(&self, dir: PathBuf, interval: Duration, stopped: &Receiver<()>) {
        let Some(mut machine) = Machine::new(dir) else {
            tracing::warn!("the machine cannot be measured on this system; its gauges are not shown");
            return;
        };
        // The use of CPUs is a matter of two looks, the rest can be told at once.
        self.show(None, machine.memory(), machine.disk());
        let mut wait = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            self.show(Some(machine.cpu()), machine.memory(), machine.disk());
            wait = interval.max(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        }
    }

    fn show(&self, cpu: Option<f64>, memory: Option<Usage>, disk: Option<Usage>) {
        let _no_collection = self.telemetry.hold();
        if let Some(cpu) = cpu {
            self.cpu.set(&[], cpu);
        }
        for ([percent, left], usage) in [(&self.memory, memory), (&self.disk, disk)] {
            if let Some(usage) = usage {
                percent.set(&[], usage.percent);
                left.set(&[], usage.left as f64);
            }
        }
        self.uptime.set(&[], self.since.elapsed().as_secs_f64());
    }
}
