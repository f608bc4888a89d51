//! The processes that a program left behind. Only Linux can tell; elsewhere the process group has to do.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::Pid;

/// Where Linux shows its processes.
const PROC: &str = "/proc";

/// A process below us.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) pid: Pid,
    pub(super) name: String,
}

/// Every process below this one, and every other one in `group`.
#[cfg(target_os = "linux")]
pub(super) fn below(group: Pid) -> Vec<Entry> {
    let table = read();
    let own = own();
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
    let group = group.as_raw_nonzero().get();
    entries(table.iter().filter(|(pid, line)| **pid != own && (line.group == group || is_below(**pid))))
}

/// Every process in `group`, for those whose other children are not of it.
#[cfg(target_os = "linux")]
pub(super) fn within(group: Pid) -> Vec<Entry> {
    let group = group.as_raw_nonzero().get();
    entries(read().iter().filter(|(_, line)| line.group == group))
}

/// Without `/proc` only the group is known, and not who is in it.
#[cfg(not(target_os = "linux"))]
pub(super) fn below(group: Pid) -> Vec<Entry> {
    let lives = rustix::process::test_kill_process_group(group).is_ok();
    lives.then(|| Entry { pid: group, name: "a background process".to_owned() }).into_iter().collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) use below as within;

/// Whether the system shows its processes, so that an empty list means that there is none.
pub(super) fn shows_processes() -> bool {
    !cfg!(target_os = "linux") || Path::new(PROC).join("self").exists()
}

/// Processes that write to files below `folder`, whoever started them; with those files. This finds what left its group, but
/// only where the system shows it.
pub(super) fn writers(folder: &Path) -> Vec<(Entry, Vec<String>)> {
    let own = own();
    let others = read().into_iter().filter(|(pid, _)| *pid != own);
    others
        .filter_map(|(pid, line)| Some(Entry { pid: Pid::from_raw(pid)?, name: line.name }))
        .filter_map(|entry| {
            let files = open(entry.pid, folder, true)?;
            (!files.is_empty()).then_some((entry, files))
        })
        .collect()
}

/// Files below `folder` that a process holds open, relative to it. `None` when that cannot be told: the system does not show
/// it, or not to us.
pub(super) fn open_files(pid: Pid, folder: &Path) -> Option<Vec<String>> {
    open(pid, folder, false)
}

fn open(pid: Pid, folder: &Path, only_written: bool) -> Option<Vec<String>> {
    // The system names files by their real paths.
    let folder = fs_err::canonicalize(folder).ok()?;
    let process = Path::new(PROC).join(pid.as_raw_nonzero().to_string());
    let links = match process.join("fd").read_dir() {
        Ok(links) => links,
        // It has ended meanwhile.
        Err(_) if Path::new(PROC).join("self").exists() && !process.exists() => return Some(Vec::new()),
        Err(_) => return None,
    };
    let mut open: Vec<String> = links
        .flatten()
        .filter_map(|entry| Some((entry.file_name(), fs_err::read_link(entry.path()).ok()?)))
        .filter_map(|(number, file)| Some((number, file.strip_prefix(&folder).ok()?.display().to_string())))
        .filter(|(number, _)| !only_written || is_written(&process.join("fdinfo").join(number)))
        .map(|(_, file)| file)
        .collect();
    open.sort();
    open.dedup();
    Some(open)
}

/// Whether an open file was opened for more than reading: the lowest two bits of its flags, which are told in octal.
fn is_written(info: &Path) -> bool {
    let text = fs_err::read_to_string(info).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 3 != 0)
}

/// What is known of a process.
struct Line {
    name: String,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the group is known there"))]
    parent: i32,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the group is known there"))]
    group: i32,
}

/// All processes; none where there is no `/proc`.
fn read() -> BTreeMap<i32, Line> {
    let mut table = BTreeMap::new();
    for entry in Path::new(PROC).read_dir().into_iter().flatten().flatten() {
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
    table
}

#[cfg(target_os = "linux")]
fn entries<'a>(lines: impl Iterator<Item = (&'a i32, &'a Line)>) -> Vec<Entry> {
    lines
        .filter_map(|(pid, line)| Some(Entry { pid: Pid::from_raw(*pid)?, name: line.name.clone() }))
        .collect()
}

fn own() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
