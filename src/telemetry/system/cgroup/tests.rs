//! Files as they were found in containers and on plain machines.

use super::*;

/// A container of Docker on version 2, in a namespace of its own.
const TWO: (&str, &str) =
    ("0::/\n", "1433 1432 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n");

/// A service of systemd on version 2.
const SERVICE: (&str, &str) = (
    "0::/system.slice/bridge.service\n",
    "25 31 0:23 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n\
     30 25 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
);

/// A container of Docker on version 1, without a namespace of its own.
const ONE: (&str, &str) = (
    "12:memory:/docker/3f2a\n11:cpu,cpuacct:/docker/3f2a\n1:name=systemd:/docker/3f2a\n0::/system.slice/x.service\n",
    "940 938 0:30 /docker/3f2a /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:11 - cgroup cgroup rw,cpu,cpuacct\n\
     944 938 0:34 /docker/3f2a /sys/fs/cgroup/memory ro,nosuid master:15 - cgroup cgroup rw,memory\n",
);

/// Both versions, each controller of version 1 mounted on its own.
const HYBRID: (&str, &str) = (
    "4:memory:/process_api/6755\n2:cpuacct:/\n1:cpu:/\n0::/\n",
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
     32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
     33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
     35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
);

fn found(name: &str, (cgroups, mounts): (&str, &str)) -> Option<(Version, String, String)> {
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    controller(name, cgroups, mounts).map(|found| (found.version, path(found.mount), path(found.below)))
}

#[test]
fn controllers_are_found_where_they_are_mounted() {
    let is = |version, mount: &str, below: &str| Some((version, mount.to_owned(), below.to_owned()));
    assert_eq!(found("memory", TWO), is(Version::Two, "/sys/fs/cgroup", ""));
    assert_eq!(found("cpu", SERVICE), is(Version::Two, "/sys/fs/cgroup", "system.slice/bridge.service"));
    assert_eq!(found("memory", ONE), is(Version::One, "/sys/fs/cgroup/memory", ""));
    assert_eq!(found("cpuacct", ONE), is(Version::One, "/sys/fs/cgroup/cpu,cpuacct", ""));
    assert_eq!(found("memory", HYBRID), is(Version::One, "/sys/fs/cgroup/memory", "process_api/6755"));
    assert_eq!(found("cpu", HYBRID), is(Version::One, "/sys/fs/cgroup/cpu", ""));
    assert_eq!(found("memory", ("", "")), None);
    assert_eq!(found("memory", (HYBRID.0, "")), None);
}

#[test]
fn a_cgroup_outside_of_what_is_mounted_is_seen_as_the_mount() {
    let outside = ("0::/../../other\n", TWO.1);
    assert_eq!(found("memory", outside), Some((Version::Two, "/sys/fs/cgroup".to_owned(), String::new())));
    let elsewhere = (ONE.0, "944 938 0:34 /docker/9999 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    assert_eq!(found("memory", elsewhere), Some((Version::One, "/sys/fs/cgroup/memory".to_owned(), String::new())));
}

#[test]
fn no_limit_is_written_in_three_ways() {
    assert_eq!(memory_limit("max\n"), None);
    assert_eq!(memory_limit("9223372036854771712\n"), None);
    assert_eq!(memory_limit("536870912\n"), Some(536_870_912));
    assert_eq!(quota("max", "100000"), None);
    assert_eq!(quota("-1\n", "100000\n"), None);
    assert_eq!(quota("150000", "100000\n"), Some(1.5));
    assert_eq!(quota("150000", "0"), None);
}

#[test]
fn counters_are_found_by_their_whole_names() {
    let stat = "cache 16384\ninactive_file 4096\ntotal_inactive_file 8192\nusage_usec 12 \n";
    assert_eq!(counter(stat, "inactive_file"), Some(4096));
    assert_eq!(counter(stat, "total_inactive_file"), Some(8192));
    assert_eq!(counter(stat, "usage_usec"), Some(12));
    assert_eq!(counter(stat, "inactive"), None);
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(dir).unwrap();
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

#[test]
fn the_tightest_limit_on_the_way_up_holds() {
    let root = tempfile::tempdir().unwrap();
    let (slice, own) = (root.path().join("a.slice"), root.path().join("a.slice/b.service"));
    write(&own, &[("memory.max", "max\n"), ("memory.current", "70\n"), ("cpu.max", "max 100000\n")]);
    write(
        &slice,
        &[
            ("memory.max", "1000\n"),
            ("memory.current", "300\n"),
            ("memory.stat", "anon 5\ninactive_file 100\n"),
            ("cpu.max", "50000 100000\n"),
            ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ],
    );
    let controller =
        Controller { version: Version::Two, mount: root.path().to_owned(), below: "a.slice/b.service".into() };
    let cgroup = Cgroup { memory: Some(controller.clone()), cpu: Some(controller), cpu_times: None };
    assert_eq!(cgroup.memory(), Some(MemoryLimit { limit: 1000, used: 200 }));
    assert_eq!(cgroup.cpu(), Some(CpuLimit { cgroup: slice, cpus: 0.5, used: Duration::from_millis(2500) }));
}

#[test]
fn version_one_keeps_cpu_times_apart() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| Controller { version: Version::One, mount: root.path().join(name), below: "x".into() };
    write(&root.path().join("cpu/x"), &[("cpu.cfs_quota_us", "200000\n"), ("cpu.cfs_period_us", "100000\n")]);
    write(&root.path().join("cpuacct/x"), &[("cpuacct.usage", "1500000000\n")]);
    write(
        &root.path().join("memory/x"),
        &[
            ("memory.limit_in_bytes", "1000\n"),
            ("memory.usage_in_bytes", "900\n"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 400\n"),
        ],
    );
    let cgroup = Cgroup { memory: Some(at("memory")), cpu: Some(at("cpu")), cpu_times: Some(at("cpuacct")) };
    assert_eq!(cgroup.memory(), Some(MemoryLimit { limit: 1000, used: 500 }));
    let cpu = cgroup.cpu().unwrap();
    assert_eq!((cpu.cpus, cpu.used), (2.0, Duration::from_millis(1500)));
}
