//! The pipeline file as Rust types: what was written and where, nothing resolved.

use std::time::Duration;

use super::choice::ChoiceDef;
use super::dispatch::DispatchDef;
use super::exec::ExecDef;
use super::include::IncludeDef;
use super::overrides::NodeOverride;
use super::resources::ResourcesDef;
use super::retries::RetriesDef;
use super::value::{Key, Span, Tree};

/// A text with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text.
    pub(crate) value: String,
    /// Where it stands.
    pub(crate) span: Span,
}

/// A whole file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// `name:`
    pub(crate) name: Option<Text>,
    /// `params:` in file order.
    pub(crate) params: Vec<(Key, Tree)>,
    /// `axes:` in file order, which is the order of jobs.
    pub(crate) axes: Vec<(Key, Tree)>,
    /// `nodes:` in file order.
    pub(crate) nodes: Vec<NodeDef>,
    /// `outputs:` in file order.
    pub(crate) outputs: Vec<OutputDef>,
    /// `profiles:` in file order.
    pub(crate) profiles: Vec<ProfileDef>,
    /// `include:` in file order.
    pub(crate) includes: Vec<IncludeDef>,
    /// `secrets:`, names only.
    pub(crate) secrets: Vec<Text>,
    /// `salt:`
    pub(crate) salt: String,
    /// `numerics: strict`
    pub(crate) strict: bool,
}

/// One entry of `nodes:`.
#[derive(Clone, Debug)]
pub(crate) struct NodeDef {
    /// Its name.
    pub(crate) name: Key,
    /// `uses:`; absent after an error.
    pub(crate) uses: Option<Text>,
    /// `foreach:` as written.
    pub(crate) foreach: Vec<Text>,
    /// `in:` by port.
    pub(crate) inputs: Vec<(Key, InputDef)>,
    /// `with:` by parameter.
    pub(crate) with: Vec<(Key, Tree)>,
    /// `keep: temp`
    pub(crate) temporary: bool,
    /// `retries:`
    pub(crate) retries: RetriesDef,
    /// `timeout:`
    pub(crate) timeout: Option<Duration>,
    /// `resources:`
    pub(crate) resources: ResourcesDef,
    /// `shards:` and `batch:`
    pub(crate) dispatch: DispatchDef,
    /// `exclude:`
    pub(crate) exclude: Vec<CombinationDef>,
    /// `include:`
    pub(crate) include: Vec<CombinationDef>,
    /// `when:`
    pub(crate) when: Option<Text>,
    /// What only `uses: exec` has.
    pub(crate) exec: Option<ExecDef>,
}

/// One combination under `exclude:` or `include:`: axis → values.
pub(crate) type CombinationDef = Vec<(Key, Vec<Text>)>;

/// What stands on a port.
#[derive(Clone, Debug)]
pub(crate) struct InputDef {
    /// Where.
    pub(crate) span: Span,
    /// One item, or several when written as a list.
    pub(crate) items: Vec<InputItem>,
    /// Choices among the items.
    pub(crate) choices: Vec<ChoiceDef>,
}

impl InputDef {
    /// How many items one job can take at most, a `gather` counted once.
    pub(crate) fn most(&self) -> usize {
        let of_case =
            |choice, case| self.items.iter().filter(|item| item.case == Some((choice, case))).count();
        let of_choice = |(number, choice): (usize, &ChoiceDef)| {
            (0..choice.cases.len()).map(|case| of_case(number, case)).max().unwrap_or(0)
        };
        let plain = self.items.iter().filter(|item| item.case.is_none()).count();
        plain + self.choices.iter().enumerate().map(of_choice).sum::<usize>()
    }
}

/// One artifact or one `gather`.
#[derive(Clone, Debug)]
pub(crate) struct InputItem {
    /// `{gather: ...}`
    pub(crate) gather: bool,
    /// Reference or path.
    pub(crate) text: Text,
    /// Index of a choice and of its case, if the item stands in one.
    pub(crate) case: Option<(usize, usize)>,
}

/// One entry of `outputs:`.
#[derive(Clone, Debug)]
pub(crate) struct OutputDef {
    /// Path template.
    pub(crate) path: Text,
    /// `node.port` or `node`.
    pub(crate) from: Text,
}

/// One entry of `profiles:`.
#[derive(Clone, Debug)]
pub(crate) struct ProfileDef {
    /// Its name.
    pub(crate) name: Key,
    /// Parameters that it sets.
    pub(crate) params: Vec<(Key, Tree)>,
    /// Axes that it replaces.
    pub(crate) axes: Vec<(Key, Tree)>,
    /// What it changes at single nodes.
    pub(crate) nodes: Vec<NodeOverride>,
}
