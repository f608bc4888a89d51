//! `retries: {out_of_memory: {set: ...}}`: a parameter that changes with the attempt.

use serde_json::Value;

use super::sheet::Sheet;
use super::text::{inside, literal};
use crate::workflow::{Rule, Setting};

/// A parameter that each attempt has its own value for.
pub(super) struct Changing {
    pub(super) name: String,
    /// Statement of the script.
    pub(super) statement: String,
    /// Argument of the step.
    pub(super) argument: String,
}

/// The parameters. They change no result, so that they may be smaller after any failure: a task that was killed for its memory
/// does not always say so.
pub(super) fn changing(rule: &Rule, sheet: &mut Sheet) -> Vec<Changing> {
    let mut names = crate::modules::variables();
    rule.feeds.iter().for_each(|feed| names.occupy(&feed.ident));
    let mut out = Vec::new();
    for (name, setting) in &rule.retried {
        let values = match setting {
            Setting::Same(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Setting::Table(_) => {
                let cell = |at| Value::from(setting.at(at).cloned().unwrap_or_default());
                let cells = rule.combinations.iter().map(cell).collect();
                format!("meta.{}", sheet.add(&format!("with_{name}"), cells))
            }
        };
        let variable = names.take(&format!("{name}_now"));
        out.push(Changing {
            name: name.clone(),
            statement: format!("    def {variable} = {values}.take(task.attempt).last()\n"),
            argument: format!("--with {}=${{quote({variable})}}", inside(name)),
        });
    }
    out
}
