//! A node kind in an executable of its own, in Rust: reverses the lines of a text.
//!
//! celldag calls it as `plugin_kind describe` and as `plugin_kind run REQUEST.json`; docs/plugins.md says what stands in both.
//! It uses nothing of celldag: any program that speaks JSON can do this.

use std::error::Error;
use std::io::Write as _;

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["describe"] => Ok(writeln!(std::io::stdout(), "{}", description())?),
        ["run", request] => run(&serde_json::from_str(&fs_err::read_to_string(request)?)?),
        _ => Err("usage: plugin_kind describe | plugin_kind run REQUEST.json".into()),
    }
}

fn description() -> Value {
    json!({
        "celldag": 1,
        "name": "plugin_kind",
        "epoch": 1,
        "about": "reverses the lines of a text",
        "inputs": [{"name": "text", "about": "any text"}],
        "outputs": [{"name": "text", "file": "reversed.txt", "about": "its lines, the last one first"}],
        "params": [{"name": "skip", "type": "int", "min": 0, "default": 0, "unit": "lines", "about": "lines to leave out at the beginning"}],
    })
}

fn run(request: &Value) -> Result<(), Box<dyn Error>> {
    let path = |value: &Value| value.as_str().map(str::to_owned).ok_or("the request names no path");
    let text = fs_err::read_to_string(path(&request["inputs"]["text"][0]["path"])?)?;
    let skip = usize::try_from(request["params"]["skip"].as_u64().unwrap_or(0))?;
    let lines: Vec<&str> = text.lines().skip(skip).collect();
    let reversed: String = lines.iter().rev().flat_map(|line| [line, "\n"]).collect();
    fs_err::write(path(&request["outputs"]["text"])?, reversed)?;
    let mut events = fs_err::File::create(path(&request["events"])?)?;
    Ok(writeln!(events, "{}", json!({"facts": {"lines_out": lines.len()}}))?)
}
