use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::*;

/// Makes a file look settled: its modification time is set back, and the test waits for its change time.
fn settle(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.file().set_modified(SystemTime::now() - Duration::from_secs(100)).unwrap();
}

fn entries(log: &Path) -> usize {
    fs_err::read(log).map_or(0, |bytes| read_lines(&bytes).len())
}

#[test]
fn young_files_are_not_remembered_even_when_backdated() {
    let dir = tempfile::tempdir().unwrap();
    let (log, file) = (dir.path().join("log"), dir.path().join("a"));
    fs_err::write(&file, "one").unwrap();
    settle(&file);
    let memo = Memo::at(log.clone());
    assert_eq!(memo.digest(&file).unwrap(), (Digest::of_bytes(b"one"), 3));
    assert_eq!(entries(&log), 0);

    // The race that the rule is for: same size, same modification time, written at once afterwards.
    let times = fs_err::metadata(&file).unwrap().modified().unwrap();
    fs_err::write(&file, "two").unwrap();
    OpenOptions::new().write(true).open(&file).unwrap().file().set_modified(times).unwrap();
    assert_eq!(memo.digest(&file).unwrap().0, Digest::of_bytes(b"two"));
}

#[test]
fn settled_files_are_remembered_across_processes_and_changes_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (log, file) = (dir.path().join("memo/log"), dir.path().join("a"));
    fs_err::write(&file, "one").unwrap();
    settle(&file);
    std::thread::sleep(SETTLED + Duration::from_millis(100));
    Memo::at(log.clone()).digest(&file).unwrap();
    assert_eq!(entries(&log), 1);

    // Proof that the second memo takes the entry: a forged digest comes back.
    let real = fs_err::canonicalize(&file).unwrap();
    let forged = Digest::of_bytes(b"forged");
    let line = write_line(&real, &Stamp::of(&real).unwrap(), &forged).unwrap();
    OpenOptions::new().append(true).open(&log).unwrap().write_all(line.as_bytes()).unwrap();
    assert_eq!(Memo::at(log.clone()).digest(&file).unwrap().0, forged);

    // Same size and modification time, other content: the change time tells.
    let times = fs_err::metadata(&file).unwrap().modified().unwrap();
    fs_err::write(&file, "two").unwrap();
    OpenOptions::new().write(true).open(&file).unwrap().file().set_modified(times).unwrap();
    assert_eq!(Memo::at(log).digest(&file).unwrap().0, Digest::of_bytes(b"two"));
}

#[test]
fn torn_and_damaged_lines_are_skipped() {
    let stamp = Stamp { size: 1, mtime: 2, ctime: 3, inode: 4, device: 5 };
    let digest = Digest::of_bytes(b"x");
    let line = write_line(Path::new("/a b/\"ü\"\n"), &stamp, &digest).unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    assert_eq!(read_lines(line.as_bytes()).into_values().collect::<Vec<_>>(), [(stamp, digest)]);
    // (Without its line end alone the line is still whole.)
    for cut in 1..line.len() - 1 {
        let torn = format!("{}\n{line}", &line.get(..cut).unwrap_or_default());
        assert_eq!(read_lines(torn.as_bytes()).len(), 1, "cut at {cut}");
        assert!(read_line(line.get(..cut).unwrap_or_default()).is_none(), "cut at {cut}");
    }
}

#[test]
fn threads_agree() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a");
    fs_err::write(&file, vec![7_u8; 1 << 20]).unwrap();
    let memo = Memo::at(dir.path().join("log"));
    let expected = Digest::of_bytes(&vec![7_u8; 1 << 20]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(memo.digest(&file).unwrap().0, expected));
        }
    });
}

#[test]
fn writers_that_share_a_log_do_not_tear_each_others_lines() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let stamp = Stamp { size: 1, mtime: 2, ctime: 3, inode: 4, device: 5 };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            // A memo of its own has a file handle of its own, as in another process.
            let memo = Memo::at(log.clone());
            scope.spawn(move || {
                for i in 0..200 {
                    let path = PathBuf::from(format!("/{writer}/{i}/{}", "x".repeat(i)));
                    memo.remember(path, stamp, Digest::of_bytes(b"x"));
                }
            });
        }
    });
    assert_eq!(entries(&log), 800);
}

#[test]
fn hashing_a_folder_of_many_small_files_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs_err::create_dir(&folder).unwrap();
    for i in 0..50 {
        fs_err::write(folder.join(i.to_string()), "x").unwrap();
    }
    let store = Store::open(&dir.path().join("store"), crate::store::Options::default()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let store = store.until(move || counted.fetch_add(1, Ordering::Relaxed) >= 3);
    let stopped = store.digest_path(&folder, None);
    assert!(matches!(stopped, Err(crate::StoreError::Cancelled { .. })), "{stopped:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 4, "it went on after the answer");
}
