//! A kind as a Snakemake wrapper in the published form: `celldag/KIND/{wrapper.py,meta.yaml,environment.yaml,test/Snakefile}`.

use celldag_engine::{KindSpec, Multiplicity, Registry};

use super::names::identifier;
use super::{params_yaml, quoted};
use crate::folder::Files;

/// The same program for every kind but for its name: it asks `celldag nodes` what the kind takes. Snakemake fetches a
/// wrapper as a single file, so each folder has its own.
const WRAPPER: &str = include_str!("assets/wrapper.py");

/// The wrappers of all kinds, and a page about how to use them.
#[must_use]
pub fn modules(registry: &Registry) -> Files {
    let mut files = Files::new();
    files.insert("README.md".into(), include_str!("assets/snakemake.md").to_owned());
    for kind in registry.iter() {
        let spec = &*kind.spec;
        let folder = format!("celldag/{}", spec.name);
        let wrapper = WRAPPER
            .replace("@KIND@", spec.name)
            .replace("@ABOUT@", &spec.about.trim_end_matches('.').replace(['\\', '"'], "'"));
        files.insert(format!("{folder}/wrapper.py").into(), wrapper);
        files.insert(format!("{folder}/meta.yaml").into(), meta(spec));
        files.insert(
            format!("{folder}/environment.yaml").into(),
            include_str!("assets/environment.yaml").to_owned(),
        );
        files.insert(format!("{folder}/test/Snakefile").into(), example(spec));
    }
    files
}

fn meta(spec: &KindSpec) -> String {
    let mut out = format!(
        "name: {}\ndescription: {}\nurl: {url}\nauthors:\n  - The celldag authors\ninput:\n",
        quoted(&format!("celldag {}", spec.name)),
        quoted(spec.about),
        url = quoted(env!("CARGO_PKG_REPOSITORY")),
    );
    for port in &spec.inputs {
        let many = match port.many {
            Multiplicity::One => "",
            Multiplicity::Optional => " (optional)",
            Multiplicity::Many => " (one or more; `input_labels` in `params` names them)",
        };
        out.push_str(&format!(
            "  - {}: {}\n",
            port.name,
            quoted(&format!("{}: {}{many}", port.ty, port.about))
        ));
    }
    out.push_str("output:\n");
    for port in &spec.outputs {
        let folder = if port.file.ends_with('/') { " (a folder: `directory(...)`)" } else { "" };
        out.push_str(&format!(
            "  - {}: {}\n",
            port.name,
            quoted(&format!("{}: {}{folder}", port.ty, port.about))
        ));
    }
    out.push_str(
        "  - summary: \"optional: key, facts, warnings and digests of the step as JSON\"\nparams:\n",
    );
    out.push_str(&params_yaml(spec, "  - "));
    out.push_str(
        "  - input_labels: \"labels of inputs that take many files: {port: [label, ...]}\"\n  - extra: \"further arguments of `celldag step`\"\n",
    );
    out.push_str(
        "notes: |\n  `celldag` must be on the PATH. With CELLDAG_CACHE set, results are taken from and kept in that store; without it,\n  nothing outlives the rule but its outputs.\n",
    );
    out
}

/// A rule that uses the wrapper, to be copied.
fn example(spec: &KindSpec) -> String {
    let mut out = format!(
        "# How a rule uses the wrapper: adapt the paths, and take out what is not needed.\nrule {}:\n    input:\n",
        identifier(&format!("celldag_{}", spec.name))
    );
    let mut labels = Vec::new();
    for port in &spec.inputs {
        let name = identifier(port.name);
        match port.many {
            Multiplicity::One => out.push_str(&format!("        {name}=\"{{sample}}/{}\",\n", port.name)),
            Multiplicity::Optional => {
                out.push_str(&format!("        # {name}=\"{{sample}}/{}\",\n", port.name));
            }
            Multiplicity::Many => {
                out.push_str(&format!(
                    "        {name}=[\"{{sample}}/{0}.0\", \"{{sample}}/{0}.1\"],\n",
                    port.name
                ));
                labels.push(format!("\"{}\": [\"fold=0\", \"fold=1\"]", port.name));
            }
        }
    }
    out.push_str("    output:\n");
    for port in &spec.outputs {
        let name = identifier(port.name);
        let path = format!("\"{{sample}}/{}/{}\"", spec.name, port.file.trim_end_matches('/'));
        let path = if port.file.ends_with('/') { format!("directory({path})") } else { path };
        out.push_str(&format!("        {name}={path},\n"));
    }
    out.push_str("    params:\n");
    for param in spec.params.iter().filter(|param| param.default.is_none()) {
        out.push_str(&format!("        {}=\"...\",\n", identifier(param.name)));
    }
    if !labels.is_empty() {
        out.push_str(&format!("        input_labels={{{}}},\n", labels.join(", ")));
    }
    out.push_str(&format!(
        "        extra=\"\",\n    threads: 2\n    log:\n        \"{{sample}}/{0}/log.txt\",\n    wrapper:\n        \"file:modules/celldag/{0}\"\n",
        spec.name
    ));
    out
}
