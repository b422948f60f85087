//! The gauges of the machine against what `/proc`, the cgroup's files and `df` say; the application's name and version.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use mcp_otel_bridge::Bridge;
use mcp_otel_bridge::catalog::Group;
use mcp_otel_bridge::config::{App, Config, Metrics, System};
use support::events::until;
use support::samples::Samples;

const GAUGES: [&str; 6] = [
    "mcp_hub_cpu_usage_percent",
    "mcp_hub_memory_usage_percent",
    "mcp_hub_memory_available_bytes",
    "mcp_hub_disk_usage_percent",
    "mcp_hub_disk_free_bytes",
    "mcp_hub_uptime_seconds",
];

/// A bridge that has taken its first whole sample.
fn sampled(config: Config) -> Bridge {
    let bridge = Bridge::builder().config(config).system_gauges().build().unwrap();
    until("the first sample is there", || Samples::of(&bridge).find(GAUGES[0]).is_some());
    bridge
}

#[test]
fn every_gauge_is_there_soon_after_the_start_and_in_range() {
    let samples = Samples::of(&sampled(Config::default()));
    for gauge in GAUGES {
        let value = samples.get(gauge);
        assert!(value >= 0.0, "{gauge} is {value}");
        assert!(!gauge.ends_with("percent") || value <= 100.0, "{gauge} is {value}");
    }
    assert!(samples.get("mcp_hub_uptime_seconds") < 20.0);
}

#[test]
fn samples_go_on_at_the_interval() {
    let system = System { interval: Duration::from_millis(200), ..System::default() };
    let bridge = sampled(Config { system, ..Config::default() });
    let uptime = || Samples::of(&bridge).get("mcp_hub_uptime_seconds");
    let first = uptime();
    until("two more samples are taken", || uptime() >= first + 0.4);
}

#[test]
fn nothing_is_sampled_unless_asked_for_or_where_it_is_turned_off() {
    let off = Config { system: System { enabled: false, ..System::default() }, ..Config::default() };
    let groups = Group::ALL.into_iter().filter(|group| *group != Group::McpHub).collect();
    let no_group = Config { metrics: Metrics { groups, ..Metrics::default() }, ..Config::default() };
    let bridges = [
        Bridge::builder(),
        Bridge::builder().config(off).system_gauges(),
        Bridge::builder().config(no_group).system_gauges(),
    ]
    .map(|builder| builder.build().unwrap());
    // Another bridge has its samples meanwhile.
    sampled(Config::default());
    for bridge in bridges {
        let samples = Samples::of(&bridge);
        assert!(GAUGES.iter().all(|gauge| samples.find(gauge).is_none()), "{:?}", samples.named(&["mcp_hub"]));
    }
}

#[test]
fn the_application_is_named_as_configured_or_as_the_resource() {
    let info = |config: Config, attributes: &[(&str, &str)]| {
        let builder = attributes
            .iter()
            .fold(Bridge::builder().config(config), |builder, (key, value)| builder.resource_attribute(*key, *value));
        Samples::of(&builder.build().unwrap()).named(&["mcp_hub_app_info"])
    };
    let is = |name: &str, version: &str| {
        let key = format!("mcp_hub_app_info{{name=\"{name}\",version=\"{version}\"}}");
        std::collections::BTreeMap::from([(key, 1.0)])
    };
    assert_eq!(info(Config::default(), &[]), is("mcp-otel-bridge", env!("CARGO_PKG_VERSION")));
    assert_eq!(info(Config::default(), &[("service.name", "hub"), ("service.version", "2")]), is("hub", "2"));
    let app = App { name: Some("my hub".to_owned()), version: Some("3".to_owned()) };
    let config = Config { app, ..Config::default() };
    assert_eq!(info(config, &[("service.name", "hub")]), is("my hub", "3"));
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// A field of /proc/meminfo, in bytes.
    fn meminfo(name: &str) -> f64 {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// The memory limit of this process's cgroup, where its files are in their usual places.
    fn limit() -> Option<f64> {
        let cgroups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let limits = cgroups.lines().flat_map(|line| {
            let path = line.rsplit(':').next().unwrap().to_owned();
            let files = ["/sys/fs/cgroup{}/memory.max", "/sys/fs/cgroup/memory{}/memory.limit_in_bytes"];
            let levels: Vec<_> = Path::new(&path).ancestors().map(|level| level.display().to_string()).collect();
            levels.into_iter().flat_map(move |level| files.map(|file| file.replace("{}", level.trim_end_matches('/'))))
        });
        let read = limits.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
        read.min_by(f64::total_cmp)
    }

    #[test]
    fn memory_is_what_the_system_tells_within_the_cgroup_s_limit() {
        let samples = Samples::of(&sampled(Config::default()));
        let (total, available) = (meminfo("MemTotal:"), meminfo("MemAvailable:"));
        let (percent, left) =
            (samples.get("mcp_hub_memory_usage_percent"), samples.get("mcp_hub_memory_available_bytes"));
        match limit().filter(|limit| *limit < total) {
            Some(limit) => {
                assert!(left <= limit, "{left} of {limit}");
                assert!(left + limit * percent / 100.0 <= limit * 1.01, "{left} left, {percent} % of {limit}");
            }
            None => {
                assert!((left - available).abs() < total / 10.0, "{left}, and the system tells {available}");
                let expected = 100.0 * (total - available) / total;
                assert!((percent - expected).abs() < 10.0, "{percent}, and the system tells {expected}");
            }
        }
    }

    #[test]
    fn the_disk_is_that_of_the_data_directory_as_df_tells_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let bridge = Bridge::builder().data_dir(dir.path()).system_gauges().build().unwrap();
        until("the first sample is there", || Samples::of(&bridge).find("mcp_hub_disk_free_bytes").is_some());
        let output = Command::new("df").args(["-B1", "--output=avail,pcent"]).arg(dir.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut fields = text.lines().nth(1).unwrap().split_whitespace();
        let mut field = || fields.next().unwrap().trim_end_matches('%').parse::<f64>().unwrap();
        let (left, percent) = (field(), field());
        let samples = Samples::of(&bridge);
        let found = (samples.get("mcp_hub_disk_free_bytes"), samples.get("mcp_hub_disk_usage_percent"));
        // Others write meanwhile, and df rounds up.
        assert!((found.0 - left).abs() < left / 10.0 + 1e9, "{found:?}, and df tells {left}");
        assert!((found.1 - percent).abs() < 5.0, "{found:?}, and df tells {percent}");
    }

    #[test]
    fn a_machine_at_work_is_not_idle() {
        let system = System { interval: Duration::from_millis(200), ..System::default() };
        let bridge = sampled(Config { system, ..Config::default() });
        let mut sink = 0_u64;
        until("the work is seen", || {
            (0..2_000_000_u64).for_each(|number| sink = std::hint::black_box(sink ^ number));
            Samples::of(&bridge).get("mcp_hub_cpu_usage_percent") > 1.0
        });
    }
}
