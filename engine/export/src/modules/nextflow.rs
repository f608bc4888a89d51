//! A kind as a Nextflow DSL2 module in the manner of nf-core: `celldag/KIND/{main.nf,meta.yml,README.md}`.

use celldag_engine::{InPort, KindSpec, Multiplicity, Registry};

use super::names::{identifier, process, variables};
use super::{in_comment, params_yaml, quoted};
use crate::folder::Files;

/// Nextflow's strict syntax knows variables of a script block that outputs use, if they are not declared with `def`.
const PREFIX: &str = "    prefix = task.ext.prefix ?: \"${meta.id}\"\n";

/// A function of Groovy that writes values into scripts.
pub(crate) const QUOTE: &str = r#"// A text as one word of Bash. It has no line end: Nextflow takes the indent off every line of a script.
def quote(text) {
    "'" + text.toString().replace("'", "'\\''").replace('\n', "'\$'\\n''").replace('\r', "'\$'\\r''") + "'"
}
"#;

const VERSIONS: &str = r#"
    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
"#;

/// The modules of all kinds, and a page about how to use them.
#[must_use]
pub fn modules(registry: &Registry) -> Files {
    let mut files = Files::new();
    files.insert("README.md".into(), include_str!("assets/nextflow.md").to_owned());
    for kind in registry.iter() {
        let folder = format!("celldag/{}", kind.spec.name);
        let module = Module::of(&kind.spec);
        files.insert(format!("{folder}/main.nf").into(), module.main());
        files.insert(format!("{folder}/meta.yml").into(), module.meta());
        files.insert(format!("{folder}/README.md").into(), module.readme());
    }
    files
}

/// An input port under the names that it has in the process.
struct Port<'a> {
    port: &'a InPort,
    variable: String,
    /// Of a port that takes many: the variable with their labels.
    labels: String,
    /// Of a port that may be empty or takes many: the variable with its arguments.
    argument: String,
}

struct Module<'a> {
    spec: &'a KindSpec,
    process: String,
    inputs: Vec<Port<'a>>,
    /// Names of the output channels, in the order of the ports.
    emits: Vec<String>,
}

impl<'a> Module<'a> {
    fn of(spec: &'a KindSpec) -> Self {
        let mut names = variables();
        let inputs = spec.inputs.iter().map(|port| {
            let variable = names.take(port.name);
            let labels = names.take(&format!("{variable}_labels"));
            let argument = names.take(&format!("{variable}_arg"));
            Port { port, variable, labels, argument }
        });
        let inputs = inputs.collect();
        let mut names = variables();
        let emits = spec.outputs.iter().map(|port| names.take(port.name)).collect();
        Self { spec, process: process(spec.name), inputs, emits }
    }

    fn main(&self) -> String {
        let mut labels = match (self.spec.uses_device, self.spec.wants_lineage) {
            (true, _) => vec!["process_medium", "process_gpu"],
            (false, true) => vec!["process_single"],
            (false, false) => vec!["process_low"],
        };
        labels.push("celldag");
        let labels: String = labels.iter().map(|label| format!("    label '{label}'\n")).collect();
        format!(
            "// {}\nprocess {} {{\n    tag \"$meta.id\"\n{labels}    cache 'deep'\n\n    input:\n    {}\n\n    output:\n{}\n    when:\n    task.ext.when == null || task.ext.when\n\n    script:\n{}\n    stub:\n{}}}\n\n{QUOTE}",
            in_comment(self.spec.about),
            self.process,
            self.input(),
            self.output(),
            self.script(),
            self.stub(),
        )
    }

    /// One tuple, so that nothing can be paired with what belongs to something else. Each port has a folder of its own:
    /// two files may have one name.
    fn input(&self) -> String {
        let mut parts = vec!["val(meta)".to_owned()];
        for Port { port, variable, labels, .. } in &self.inputs {
            if port.many == Multiplicity::Many {
                parts.push(format!("path({variable}, stageAs: '{variable}?/*', arity: '1..*')"));
                parts.push(format!("val({labels})"));
            } else {
                parts.push(format!("path({variable}, stageAs: '{variable}/*')"));
            }
        }
        if self.spec.wants_lineage {
            parts.push("path(lineage, stageAs: 'lineage/*')".to_owned());
            parts.push("path(above, stageAs: 'above?/*')".to_owned());
        }
        format!("tuple {}", parts.join(", "))
    }

