//! Holds the walls of the workspace: which crate may know which, and who may touch the heavy libraries.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Our crates and what each may depend on (DESIGN 2: arrows only run down).
const ARROWS: &[(&str, &[&str])] = &[
    ("celldag-cache", &[]),
    ("celldag-data", &[]),
    ("celldag-shaders", &[]),
    ("celldag-engine", &["celldag-cache"]),
    ("celldag-export", &["celldag-engine"]),
    ("celldag-report", &["celldag-engine"]),
    ("celldag-models", &["celldag-data", "celldag-shaders"]),
    ("celldag-nodes", &["celldag-engine", "celldag-models", "celldag-data", "celldag-shaders"]),
    (
        "celldag",
        &[
            "celldag-cache",
            "celldag-data",
            "celldag-engine",
            "celldag-export",
            "celldag-models",
            "celldag-nodes",
            "celldag-report",
            "celldag-shaders",
        ],
    ),
];

/// Libraries that only one crate may name.
const OWNERS: &[(&str, &str)] =
    &[("wgpu", "celldag-shaders"), ("hdf5-metno", "celldag-data"), ("serde-saphyr", "celldag-engine")];

fn metadata() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn dependencies(package: &Value) -> impl Iterator<Item = (&str, bool)> {
    package["dependencies"].as_array().into_iter().flatten().filter_map(|dependency| {
        let dev = dependency["kind"].as_str() == Some("dev");
        Some((dependency["name"].as_str()?, dev))
    })
}

#[test]
fn arrows_only_run_down() {
    let metadata = metadata();
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let packages = metadata["packages"].as_array().expect("packages");
    assert_eq!(packages.len(), ARROWS.len(), "a crate was added or removed: say in ARROWS what it may know");
    for package in packages {
        let name = package["name"].as_str().expect("name");
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in ARROWS"));
        for (dependency, _) in dependencies(package).filter(|(d, _)| d.starts_with("celldag")) {
            assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn heavy_libraries_have_one_owner() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        for (dependency, _) in dependencies(package).filter(|(_, dev)| !dev) {
            if let Some((_, owner)) = OWNERS.iter().find(|(library, _)| *library == dependency) {
                assert_eq!(name, *owner, "only {owner} may name {dependency}");
            }
        }
    }
}

#[test]
fn the_engine_compiles_neither_wgpu_nor_hdf5() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "celldag-engine", "-e", "normal,build", "--prefix", "none", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    for heavy in ["wgpu", "hdf5", "gemm"] {
        assert!(!tree.lines().any(|line| line.starts_with(heavy)), "celldag-engine pulls in {heavy}");
    }
}

#[test]
fn the_top_level_is_the_users_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let expected = ["cache", "docs", "engine", "nodes", "pipelines", "shaders", "tests"];
    let output = Command::new("git").args(["ls-files"]).current_dir(&root).output();
    let Ok(output) = output else {
        println!("SKIP git is not here: cannot list the files of the repository");
        return;
    };
    if !output.status.success() {
        println!("SKIP not a git checkout");
        return;
    }
    let files = String::from_utf8_lossy(&output.stdout).into_owned();
    for folder in files.lines().filter_map(|line| line.split_once('/').map(|(folder, _)| folder)) {
        assert!(
            folder.starts_with('.') || expected.contains(&folder),
            "unexpected top-level folder {folder}/"
        );
    }
}
