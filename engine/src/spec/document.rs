//! The pipeline file as Rust types: what was written and where, nothing resolved.

use std::time::Duration;

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
    pub(crate) retries: u32,
    /// `timeout:`
    pub(crate) timeout: Option<Duration>,
    /// `resources: {threads: N}`
    pub(crate) threads: Option<usize>,
    /// `resources: {gpu: N}`
    pub(crate) gpu: Option<bool>,
    /// `exclude:`
    pub(crate) exclude: Vec<ExcludeDef>,
    /// `when:`
    pub(crate) when: Option<Text>,
}

/// One combination under `exclude:`: axis → values.
pub(crate) type ExcludeDef = Vec<(Key, Vec<Text>)>;

/// What stands on a port.
#[derive(Clone, Debug)]
pub(crate) struct InputDef {
    /// Where.
    pub(crate) span: Span,
    /// One item, or several when written as a list.
    pub(crate) items: Vec<InputItem>,
    /// Written as a list.
    pub(crate) list: bool,
}

/// One artifact or one `gather`.
#[derive(Clone, Debug)]
pub(crate) struct InputItem {
    /// `{gather: ...}`
    pub(crate) gather: bool,
    /// Reference or path.
    pub(crate) text: Text,
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
}
