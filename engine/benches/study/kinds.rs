//! Five kinds with the ports of a study, which write a line each.

use celldag_engine::{
    ArtifactType, InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Registry, Step,
};

struct Line(KindSpec);

impl Kind for Line {
    fn spec(&self) -> KindSpec {
        self.0.clone()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let mut text = format!("{} {}\n", self.0.name, serde_json::Value::Object(step.params.0.clone()));
        for (port, inputs) in step.inputs {
            for input in inputs {
                text += &format!("{port} {}\n", input.digest);
            }
        }
        for path in step.outputs.values() {
            fs_err::write(path, &text).map_err(|e| NodeError::failed(e.to_string()))?;
        }
        Ok(())
    }
}

/// `qc`, `tokenize`, `embed`, `train`, `evaluate`.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    let mut add = |name, inputs: &[&'static str], output, params| {
        let inputs = inputs
            .iter()
            .map(|&name| InPort { name, ty: ArtifactType::FILE, many: Multiplicity::One, about: "" })
            .collect();
        let outputs = vec![OutPort { name: output, ty: ArtifactType::FILE, file: "result.txt", about: "" }];
        registry.add(Line(KindSpec {
            name,
            epoch: 1,
            about: "",
            inputs,
            outputs,
            params,
            uses_device: false,
            wants_lineage: false,
        }));
    };
    let model = || Param::text("model", "");
    add("qc", &["cells"], "cells", vec![Param::int("min_genes", "").default(0)]);
    add("tokenize", &["cells", "checkpoint"], "tokens", vec![model()]);
    add("embed", &["tokens", "checkpoint"], "embedding", Vec::new());
    let train = vec![Param::text("strategy", ""), Param::int("fold", ""), Param::int("seed", "").default(0)];
    add("train", &["embedding", "cells"], "predictions", train);
    add("evaluate", &["predictions", "cells"], "report", Vec::new());
    registry
}
