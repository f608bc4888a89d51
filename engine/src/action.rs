//! The action: everything that may influence the bytes of a job's result, in one canonical structure.
//!
//! The key is a hash of the action, and the executor builds the [`crate::Step`] from the action (plus perf
//! parameters), so a field cannot reach a node without being in its key. What is not here (node name, paths, times,
//! resources, the program's version) cannot make a result stale.

mod canonical;
mod lineage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kind::{KindSpec, OutPort};
use crate::param::{ParamClass, Params};
use crate::part::{self, Shard};
use crate::pipeline::Job;

pub use canonical::{canonical_json, normalise};
pub(crate) use lineage::{Above, lineage, skeleton, told};

/// Version of the encoding; part of every key.
pub const ACTION_SCHEMA: &str = "celldag.action/1";

/// Backend, adapter and driver, for keys under `numerics: strict`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceIdentity {
    /// `gpu` or `cpu`.
    pub backend: String,
    /// Name of the adapter.
    pub adapter: String,
    /// Driver with its version.
    pub driver: String,
}

/// What the key says about the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numerics {
    /// The first published result wins, whatever computed it.
    Tolerant,
    /// Results of different devices are different results.
    Strict(DeviceIdentity),
}

/// One artifact on an input port: only its label and its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionInput {
    /// Label of a gathered artifact; empty for a single one.
    pub label: String,
    /// BLAKE3 of the content, hex.
    pub digest: String,
}

/// An output port: its type and the file name that says the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionOutput {
    /// Artifact type.
    #[serde(rename = "type")]
    pub ty: String,
    /// File name in the sandbox.
    pub file: String,
}

/// Everything that may influence a result. Build it with [`Action::new`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// [`ACTION_SCHEMA`].
    pub schema: String,
    /// Kind name.
    pub kind: String,
    /// Epoch of the kind.
    pub epoch: u32,
    /// Epochs of the parts of the kind that the parameters choose ([`crate::Kind::parts`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, u32>,
    /// What identifies a program that is not celldag itself ([`crate::Kind::program`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub program: BTreeMap<String, String>,
    /// Parameters of class `result`, defaults written out, values normalised by their type.
    pub params: BTreeMap<String, Value>,
    /// Port → artifacts, sorted by label.
    pub inputs: BTreeMap<String, Vec<ActionInput>>,
    /// Port → type and format.
    pub outputs: BTreeMap<String, ActionOutput>,
    /// Which shard of the whole this is (`3/32`), whose output is then its part; none is the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// What the key says about the device.
    pub numerics: Numerics,
    /// `salt:` of the pipeline.
    pub salt: String,
    /// Upstream nodes and facts, for kinds that want them; `Null` otherwise.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub lineage: Value,
    /// Seed of the step, hex. A function of kind, parameters and inputs: not of the salt and the device, which ask
    /// for the same result again and must not draw other random numbers.
    pub seed: String,
}

impl Action {
    /// The action of `job` on the given input contents.
    #[must_use]
    pub fn new(
        job: &Job,
        mut inputs: BTreeMap<String, Vec<ActionInput>>,
        numerics: Numerics,
        salt: &str,
        lineage: Value,
    ) -> Self {
        let spec = &job.kind.spec;
        let params = spec
            .params
            .iter()
            .filter(|param| param.class == ParamClass::Result)
            .map(|param| {
                let value = job.params.get(param.name).or(param.default.as_ref()).unwrap_or(&Value::Null);
                (param.name.to_owned(), normalise(value, &param.ty))
            })
            .collect();
        for list in inputs.values_mut() {
            list.sort();
        }
        let mut action = Self {
            schema: ACTION_SCHEMA.to_owned(),
            kind: spec.name.to_owned(),
            epoch: spec.epoch,
            parts: job.kind.kind.parts(&job.params),
            program: BTreeMap::new(),
            params,
            inputs,
            outputs: outputs(spec),
            shard: None,
            numerics: if spec.uses_device { numerics } else { Numerics::Tolerant },
            salt: salt.to_owned(),
            lineage,
            seed: String::new(),
        };
        action.seed = blake3::Hash::from_bytes(action.derive_seed()).to_hex().to_string();
        match job.portion.shard() {
            Some(shard) => action.of_shard(shard),
            None => action,
        }
    }

    /// The same action, done by this program.
    #[must_use]
    pub fn by(self, program: BTreeMap<String, String>) -> Self {
        Self { program, ..self }
    }

    /// One shard of this action. It draws the same random numbers.
    #[must_use]
    pub(crate) fn of_shard(self, shard: Shard) -> Self {
        let outputs = BTreeMap::from([(part::PART.to_owned(), part::output())]);
        Self { shard: Some(shard.to_string()), outputs, ..self }
    }

    /// The action that this one is a shard of, with the outputs of its kind.
    #[must_use]
    pub(crate) fn whole(&self, spec: &KindSpec) -> Self {
        Self { shard: None, outputs: outputs(spec), ..self.clone() }
    }

    /// The action as JSON with sorted keys.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // A structure of strings, numbers and JSON values with text keys always has a JSON form.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// The bytes that are hashed into the key.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical_json(&self.to_value())
    }

    /// Reads an action that a record or a run has stored; `None` when it has another schema or shape.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let action: Self = serde_json::from_value(value.clone()).ok()?;
        (action.schema == ACTION_SCHEMA).then_some(action)
    }

    /// The seed of the step as bytes.
    #[must_use]
    pub fn seed_bytes(&self) -> [u8; 32] {
        blake3::Hash::from_hex(&self.seed).map_or_else(|_| self.derive_seed(), |hash| *hash.as_bytes())
    }

    /// The parameters that the executor hands to the kind: those of the action, plus the job's perf parameters.
    #[must_use]
    pub fn step_params(&self, job: &Job) -> Params {
        let mut all: Map<String, Value> = self.params.clone().into_iter().collect();
        for param in job.kind.spec.params.iter().filter(|param| param.class == ParamClass::Perf) {
            let value = job.params.get(param.name).or(param.default.as_ref()).unwrap_or(&Value::Null);
            all.insert(param.name.to_owned(), normalise(value, &param.ty));
        }
        Params(all)
    }

    fn derive_seed(&self) -> [u8; 32] {
        let text = canonical_json(&serde_json::json!({
            "kind": self.kind,
            "params": self.params,
            "inputs": self.inputs,
        }));
        blake3::derive_key("celldag 2026 seed of a step", text.as_bytes())
    }
}

fn outputs(spec: &KindSpec) -> BTreeMap<String, ActionOutput> {
    let output = |port: &OutPort| ActionOutput { ty: port.ty.name.to_owned(), file: port.file.to_owned() };
    spec.outputs.iter().map(|port| (port.name.to_owned(), output(port))).collect()
}
