//! Functions at the head of a Snakefile: only those that its rules call.

use std::collections::BTreeSet;

/// Name, functions that it calls itself, text. In the order in which they are written.
const HELPERS: &[(&str, &[&str], &str)] = &[
    (
        "look",
        &[],
        r#"def look(setting, wildcards):
    """An entry of config.yaml: the same for all jobs, or a table by the values of axes."""
    if not (isinstance(setting, dict) and "by" in setting):
        return setting
    found = setting["is"]
    for axis in setting["by"]:
        found = found[getattr(wildcards, axis)]
    return found
"#,
    ),
    (
        "decode",
        &[],
        r#"def decode(text):
    """A value of an axis from its text in a path."""
    return "" if text == "%" else unquote(text)
"#,
    ),
    (
        "user",
        &["look"],
        r#"def user(node, port):
    """A file of yours, from config.yaml."""
    return lambda wildcards: look(config["files"][node][port], wildcards)
"#,
    ),
    (
        "given",
        &["look"],
        r#"def given(node, name):
    """A parameter that differs between the jobs of a rule, from config.yaml; nothing where its default is meant."""
    def option(wildcards):
        value = look(config["with"][node][name], wildcards)
        return "" if value is None else "--with " + quote(f"{name}={value}")
    return option
"#,
    ),
    (
        "retried",
        &["look"],
        r#"def retried(node, name):
    """A parameter that changes when a job fails: what it is at each attempt, from config.yaml."""
    def text(wildcards, attempt):
        texts = look(config["retried"][node][name], wildcards)
        return texts[min(attempt, len(texts)) - 1]
    return text
"#,
    ),
    (
        "needs",
        &["look"],
        r#"def needs(node, name):
    """What a job asks for, where the jobs of a rule differ."""
    return lambda wildcards: look(config["needs"][node][name], wildcards)
"#,
    ),
    (
        "told",
        &["decode"],
        r#"def told(paths, axes, node=None):
    """Labels of gathered artifacts: the values of these axes, which are in the paths."""
    def label(path):
        values = dict(part.split("=", 1) for part in path.split("/") if "=" in part)
        told = ",".join(f"{axis}={decode(values[axis])}" for axis in axes)
        return told if node is None else f"{node}[{told}]"
    return [label(path) for path in paths]
"#,
    ),
    (
        "labelled",
        &[],
        r#"def labelled(port, labels, paths):
    """`--in PORT:LABEL=PATH` for each artifact."""
    return " ".join("--in " + quote(f"{port}:{label}={path}") for label, path in zip(labels, paths, strict=True))
"#,
    ),
    (
        "fed",
        &["look", "decode"],
        r#"def entries(node, port, wildcards):
    """Label and path of everything on an input whose sources differ between jobs, from config.yaml."""
    for item in look(config["feeds"][node][port], wildcards):
        for values in look(item.get("members", [[]]), wildcards):
            at = {**dict(wildcards.items()), **dict(zip(item.get("over", []), values))}
            label = look(item["label"], wildcards)
            if not isinstance(label, str):
                axes = ",".join(f"{axis}={decode(at[name])}" for axis, name in label["axes"])
                prefix = label["prefix"] or ""
                label = f"{prefix}[{axes}]" if prefix and axes else prefix or axes
            yield label, look(item["file"], wildcards) if "file" in item else item["path"].format(**at)


def fed(node, port):
    """The files on such an input."""
    return lambda wildcards: [path for _, path in entries(node, port, wildcards)]


def options(node, port, many):
    """The options for such an input; an artifact needs its label where a port takes many."""
    def option(label, path):
        return "--in " + quote(f"{port}:{label}={path}" if many else f"{port}={path}")
    return lambda wildcards: " ".join(option(*entry) for entry in entries(node, port, wildcards))
"#,
    ),
    (
        "lines_of",
        &[],
        r#"def lines_of(pattern):
    """The paths that a file lists, one a line."""
    return lambda wildcards: Path(pattern.format(**dict(wildcards.items()))).read_text().splitlines()
"#,
    ),
];

/// The text of these functions and of those that they call.
pub(super) fn text(wanted: &BTreeSet<&str>) -> String {
    let mut all: BTreeSet<&str> = wanted.clone();
    for (name, calls, _) in HELPERS {
        if wanted.contains(name) {
            all.extend(*calls);
        }
    }
    let texts: Vec<&str> =
        HELPERS.iter().filter(|(name, ..)| all.contains(name)).map(|(.., text)| *text).collect();
    texts.join("\n\n")
}
