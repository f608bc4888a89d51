//! `resources:` of a node: names first, then amounts, which may differ between jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::interpolate::Combination;
use super::params::for_job;
use super::{Context, Sketch};
use crate::diagnostic::Diagnostic;
use crate::resources::Resources;
use crate::size::{MEMORY_WANTED, parse_memory};
use crate::spec::{Key, Tree};

/// Bounds that no machine exceeds and that catch a forgotten unit.
const THREADS: (u64, u64) = (1, 4096);
const GPUS: (u64, u64) = (0, 64);

/// `resources:` whose names are known.
#[derive(Default)]
pub(crate) struct NodeNeeds {
    /// Entries without findings.
    sound: Vec<usize>,
    /// Axes that the amounts name.
    axes: BTreeSet<usize>,
}

/// Checks what stands inside `${...}`.
pub(crate) fn check(context: &Context<'_>, node: &Sketch<'_>, out: &mut Vec<Diagnostic>) -> NodeNeeds {
    let mut checked = NodeNeeds::default();
    for (entry, (_, value)) in node.def.resources.iter().enumerate() {
        if let Some(used) = node.names_at(context, &value.span).check(value, out) {
            checked.axes.extend(used);
            checked.sound.push(entry);
        }
    }
    checked
}

/// Finds the amounts of the jobs of one node; each misfit is told once.
pub(crate) struct Amounts<'a> {
    context: &'a Context<'a>,
    node: &'a Sketch<'a>,
    checked: &'a NodeNeeds,
    /// Jobs that agree in the axes that the amounts name need the same.
    known: BTreeMap<Vec<usize>, Arc<Resources>>,
    reported: BTreeSet<usize>,
}

impl<'a> Amounts<'a> {
    /// For the jobs of `node`.
    pub(crate) fn new(context: &'a Context<'a>, node: &'a Sketch<'a>, checked: &'a NodeNeeds) -> Self {
        Self { context, node, checked, known: BTreeMap::new(), reported: BTreeSet::new() }
    }

    /// What one job needs. What has a finding is left out.
    pub(crate) fn of(&mut self, at: Combination<'_>, out: &mut Vec<Diagnostic>) -> Arc<Resources> {
        let named = at.axes.iter().zip(at.values).filter(|(axis, _)| self.checked.axes.contains(*axis));
        let projection: Vec<usize> = named.map(|(_, value)| *value).collect();
        if let Some(known) = self.known.get(&projection) {
            return known.clone();
        }
        let found = Arc::new(self.resolve(at, out));
        self.known.insert(projection, found.clone());
        found
    }

    fn resolve(&mut self, at: Combination<'_>, out: &mut Vec<Diagnostic>) -> Resources {
        let mut needs = Resources::default();
        for entry in &self.checked.sound {
            let Some((key, value)) = self.node.def.resources.get(*entry) else { continue };
            let amount = match key.name.as_str() {
                "ram" | "gpu_memory" => self.size(value, at),
                "threads" => self.count(value, at, THREADS),
                _ => self.count(value, at, GPUS),
            };
            match (key.name.as_str(), amount) {
                ("threads", Ok(n)) => needs.threads = usize::try_from(n).ok(),
                ("ram", Ok(bytes)) => needs.ram = Some(bytes),
                ("gpu_memory", Ok(bytes)) => needs.gpu_memory = Some(bytes),
                (_, Ok(n)) => needs.gpus = u32::try_from(n).unwrap_or(0),
                (_, Err((message, help))) if self.reported.insert(*entry) => {
                    out.push(self.misfit(key, value, at, &message).help(help));
                }
                (_, Err(_)) => {}
            }
        }
        self.check_gpu_memory(&needs, out);
        needs
    }

    /// Memory of a GPU that nobody holds is a slip.
    fn check_gpu_memory(&mut self, needs: &Resources, out: &mut Vec<Diagnostic>) {
        let on_device = self.node.kind.as_ref().is_some_and(|kind| kind.spec.uses_device);
        let asked = self.node.def.resources.iter().position(|(key, _)| key.name == "gpu_memory");
        if needs.gpu_memory.is_none() || needs.gpus > 0 || on_device {
            return;
        }
        if let Some(entry) = asked
            && self.reported.insert(entry)
            && let Some((key, _)) = self.node.def.resources.get(entry)
        {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::wrong_resource",
                    format!("{} asks for memory of a GPU, but holds no GPU", self.node.place),
                )
                .at(key.span.clone(), "of which GPU?")
                .help("add gpu: 1, or remove it"),
            );
        }
    }

    fn text(&self, value: &Tree, at: Combination<'_>) -> Result<Option<String>, String> {
        let names = self.node.names_at(self.context, &value.span);
        let filled = names.fill(value, at).map_err(|(_, message)| message)?;
        Ok(filled.scalar().filter(|_| !filled.is_null()).map(|scalar| scalar.text.clone()))
    }

    fn count(
        &self,
        value: &Tree,
        at: Combination<'_>,
        (min, max): (u64, u64),
    ) -> Result<u64, (String, String)> {
        let wanted = format!("a whole number from {min} to {max}");
        let text = self.text(value, at).map_err(|message| (message, format!("it must be {wanted}")))?;
        let shown = text.as_ref().map_or_else(|| value.describe(), |text| format!("`{text}`"));
        text.and_then(|text| text.parse().ok())
            .filter(|n| (min..=max).contains(n))
            .ok_or_else(|| (format!("expected {wanted}, not {shown}"), format!("write {wanted}")))
    }

    fn size(&self, value: &Tree, at: Combination<'_>) -> Result<u64, (String, String)> {
        let help = || format!("write {MEMORY_WANTED}");
        let text = self.text(value, at).map_err(|message| (message, help()))?;
        let Some(text) = text else {
            return Err((format!("expected a size, not {}", value.describe()), help()));
        };
        parse_memory(&text).map_err(|message| (message, help()))
    }

    fn misfit(&self, key: &Key, value: &Tree, at: Combination<'_>, message: &str) -> Diagnostic {
        let job = for_job(self.context, value, at);
        let message = format!("`{}` of {}: {message}{job}", key.name, self.node.place);
        let place = if value.span.is_empty() { key.span.clone() } else { value.span.clone() };
        Diagnostic::error("celldag::pipeline::wrong_resource", message).at(place, "this amount")
    }
}
