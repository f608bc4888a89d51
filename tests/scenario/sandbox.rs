//! A throw-away folder with its own store, and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A folder that is gone after the test.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

/// What a finished command left.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs_err::write(&path, text).expect("file");
        path
    }

    /// The binary in this folder, with no setting of the developer's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_celldag"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for name in ["CELLDAG_CACHE", "CELLDAG_DEVICE", "RUST_LOG", "NO_COLOR"] {
            command.env_remove(name);
        }
        for name in ["CELLDAG_REMOTE", "CELLDAG_REMOTE_ROLE", "CELLDAG_REMOTE_TOKEN", "NETRC"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        let output = self.command(args).output().expect("the binary starts");
        Finished {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs and expects success.
    pub(crate) fn ok(&self, args: &[&str]) -> Finished {
        let finished = self.run(args);
        assert_eq!(finished.code, 0, "celldag {args:?}\n{}\n{}", finished.stdout, finished.stderr);
        finished
    }

    /// `celldag run --json ARGS`: nodes that were computed, in the order in which they ended.
    pub(crate) fn computed(&self, args: &[&str]) -> Vec<String> {
        let mut all = vec!["run", "--json", "--device", "cpu"];
        all.extend(args);
        self.ok(&all).events("finished").iter().map(|e| text(e, "node")).collect()
    }
}

impl Finished {
    /// The events of one name in the JSON lines on stdout.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["event"] == name)
            .collect()
    }
}

pub(crate) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Reference data outside of the repository; `None`, and a message, where it is absent on a user's machine.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let folder = match std::env::var_os("CELLDAG_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared"),
    };
    if folder.join("golden").is_dir() {
        return Some(folder.canonicalize().expect("fixtures"));
    }
    assert!(std::env::var("CI").is_err(), "CI needs the fixtures: set CELLDAG_FIXTURES");
    println!("SKIP no fixtures at {}: set CELLDAG_FIXTURES", folder.display());
    None
}

/// `--set` arguments that point a pipeline at the quickstart's cells and checkpoint.
pub(crate) fn quickstart_data() -> [String; 2] {
    let pipelines = repository().join("pipelines");
    [
        format!("cells={}", pipelines.join("data/pbmc68k_700.h5ad").display()),
        format!("checkpoint={}", pipelines.join("models/geneformer-mini").display()),
    ]
}

/// Copies the quickstart into a sandbox, so that its outputs and store stay there.
pub(crate) fn quickstart(sandbox: &Sandbox) -> Vec<String> {
    let text =
        fs_err::read_to_string(repository().join("pipelines/quickstart.yaml")).expect("quickstart.yaml");
    sandbox.write("quickstart.yaml", &text);
    let mut args = vec!["quickstart.yaml".to_owned()];
    for set in quickstart_data() {
        args.extend(["--set".to_owned(), set]);
    }
    args
}

/// Borrows strings for the functions above.
pub(crate) fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Output file → content digest, as the store computes it.
pub(crate) fn digests(folder: &Path) -> std::collections::BTreeMap<String, celldag_cache::Digest> {
    fs_err::read_dir(folder)
        .expect("outputs")
        .map(|entry| {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            (name, celldag_cache::digest_file(&path).expect("digest").0)
        })
        .collect()
}