    /// Port and file of each output. The file's name begins with the prefix, so that one folder can hold many of them.
    fn files(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.spec
            .outputs
            .iter()
            .map(|port| (port.name, format!("${{prefix}}.{}", port.file.trim_end_matches('/'))))
    }

    fn output(&self) -> String {
        let files = self.files().map(|(_, file)| file).zip(&self.emits);
        let mut lines: Vec<String> = files
            // A name with brackets is a name, and no pattern.
            .map(|(file, emit)| format!("    tuple val(meta), path(\"{file}\", glob: false), emit: {emit}\n"))
            .collect();
        lines.push(
            "    tuple val(meta), path(\"${prefix}.summary.json\", glob: false), emit: summary\n".to_owned(),
        );
        lines.push("    path 'versions.yml', emit: versions\n".to_owned());
        lines.concat()
    }

    fn script(&self) -> String {
        let mut out = String::from(
            "    def args = task.ext.args ?: ''\n    def store = task.ext.store ? \"--cache ${quote(task.ext.store)}\" : '--no-cache'\n    def memory = task.memory ? \"--memory ${task.memory.toMega()}MiB\" : ''\n",
        );
        out.push_str(PREFIX);
        let mut arguments = Vec::new();
        for Port { port, variable, labels, argument } in &self.inputs {
            let name = port.name;
            match port.many {
                Multiplicity::One => arguments.push(format!("--in {name}=${{{variable}}}")),
                Multiplicity::Optional => {
                    out.push_str(&format!(
                        "    def {argument} = {variable} ? \"--in {name}=${{{variable}}}\" : ''\n"
                    ));
                    arguments.push(format!("${{{argument}}}"));
                }
                Multiplicity::Many => {
                    // `transpose` would pass over files without a label in silence.
                    out.push_str(&format!(
                        "    if ({labels}.size() != {variable}.size()) {{\n        error(\"{}: ${{meta.id}}: ${{{variable}.size()}} files on `{name}`, and ${{{labels}.size()}} labels\")\n    }}\n",
                        self.process
                    ));
                    out.push_str(&format!(
                        "    def {argument} = [{labels}, {variable}].transpose().collect {{ label, artifact -> \"--in {name}:${{quote(label)}}=${{artifact}}\" }}.join(' ')\n"
                    ));
                    arguments.push(format!("${{{argument}}}"));
                }
            }
        }
        if self.spec.wants_lineage {
            out.push_str("    def lineage_arg = lineage ? \"--lineage ${lineage} --above ${above}\" : ''\n");
            arguments.push("${lineage_arg}".to_owned());
        }
        arguments.extend(self.files().map(|(port, file)| format!("--out {port}=${{quote(\"{file}\")}}")));
        arguments.push("--summary ${quote(\"${prefix}.summary.json\")}".to_owned());
        arguments.push("--job ${quote(meta.id)}".to_owned());
        out.push_str(&format!("    \"\"\"\n    celldag step {} \\\\\n", self.spec.name));
        for argument in arguments {
            out.push_str(&format!("        {argument} \\\\\n"));
        }
        out.push_str(&format!(
            "        --threads ${{task.cpus}} ${{memory}} ${{store}} ${{args}}\n{VERSIONS}    \"\"\"\n"
        ));
        out
    }

    fn stub(&self) -> String {
        let mut out = format!("{PREFIX}    \"\"\"\n");
        for (port, (_, file)) in self.spec.outputs.iter().zip(self.files()) {
            if port.file.ends_with('/') {
                out.push_str(&format!("    mkdir -p ${{quote(\"{file}\")}}\n"));
            } else {
                out.push_str(&format!("    touch ${{quote(\"{file}\")}}\n"));
            }
        }
        out.push_str(&format!("    touch ${{quote(\"${{prefix}}.summary.json\")}}\n{VERSIONS}    \"\"\"\n"));
        out
    }

