//! An input of a process: an element of the tuple that it takes.

/// What stands there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A value, or a list of values.
    Value,
    /// A file.
    File,
    /// A file, or nothing.
    Optional,
    /// Files, at least so many, each in a folder of its own: they may have one name.
    Files(u8),
    /// Files, all in one folder.
    Folder,
}

/// An element of the tuple.
#[derive(Clone)]
pub(super) struct Take {
    /// The variable of the script.
    pub(super) variable: String,
    pub(super) shape: Shape,
}

impl Take {
    pub(super) fn new(variable: impl Into<String>, shape: Shape) -> Self {
        Self { variable: variable.into(), shape }
    }

    /// The declaration.
    pub(super) fn text(&self) -> String {
        let variable = &self.variable;
        match self.shape {
            Shape::Value => format!("val({variable})"),
            Shape::File | Shape::Optional => format!("path({variable}, stageAs: '{variable}/*')"),
            Shape::Files(least) => {
                format!("path({variable}, stageAs: '{variable}?/*', arity: '{least}..*')")
            }
            Shape::Folder => format!("path({variable}, stageAs: '{variable}/*', arity: '1..*')"),
        }
    }
}

/// The declarations of a tuple. One value alone is none.
pub(super) fn tuple(takes: &[Take]) -> String {
    let texts: Vec<String> = takes.iter().map(Take::text).collect();
    if texts.len() > 1 { format!("tuple {}", texts.join(", ")) } else { texts.concat() }
}

/// The variables of a tuple, as parameters of a closure.
pub(super) fn variables(takes: &[Take]) -> String {
    takes.iter().map(|take| take.variable.as_str()).collect::<Vec<_>>().join(", ")
}
