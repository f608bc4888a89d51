//! An input that is chosen by the values of axes: the jobs of each case take what is theirs, and come together again.

use std::collections::BTreeMap;

use super::channels::Chain;
use crate::error::ExportError;
use crate::workflow::{Feed, Item, Names, Rule, Setting, Table, Workflow};

impl Chain<'_> {
    /// Groovy for what stands on the port of each job; `[]` where nothing does.
    pub(super) fn choose(&mut self, feed: &Feed, table: &Table<Vec<Item>>) -> Result<String, ExportError> {
        let rules: Vec<&Rule> = self.rules().collect();
        let mut names = Names::default();
        let mut cases: BTreeMap<&Vec<Item>, String> = BTreeMap::new();
        for (_, items) in &table.rows {
            if !cases.contains_key(items) {
                cases.insert(items, names.take(&called(&rules, items)));
            }
        }
        let case = |items: &Vec<Item>| cases.get(items).cloned().unwrap_or_default();
        let rows = table.rows.iter().map(|(key, items)| (key.clone(), case(items))).collect();
        let chosen = Setting::Table(Table { axes: table.axes.clone(), rows });
        let column = self.sheet.setting(&format!("from_{}", feed.ident), self.rule, &chosen, String::clone);

        let whole = self.body.variables.take(&format!("{}_{}", self.rule.ident, feed.ident));
        self.statements.push_str(&format!("    {whole} = {}\n", self.text));
        let (before, names) = (self.have.clone(), self.names.clone());
        let mut parts = Vec::new();
        for (items, case) in &cases {
            let part = self.body.variables.take(&format!("{whole}_{case}"));
            let unused: String = self.have.iter().map(|name| format!(", _{name}")).collect();
            self.text = format!("{whole}\n        .filter {{ meta{unused} -> meta.{column} == '{case}' }}");
            let given = self.items(feed, items)?;
            let grown = self.tuple();
            self.have.clone_from(&before);
            self.names.clone_from(&names);
            let tuple = self.tuple();
            self.statements.push_str(&format!(
                "    {part} = {}\n        .map {{ {grown} -> tuple({tuple}, {given}) }}\n",
                self.text
            ));
            parts.push(part);
        }
        let (first, others) = parts.split_first().map_or(("", &[][..]), |(first, all)| (first.as_str(), all));
        self.text = format!("{first}.mix({})", others.join(", "));
        let variable = self.names.take(&feed.ident);
        self.have.push(variable.clone());
        Ok(variable)
    }
}

/// A name for a case: the node that it takes from.
fn called(rules: &[&Rule], items: &[Item]) -> String {
    match items.first() {
        None => "nothing".to_owned(),
        Some(Item::File { .. }) => "files".to_owned(),
        Some(Item::Join { rule, .. } | Item::Gather { rule, .. }) => rules[*rule].ident.clone(),
    }
}

/// The rules of a workflow without circles, each behind all from which it takes something.
pub(super) fn order(workflow: &Workflow) -> Vec<usize> {
    fn add(workflow: &Workflow, rule: usize, order: &mut Vec<usize>) {
        if !order.contains(&rule) {
            takes(&workflow.rules[rule]).for_each(|from| add(workflow, from, order));
            order.push(rule);
        }
    }
    let mut order = Vec::new();
    (0..workflow.rules.len()).for_each(|rule| add(workflow, rule, &mut order));
    order
}

/// Rules from which a rule takes something.
fn takes(rule: &Rule) -> impl Iterator<Item = usize> + '_ {
    let items = rule.feeds.iter().flat_map(|feed| feed.items.values().flatten());
    let made = items.filter_map(|item| match item {
        Item::File { .. } => None,
        Item::Join { rule, .. } | Item::Gather { rule, .. } => Some(*rule),
    });
    made.chain(rule.above.iter().copied())
}
