//! The processes that a program left behind. Only Linux can tell; elsewhere the process group has to do.

use rustix::process::Pid;

/// A process below us.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: Pid,
    pub(super) name: String,
}

/// Every process below this one, and every other one in `group`.
#[cfg(target_os = "linux")]
pub(super) fn below(group: Pid) -> Vec<Entry> {
    use std::collections::BTreeMap;

    struct Line {
        name: String,
        parent: i32,
        group: i32,
    }
    let mut table: BTreeMap<i32, Line> = BTreeMap::new();
    for entry in std::path::Path::new("/proc").read_dir().into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // `7 (a name) S 1 7 ...`; the name may hold anything, also brackets. Who is gone meanwhile is not listed.
        let Ok(text) = fs_err::read_to_string(entry.path().join("stat")) else { continue };
        let Some((before, after)) = text.rsplit_once(')') else { continue };
        let mut fields = after.split_whitespace();
        let (Some(state), Some(parent), Some(group)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        // A zombie holds nothing and cannot be killed; it waits for its parent.
        if matches!(state, "Z" | "X") {
            continue;
        }
        let name = before.split_once('(').map_or("", |(_, name)| name).to_owned();
        let (Ok(parent), Ok(group)) = (parent.parse(), group.parse()) else { continue };
        table.insert(pid, Line { name, parent, group });
    }
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let group = group.as_raw_nonzero().get();
    let is_below = |mut pid: i32| {
        // As long as the table: a loop in it can only come from a process number that was used again meanwhile.
        for _ in 0..table.len() {
            match table.get(&pid) {
                Some(line) if line.parent == own => return true,
                Some(line) => pid = line.parent,
                None => return false,
            }
        }
        false
    };
    let found = table.iter().filter(|(pid, line)| **pid != own && (line.group == group || is_below(**pid)));
    found
        .filter_map(|(pid, line)| Some(Entry { pid: Pid::from_raw(*pid)?, name: line.name.clone() }))
        .collect()
}

/// Without `/proc` only the group is known, and not who is in it.
#[cfg(not(target_os = "linux"))]
pub(super) fn below(group: Pid) -> Vec<Entry> {
    let lives = rustix::process::test_kill_process_group(group).is_ok();
    lives.then(|| Entry { pid: group, name: "a background process".to_owned() }).into_iter().collect()
}

/// Files below `folder` that a process holds open, relative to it.
pub(super) fn open_files(pid: Pid, folder: &std::path::Path) -> Vec<String> {
    let links = std::path::Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("fd");
    let mut open: Vec<String> = links
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs_err::read_link(entry.path()).ok())
        .filter_map(|file| Some(file.strip_prefix(folder).ok()?.display().to_string()))
        .collect();
    open.sort();
    open.dedup();
    open
}
