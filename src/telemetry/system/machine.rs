//! The machine as the process sees it: its own, or as much of it as its cgroup leaves.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sysinfo::System;

use super::cgroup::Cgroup;

/// What is used of something, in percent, and what is left, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) percent: f64,
    pub(super) left: u64,
}

/// Measures the machine.
#[derive(Debug)]
pub(super) struct Machine {
    system: System,
    cgroup: Cgroup,
    /// A directory on the disk in question.
    dir: PathBuf,
    /// The CPU time that the cgroup with the limit had used, and when.
    cpu_before: Option<(PathBuf, Duration, Instant)>,
}

impl Machine {
    /// Begins to measure; the disk is the one that `dir` is on. `None` on systems that cannot be measured.
    pub(super) fn new(dir: PathBuf) -> Option<Self> {
        let mut machine =
            Self { system: System::new().ok()?, cgroup: Cgroup::of_this_process(), dir, cpu_before: None };
        machine.cpu();
        Some(machine)
    }

    /// The CPU time that was used since the last call, in percent of all there was.
    pub(super) fn cpu(&mut self) -> f64 {
        self.system.refresh_cpu_usage();
        let cpus = self.system.cpus().len() as f64;
        let of_machine = f64::from(self.system.global_cpu_usage());
        let Some(limit) = self.cgroup.cpu().filter(|limit| limit.cpus < cpus) else {
            return of_machine.clamp(0.0, 100.0);
        };
        let now = Instant::now();
        let before = self.cpu_before.replace((limit.cgroup.clone(), limit.used, now));
        match before {
            Some((cgroup, used, at)) if cgroup == limit.cgroup && now > at => {
                let used = limit.used.saturating_sub(used).as_secs_f64();
                (100.0 * used / (limit.cpus * (now - at).as_secs_f64())).clamp(0.0, 100.0)
            }
            _ => 0.0,
        }
    }

    /// Memory, without what the kernel can take back at once.
    pub(super) fn memory(&mut self) -> Option<Usage> {
        self.system.refresh_memory();
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        match self.cgroup.memory().filter(|memory| memory.limit < total) {
            Some(memory) => {
                let usage = usage(memory.used, memory.limit)?;
                Some(Usage { left: usage.left.min(available), ..usage })
            }
            None => usage(total.saturating_sub(available), total),
        }
    }

    /// The disk, as `df` tells of it: what only root may use counts as neither used nor left.
    pub(super) fn disk(&self) -> Option<Usage> {
        let (used, left) = space(&self.dir)?;
        usage(used, used.saturating_add(left))
    }
}

/// What `used` is of `total`.
fn usage(used: u64, total: u64) -> Option<Usage> {
    let used = used.min(total);
    (total > 0).then(|| Usage { percent: 100.0 * used as f64 / total as f64, left: total - used })
}

/// The bytes that are used and those that can be, on the disk that `dir` is on.
#[cfg(unix)]
fn space(dir: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    Some((used.saturating_mul(disk.f_frsize), disk.f_bavail.saturating_mul(disk.f_frsize)))
}

#[cfg(not(unix))]
fn space(dir: &Path) -> Option<(u64, u64)> {
    let dir = dir.canonicalize().ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list().ok()?;
    let holds = disks.list().iter().filter(|disk| dir.starts_with(disk.mount_point()));
    let disk = holds.max_by_key(|disk| disk.mount_point().as_os_str().len())?;
    let left = disk.available_space();
    Some((disk.total_space().saturating_sub(left), left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_a_share_of_the_whole_and_never_more() {
        assert_eq!(usage(25, 100), Some(Usage { percent: 25.0, left: 75 }));
        assert_eq!(usage(150, 100), Some(Usage { percent: 100.0, left: 0 }));
        assert_eq!(usage(0, 0), None);
    }

    #[test]
    fn a_busy_process_is_seen() {
        let mut machine = Machine::new(std::env::temp_dir()).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < sysinfo::MINIMUM_CPU_UPDATE_INTERVAL * 2 {
            std::hint::spin_loop();
        }
        let cpu = machine.cpu();
        assert!(cpu > 1.0 && cpu <= 100.0, "{cpu}");
    }
}
