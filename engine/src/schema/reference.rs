//! The reference of all kinds as a page of the book: what `celldag nodes KIND` says, in Markdown.

use serde_json::Value;

use crate::check::types::describe;
use crate::kind::{KindSpec, Multiplicity};
use crate::param::{Param, ParamClass};
use crate::registry::Registry;

/// A page with every kind, in alphabetical order.
#[must_use]
pub fn reference(registry: &Registry) -> String {
    let mut page = String::from(
        "# Nodes\n\nThis page is generated from the program. `celldag nodes KIND` prints the same for one kind.\n",
    );
    page.push_str("\n| kind | what it does |\n|---|---|\n");
    for kind in registry.iter() {
        page.push_str(&format!("| [`{0}`](#{0}) | {1} |\n", kind.spec.name, cell(kind.spec.about)));
    }
    for kind in registry.iter() {
        describe_kind(&kind.spec, &mut page);
    }
    page
}

fn describe_kind(spec: &KindSpec, page: &mut String) {
    page.push_str(&format!("\n## {}\n\n{}.\n", spec.name, spec.about.trim_end_matches('.')));
    if spec.uses_device {
        page.push_str("\nRuns on the compute device.\n");
    }
    if !spec.inputs.is_empty() {
        page.push_str("\n| in | type | what |\n|---|---|---|\n");
        for port in &spec.inputs {
            let many = match port.many {
                Multiplicity::One => "",
                Multiplicity::Optional => ", optional",
                Multiplicity::Many => ", one or more",
            };
            page.push_str(&format!("| `{}` | {}{many} | {} |\n", port.name, port.ty, cell(port.about)));
        }
    }
    page.push_str("\n| out | type | file | what |\n|---|---|---|---|\n");
    for port in &spec.outputs {
        page.push_str(&format!(
            "| `{}` | {} | `{}` | {} |\n",
            port.name,
            port.ty,
            port.file,
            cell(port.about)
        ));
    }
    if spec.params.is_empty() {
        page.push_str("\nIt takes no parameters.\n");
        return;
    }
    page.push_str("\n| with | value | default | what |\n|---|---|---|---|\n");
    for param in &spec.params {
        page.push_str(&param_row(param));
    }
}

fn param_row(param: &Param) -> String {
    let unit = if param.unit.is_empty() { String::new() } else { format!(" [{}]", param.unit) };
    let default = match &param.default {
        None => "**required**".to_owned(),
        Some(Value::Null) => "none".to_owned(),
        Some(value) => format!("`{value}`"),
    };
    let class = if param.class == ParamClass::Perf { "; speed or memory only, in no key" } else { "" };
    format!(
        "| `{}` | {}{} | {} | {}{class} |\n",
        param.name,
        cell(&describe(&param.ty)),
        cell(&unit),
        default.replace('|', "\\|"),
        cell(&param.about)
    )
}

/// A bar would end the cell of the table; what looks like HTML would vanish, but for what stands between backticks.
fn cell(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ");
    let part = |(number, part): (usize, &str)| match number % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    };
    text.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_describes_every_kind() {
        let page = reference(&crate::testing::registry());
        assert!(page.contains("| [`make`](#make) | writes a text |"), "{page}");
        assert!(
            page.contains("| `times` | a whole number from 1 to 1000 [copies] | `1` | how often |"),
            "{page}"
        );
        assert!(page.contains("| `text` | a text | **required** | what to write |"), "{page}");
        assert!(page.contains("| speed only; speed or memory only, in no key |"), "{page}");
        assert!(page.contains("| `parts` | text, one or more | what to join |"), "{page}");
    }

    #[test]
    fn cells_of_tables_hold_bars_and_angles() {
        assert_eq!(cell("a|b <c> `<d>`"), "a\\|b &lt;c> `<d>`");
    }
}
