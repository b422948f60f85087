//! The limits that the process's cgroup sets, in versions 1 and 2, and how much of them is used.
//!
//! A limit may stand at any level from the process's own cgroup up to the mount; the tightest one holds. What the
//! files say is parsed by functions of text alone.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version 1 has no word for "no limit": it says the largest multiple of a page instead.
const NO_LIMIT: u64 = 1 << 60;

/// Where the controllers of the process's cgroup are.
#[derive(Debug, Default)]
pub(super) struct Cgroup {
    memory: Option<Controller>,
    cpu: Option<Controller>,
    /// The times that `cpu` limits, where version 1 keeps them apart.
    cpu_times: Option<Controller>,
}

/// A controller: where it is mounted, and the process's cgroup below that.
#[derive(Debug, Clone, PartialEq)]
struct Controller {
    version: Version,
    mount: PathBuf,
    below: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Version {
    One,
    Two,
}

/// A limit of memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MemoryLimit {
    /// What may be used, in bytes.
    pub(super) limit: u64,
    /// What is used of it, in bytes, without what the kernel can take back at once.
    pub(super) used: u64,
}

/// A limit of CPU time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CpuLimit {
    /// The cgroup that sets it.
    pub(super) cgroup: PathBuf,
    /// As many CPUs' time may be used.
    pub(super) cpus: f64,
    /// The CPU time that was used so far.
    pub(super) used: Duration,
}

impl Cgroup {
    /// The cgroup of this process; without limits where there are no cgroups.
    pub(super) fn of_this_process() -> Self {
        let read = |name: &str| read_to_string(Path::new("/proc/self").join(name)).unwrap_or_default();
        let (cgroups, mounts) = (read("cgroup"), read("mountinfo"));
        Self {
            memory: controller("memory", &cgroups, &mounts),
            cpu: controller("cpu", &cgroups, &mounts),
            cpu_times: controller("cpuacct", &cgroups, &mounts),
        }
    }

    /// The tightest limit of memory: the one that leaves the least.
    pub(super) fn memory(&self) -> Option<MemoryLimit> {
        let controller = self.memory.as_ref()?;
        let limits = controller.levels().filter_map(|level| {
            let file = |name: &str| read_to_string(controller.mount.join(level).join(name)).ok();
            let (limit, used, reclaimable) = match controller.version {
                Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
                Version::Two => ("memory.max", "memory.current", "inactive_file"),
            };
            let limit = memory_limit(&file(limit)?)?;
            let used: u64 = file(used)?.trim().parse().ok()?;
            let reclaimable = file("memory.stat").and_then(|stat| counter(&stat, reclaimable)).unwrap_or(0);
            Some(MemoryLimit { limit, used: used.saturating_sub(reclaimable) })
        });
        limits.min_by_key(|memory| memory.limit.saturating_sub(memory.used))
    }

    /// The tightest limit of CPU time.
    pub(super) fn cpu(&self) -> Option<CpuLimit> {
        let controller = self.cpu.as_ref()?;
        let limits = controller.levels().filter_map(|level| {
            let cgroup = controller.mount.join(level);
            let file = |name: &str| read_to_string(cgroup.join(name)).ok();
            let (cpus, used) = match controller.version {
                Version::One => {
                    let cpus = quota(&file("cpu.cfs_quota_us")?, &file("cpu.cfs_period_us")?)?;
                    let times = self.cpu_times.as_ref()?.mount.join(level).join("cpuacct.usage");
                    (cpus, Duration::from_nanos(read_to_string(times).ok()?.trim().parse().ok()?))
                }
                Version::Two => {
                    let limit = file("cpu.max")?;
                    let (most, period) = limit.trim().split_once(' ')?;
                    (quota(most, period)?, Duration::from_micros(counter(&file("cpu.stat")?, "usage_usec")?))
                }
            };
            Some(CpuLimit { cgroup, cpus, used })
        });
        limits.min_by(|one, other| one.cpus.total_cmp(&other.cpus))
    }
}

impl Controller {
    /// The cgroups from the process's own up to the mount, each below the mount.
    fn levels(&self) -> impl Iterator<Item = &Path> {
        self.below.ancestors()
    }
}

/// Where a controller is, by what `/proc/self/cgroup` and `/proc/self/mountinfo` say.
///
/// Where both versions are mounted, a controller belongs to version 1 or to none: version 2 has only what is left.
fn controller(name: &str, cgroups: &str, mounts: &str) -> Option<Controller> {
    let mut two = None;
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if names.split(',').any(|known| known == name) {
            return mounted(mounts, path, Version::One, |options| options.split(',').any(|option| option == name));
        }
        if hierarchy == "0" {
            two = mounted(mounts, path, Version::Two, |_| true);
        }
    }
    two
}

fn mounted(mounts: &str, path: &str, version: Version, is_of: impl Fn(&str) -> bool) -> Option<Controller> {
    let kind = match version {
        Version::One => "cgroup",
        Version::Two => "cgroup2",
    };
    mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let mut source = source.split(' ');
        let (found, options) = (source.next()?, source.nth(1)?);
        if found != kind || !is_of(options) {
            return None;
        }
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        // What is mounted may be part of the whole; a cgroup outside of that part cannot be seen, only the part.
        let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        let is_plain = below.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let below = if is_plain { below.to_owned() } else { PathBuf::new() };
        Some(Controller { version, mount: point.into(), below })
    })
}

/// A limit in bytes, as `memory.max` and `memory.limit_in_bytes` write it.
fn memory_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

/// The CPUs' time that may be used, of a quota and a period in microseconds; `max` and -1 are no quota.
fn quota(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (u32, u32) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0 && period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// The number after `name` in a file of lines of a name and a number.
fn counter(stat: &str, name: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests;