    fn meta(&self) -> String {
        let spec = self.spec;
        let mut out = format!(
            "# yaml-language-server: $schema=https://raw.githubusercontent.com/nf-core/modules/master/modules/meta-schema.json\nname: {}\ndescription: {}\nkeywords:\n  - single-cell\n  - foundation model\n  - {}\ntools:\n  - celldag:\n      description: \"Drug response of single cells with foundation models, as cached steps\"\n      homepage: \"{url}\"\n      documentation: \"{url}/blob/main/docs/nodes.md\"\n      licence: [\"Apache-2.0\"]\n",
            quoted(&format!("celldag_{}", identifier(spec.name))),
            quoted(spec.about),
            quoted(spec.name),
            url = env!("CARGO_PKG_REPOSITORY"),
        );
        let meta = |indent: &str| {
            format!(
                "meta:\n{indent}    type: map\n{indent}    description: \"What the task is about; `id` names its files, for example `[id: 'patient1']`\"\n"
            )
        };
        out.push_str("input:\n");
        out.push_str(&format!("  - - {}", meta("    ")));
        for Port { port, variable, labels, .. } in &self.inputs {
            let many = match port.many {
                Multiplicity::One => "",
                Multiplicity::Optional => " (optional: `[]` for none)",
                Multiplicity::Many => " (a list of one or more)",
            };
            let about = quoted(&format!("{}: {}{many}", port.ty, port.about));
            out.push_str(&format!("    - {variable}:\n        type: file\n        description: {about}\n"));
            if port.many == Multiplicity::Many {
                let about = quoted(&format!("A label for each of `{variable}`, in their order: `fold=0`"));
                out.push_str(&format!("    - {labels}:\n        type: list\n        description: {about}\n"));
            }
        }
        if spec.wants_lineage {
            out.push_str("    - lineage:\n        type: file\n        description: \"The nodes above, as `celldag export` writes them (`[]` for none)\"\n    - above:\n        type: file\n        description: \"The `summary` files of all tasks above (`[]` for none)\"\n");
        }
        out.push_str("output:\n");
        for ((port, (_, file)), emit) in spec.outputs.iter().zip(self.files()).zip(&self.emits) {
            let ty = if port.file.ends_with('/') { "directory" } else { "file" };
            let about = quoted(&format!("{}: {}", port.ty, port.about));
            out.push_str(&format!(
                "  {emit}:\n    - - {}      - {}:\n          type: {ty}\n          description: {about}\n",
                meta("      "),
                quoted(&file),
            ));
        }
        out.push_str(&format!(
            "  summary:\n    - - {}      - \"${{prefix}}.summary.json\":\n          type: file\n          description: \"Key, facts, warnings and digests of the step\"\n  versions:\n    - versions.yml:\n        type: file\n        description: \"Version of celldag\"\n",
            meta("      ")
        ));
        // Parameters are not part of nf-core's form; they go through `ext.args`.
        if !spec.params.is_empty() {
            out.push_str(&format!(
                "# ext.args: --with NAME=VALUE\n# parameters:\n{}",
                params_yaml(spec, "#   ")
            ));
        }
        out
    }

    fn readme(&self) -> String {
        let spec = self.spec;
        let mut tuple = vec!["[id: 'patient1']".to_owned()];
        for Port { port, variable, .. } in &self.inputs {
            match port.many {
                Multiplicity::One => tuple.push(format!("file('{variable}')")),
                Multiplicity::Optional => tuple.push("[]".to_owned()),
                Multiplicity::Many => {
                    tuple.push(format!("[file('{variable}.0'), file('{variable}.1')]"));
                    tuple.push("['fold=0', 'fold=1']".to_owned());
                }
            }
        }
        if spec.wants_lineage {
            tuple.extend(["[]".to_owned(), "[]".to_owned()]);
        }
        let required = spec.params.iter().filter(|param| param.default.is_none()).map(|param| param.name);
        let required: Vec<String> = required.map(|name| format!("--with {name}=...")).collect();
        format!(
            "# {name}\n\n{about}.\n\n```groovy\ninclude {{ {process} }} from './modules/celldag/{kind}/main'\n\nworkflow {{\n    {process}(channel.of(tuple({tuple})))\n}}\n```\n\nParameters go through `ext.args` in the configuration; `celldag nodes {kind}` lists them:\n\n```groovy\nprocess {{\n    withName: '{process}' {{ ext.args = '{args}' }}\n}}\n```\n\nChannels out: {emits}, `summary`, `versions`.\n",
            name = self.process,
            about = spec.about.trim_end_matches('.'),
            process = self.process,
            kind = spec.name,
            tuple = tuple.join(", "),
            args = if required.is_empty() { "--device auto".to_owned() } else { required.join(" ") },
            emits = self.emits.iter().map(|emit| format!("`{emit}`")).collect::<Vec<_>>().join(", "),
        )
    }
}
