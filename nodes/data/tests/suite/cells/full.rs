//! Disks without room: every write that fails is an error with its reason, whatever byte it fails at, and the process
//! goes on. Each try is a process of its own, since what is tested for is a crash inside the HDF5 library.

#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use celldag_data::{CellsFile, Column, CountsSource, Csr, DataError, Dtype, H5adWriter, Table, WriteOptions};

const FOLDER: &str = "CELLDAG_DATA_TEST_FULL";
const CELLS: usize = 300;
const GENES: usize = 600;

fn names(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{prefix}{i}")).collect()
}

/// A file of half a megabyte that gzip cannot make much smaller.
fn write(path: &Path) -> Result<(), DataError> {
    // Whole numbers below 2²⁴ without a pattern (the finalizer of SplitMix64).
    let noise = |i: usize| {
        let z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 40) as f32
    };
    let mut obs = Table::new(names("cell", CELLS));
    obs.columns.insert("score".to_owned(), Column::Float((0..CELLS).map(|i| f64::from(noise(i))).collect()));
    let mut writer =
        H5adWriter::create(path, &obs, &Table::new(names("gene", GENES)), &WriteOptions::default())?;
    writer.begin_matrix("X", Dtype::F32)?;
    for part in 0..3 {
        let values: Vec<f32> = (0..CELLS / 3 * GENES).map(|i| noise(i + part * 1_000_003)).collect();
        writer.append(&Csr::from_dense(GENES, &values))?;
    }
    writer.obsm("X_m", 16, &(0..CELLS * 16).map(noise).collect::<Vec<f32>>())?;
    writer.uns_text("note", "text")?;
    writer.finish()
}

#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (folder, good) = (Path::new(&folder), std::env::var_os("CELLDAG_DATA_TEST_GOOD").unwrap());
    let path = folder.join("out.h5ad");
    match write(&path) {
        Ok(()) => assert!(CellsFile::open(&path).unwrap().read_counts(&CountsSource::Auto).is_ok()),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("File too large") || text.contains("No space left"), "{text}");
            assert_eq!(fs_err::read_dir(folder).unwrap().count(), 0, "something was left behind");
            println!("refused: {text}");
        }
    }
    // The library works on in this process.
    assert!(CellsFile::open(good).unwrap().read_counts(&CountsSource::Auto).is_ok());
    println!("child survived");
}

/// Runs `script` with the child as `"$@"`; whether its write was refused.
fn run(program: &[&str], script: &str, folder: &Path, good: &Path) -> bool {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(["sh", "-c", script, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "cells::full::child", "--nocapture"]);
    let output = command.env(FOLDER, folder).env("CELLDAG_DATA_TEST_GOOD", good).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && text.contains("child survived"),
        "{script}: {}\n{text}\n{errors}",
        output.status
    );
    text.contains("refused: ")
}

#[test]
fn a_limit_at_any_byte_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("good.h5ad");
    write(&good).unwrap();
    let blocks = fs_err::metadata(&good).unwrap().len().div_ceil(512) as usize;
    let step = (blocks / 24).max(1);
    let mut refused = 0;
    let limits = [0, 1, 2, 3, 4, 5, 6, 8, 12].into_iter().chain((16..blocks + 2 * step).step_by(step));
    for limit in limits {
        let folder = tempfile::tempdir_in(home.path()).unwrap();
        // Ignoring the signal turns it into an error of the write.
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
        refused += usize::from(run(&["env"], &script, folder.path(), &good));
    }
    assert!(refused >= 20, "only {refused} writes met the limit");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let (good, disk) = (home.path().join("good.h5ad"), home.path().join("disk"));
    write(&good).unwrap();
    fs_err::create_dir(&disk).unwrap();
    let program = ["unshare", "--mount", "--map-root-user"];
    let mount = |size: usize| format!("mount -t tmpfs -o size={size}k tmpfs '{}'", disk.display());
    let tried = Command::new(program[0]).args(&program[1..]).args(["sh", "-c", &mount(64)]).status();
    if !tried.is_ok_and(|status| status.success()) {
        println!("SKIP: this system lets nobody mount a small disk");
        return;
    }
    for size in [4, 16, 64, 128, 256, 400] {
        let script = format!("{} && exec \"$@\"", mount(size));
        assert!(run(&program, &script, &disk, &good), "{size} KiB are not enough");
    }
}
