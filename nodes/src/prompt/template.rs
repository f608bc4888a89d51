//! The texts that are sent.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

/// Which texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Template {
    /// Ours: classes by number, no example answer that could be copied, JSON asked for.
    #[serde(rename = "celldag-1")]
    Celldag1,
    /// The parts of the published prompt in their order, with its answer format; the wording is ours.
    #[serde(rename = "scdrugmap")]
    Scdrugmap,
}

/// A labelled cell that is shown before the question.
pub(super) struct Shot {
    /// Top genes, highest first.
    pub(super) genes: Vec<String>,
    /// Its class.
    pub(super) class: usize,
}

/// What is the same in all questions.
pub(super) struct Wording<'a> {
    pub(super) template: Template,
    pub(super) task: &'a str,
    pub(super) classes: &'a [String],
    pub(super) source: &'a str,
}

impl Wording<'_> {
    /// The user message about some cells.
    pub(super) fn question(&self, shots: &[Shot], cells: &[Vec<&str>]) -> String {
        match self.template {
            Template::Celldag1 => self.celldag(shots, cells),
            Template::Scdrugmap => self.scdrugmap(cells),
        }
    }

    fn celldag(&self, shots: &[Shot], cells: &[Vec<&str>]) -> String {
        let mut text = format!(
            "Each line below is one cell: a list of the genes with its highest expression, highest first.\n{}\n\
             Answer with one number for each cell: {}.\n",
            self.task,
            self.codes()
        );
        if !self.source.is_empty() {
            let _ = write!(text, "\nWhere the cells come from: {}\n", self.source);
        }
        if !shots.is_empty() {
            text.push_str("\nLabelled cells:\n");
            for shot in shots {
                let _ = writeln!(text, "{} -> {}", json!(shot.genes), shot.class);
            }
        }
        text.push_str("\nCells to answer for:\n");
        for (n, genes) in cells.iter().enumerate() {
            let _ = writeln!(text, "{}. {}", n + 1, json!(genes));
        }
        let _ = write!(text, "\n{}", self.format_request(cells.len()));
        text
    }

    fn scdrugmap(&self, cells: &[Vec<&str>]) -> String {
        const FORMAT: &str = "{res:1,0,1,1,1,0,0,1,0,0}";
        let lists: Vec<String> = cells.iter().map(|genes| python_list(genes)).collect();
        let (negative, positive) = (&self.classes[0], &self.classes[1]);
        format!(
            "{} Judge each cell from the names of its most expressed genes and from the source of the data. The outer \
             list holds {} cells, each inner list the genes of one cell. Answer 1 for {positive} and 0 for {negative}.\n\n\
             This is the data source:\n{}\n\n\
             The following are the gene names:\n[{}]\n\n\
             Merge the answers into one line of the form {FORMAT}. The line must look like {FORMAT}. \
             Give nothing but a line such as {FORMAT}.",
            self.task,
            cells.len(),
            self.source,
            lists.join(", ")
        )
    }

    /// What is said after an answer that could not be read.
    pub(super) fn repair(&self, problem: &str, cells: usize) -> String {
        format!("That answer cannot be used: {problem}. {}", self.format_request(cells))
    }

    fn format_request(&self, cells: usize) -> String {
        format!(
            "Give only a JSON object with one field \"answers\": a list of exactly {cells} number(s), in the order of the \
             cells, each of them {}.",
            (0..self.classes.len()).map(|class| class.to_string()).collect::<Vec<_>>().join(" or ")
        )
    }

    fn codes(&self) -> String {
        let codes = self.classes.iter().enumerate().map(|(code, name)| format!("{code} = {name}"));
        codes.collect::<Vec<_>>().join(", ")
    }
}

/// The JSON Schema of an answer.
pub(super) fn schema(cells: usize, classes: usize) -> Value {
    json!({
        "type": "object",
        "properties": {
            "answers": {
                "type": "array",
                "items": { "type": "integer", "enum": (0..classes).collect::<Vec<_>>() },
                "minItems": cells,
                "maxItems": cells,
            },
        },
        "required": ["answers"],
        "additionalProperties": false,
    })
}

/// A list of names as Python prints it, which is what the published prompt holds.
fn python_list(names: &[&str]) -> String {
    let quoted = names.iter().map(|name| {
        let escaped = name.replace('\\', "\\\\");
        // Python prefers single quotes unless the text has them.
        if name.contains('\'') && !name.contains('"') {
            format!("\"{escaped}\"")
        } else {
            format!("'{}'", escaped.replace('\'', "\\'"))
        }
    });
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(template: Template, classes: &[String]) -> Wording<'_> {
        Wording { template, task: "Which cells respond?", classes, source: "" }
    }

    #[test]
    fn a_question_holds_genes_codes_and_the_number_of_cells() {
        let classes = ["resistant".to_owned(), "sensitive".to_owned()];
        let cells = [vec!["B2M", "HLA-A"], vec!["MALT1"]];
        let shot = Shot { genes: vec!["CD74".to_owned()], class: 1 };
        let text = wording(Template::Celldag1, &classes).question(&[shot], &cells);
        for part in [
            "0 = resistant, 1 = sensitive",
            r#"["CD74"] -> 1"#,
            r#"1. ["B2M","HLA-A"]"#,
            r#"2. ["MALT1"]"#,
            "exactly 2 number(s)",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(!text.contains("come from"), "no source was given:\n{text}");
    }

    #[test]
    fn the_published_parts_stand_in_their_order() {
        let classes = ["resistant".to_owned(), "sensitive".to_owned()];
        let wording = Wording { source: "GSE1", ..wording(Template::Scdrugmap, &classes) };
        let text = wording.question(&[], &[vec!["A", "5'-X"], vec!["B"]]);
        let places: Vec<usize> =
            ["data source:\nGSE1", "gene names:\n[['A', \"5'-X\"], ['B']]", "{res:1,0,1"]
                .iter()
                .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} is not in:\n{text}")))
                .collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(text.matches("{res:").count(), 3);
    }
}
