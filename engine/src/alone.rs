//! One kind on given files, without pipeline, store or key: what the kinds' own tests and benches use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Map, Value};

use crate::kind::Kind;
use crate::param::Params;
use crate::step::{Cancel, Input, NodeError, Progress, Step, Summary};

/// Drops everything it is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn total(&self, _units: u64, _what: &'static str) {}
    fn advance(&self, _units: u64) {}
}

/// Runs `kind` on `inputs` (port, label, path) with `with` over the defaults; outputs are written below `folder`.
/// Nothing is cached and digests of inputs are left empty. Returns the summary and the output paths by port.
///
/// # Errors
/// What the kind returns, or a missing required parameter.
pub fn run_alone(
    kind: &dyn Kind,
    with: Map<String, Value>,
    inputs: &[(&str, &str, &Path)],
    folder: &Path,
    device: &str,
) -> Result<(Summary, BTreeMap<String, PathBuf>), NodeError> {
    let spec = kind.spec();
    let mut resolved = with;
    for param in &spec.params {
        if !resolved.contains_key(param.name) {
            let default = param
                .default
                .clone()
                .ok_or_else(|| NodeError::parameter(format!("parameter `{}` must be given", param.name)))?;
            resolved.insert(param.name.to_owned(), default);
        }
    }
    let mut params = Params(resolved);
    if let Some((name, message)) = kind.check(&params).into_iter().next() {
        return Err(NodeError::parameter(format!("`{name}`: {message}")));
    }
    kind.resolve(&mut params);
    let mut ports: BTreeMap<String, Vec<Input>> = BTreeMap::new();
    for (port, label, path) in inputs {
        let input = Input { label: (*label).to_owned(), path: path.to_path_buf(), digest: String::new() };
        ports.entry((*port).to_owned()).or_default().push(input);
    }
    for list in ports.values_mut() {
        list.sort_by(|a, b| a.label.cmp(&b.label));
    }
    let scratch = folder.join("scratch");
    let io = |e: std::io::Error| NodeError::failed(e.to_string());
    fs_err::create_dir_all(&scratch).map_err(io)?;
    let outputs: BTreeMap<String, PathBuf> =
        spec.outputs.iter().map(|port| (port.name.to_owned(), folder.join(port.file))).collect();
    let summary = Mutex::new(Summary::default());
    kind.run(&Step {
        params: &params,
        inputs: &ports,
        outputs: &outputs,
        seed: [7; 32],
        device,
        threads: 2,
        memory_limit: None,
        scratch: &scratch,
        lineage: &Value::Null,
        offline: false,
        cancel: &Cancel::new(),
        progress: &Silent,
        summary: &summary,
    })?;
    let summary = summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((summary, outputs))
}
