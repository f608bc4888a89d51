//! How much main memory jobs may ask for together: what the machine has, or what a container or Slurm has left of it.

use std::path::Path;

/// The smallest of the limits that are known; `None` where the system does not say (it does on Linux).
pub(crate) fn memory() -> Option<u64> {
    let read = |path: &str| fs_err::read_to_string(path).ok();
    let total = read("/proc/meminfo").and_then(|text| total(&text));
    let group = read("/proc/self/cgroup").and_then(|text| group_limit(&text, Path::new("/sys/fs/cgroup")));
    let slurm = slurm(&|name| std::env::var(name).ok());
    [total, group, slurm].into_iter().flatten().min()
}

/// `MemTotal` of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The smallest limit of the control groups that this process is in (`/proc/self/cgroup`), up to the root.
fn group_limit(text: &str, mount: &Path) -> Option<u64> {
    let limits = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let (root, file) = match controllers {
            "" => (mount.to_path_buf(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let group = root.join(group.trim_start_matches('/'));
        let folders = group.ancestors().take_while(|folder| folder.starts_with(&root));
        // `max`, and what is no number, is no limit.
        folders.filter_map(|folder| fs_err::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).min()
    });
    limits.min()
}

/// What Slurm has given on this node; its numbers are MiB.
fn slurm(env: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| env(name).and_then(|text| text.trim().parse::<u64>().ok()).filter(|n| *n > 0);
    let per_cpu = || number("SLURM_MEM_PER_CPU")?.checked_mul(number("SLURM_CPUS_ON_NODE")?);
    number("SLURM_MEM_PER_NODE").or_else(per_cpu)?.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_has() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16 << 20));
        assert_eq!(total("nothing"), None);
    }

    #[test]
    fn the_smallest_group_above_counts() {
        let mount = tempfile::tempdir().unwrap();
        let inner = mount.path().join("slurm/job_1");
        fs_err::create_dir_all(&inner).unwrap();
        fs_err::write(inner.join("memory.max"), "max\n").unwrap();
        fs_err::write(mount.path().join("slurm/memory.max"), "4096\n").unwrap();
        assert_eq!(group_limit("0::/slurm/job_1\n", mount.path()), Some(4096));
        assert_eq!(group_limit("0::/\n", mount.path()), None);
        let old = mount.path().join("memory/job");
        fs_err::create_dir_all(&old).unwrap();
        fs_err::write(old.join("memory.limit_in_bytes"), "8192\n").unwrap();
        assert_eq!(group_limit("4:cpu,memory:/job\n3:pids:/job\n", mount.path()), Some(8192));
    }

    #[test]
    fn slurm_counts_by_node_or_by_processor() {
        let with = |set: &[(&str, &str)]| {
            slurm(&|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(with(&[("SLURM_MEM_PER_NODE", "2048")]), Some(2 << 30));
        assert_eq!(with(&[("SLURM_MEM_PER_CPU", "1024"), ("SLURM_CPUS_ON_NODE", "4")]), Some(4 << 30));
        assert_eq!(with(&[("SLURM_MEM_PER_NODE", "0")]), None, "all of the node");
        assert_eq!(with(&[]), None);
    }
}
