//! From the text of an answer to one class a cell.

use serde_json::Value;

/// Why a text is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no list of classes in it.
    #[error("no list of answers was found")]
    NoList,
    /// A list has another length than there are cells.
    #[error("{found} answers were given for {cells} cells")]
    WrongNumber {
        /// Answers in the list.
        found: usize,
        /// Cells that were asked about.
        cells: usize,
    },
    /// An entry is none of the class numbers.
    #[error("`{0}` is none of the class numbers")]
    NoClass(String),
}

/// Reads exactly `cells` class numbers below `classes`, however the answer is dressed: after `<think>` text, in a code
/// fence, as a JSON list or object, or as `{res: 1, 0, ...}` with spaces, quotes or brackets. Of several lists the last
/// counts, because models repeat the example of the format before they answer.
///
/// # Errors
/// [`Unreadable`]; an earlier list is never taken when the last one is wrong.
pub fn tolerant(text: &str, cells: usize, classes: usize) -> Result<Vec<usize>, Unreadable> {
    let text = without_thoughts(text);
    let plain = without_fences(text);
    let list = serde_json::from_str(plain.trim())
        .ok()
        .and_then(|value| list_of(&value))
        .or_else(|| last_list(&plain))
        .ok_or(Unreadable::NoList)?;
    if list.len() != cells {
        return Err(Unreadable::WrongNumber { found: list.len(), cells });
    }
    list.into_iter()
        .map(|entry| match entry.parse::<usize>() {
            Ok(class) if class < classes && entry.len() == 1 => Ok(class),
            _ => Err(Unreadable::NoClass(entry)),
        })
        .collect()
}

/// Reads as the published code does: the first `{res:` that is followed by nothing but 0, 1 and commas up to `}`. Where
/// that code stops with an exception (an empty entry), the answer is unreadable here.
///
/// # Errors
/// [`Unreadable`].
pub fn published(text: &str, cells: usize) -> Result<Vec<usize>, Unreadable> {
    const OPEN: &str = "{res:";
    let body = text
        .match_indices(OPEN)
        .find_map(|(at, _)| {
            let rest = &text[at + OPEN.len()..];
            let end = rest.find(|c| !matches!(c, '0' | '1' | ','))?;
            (end > 0 && rest[end..].starts_with('}')).then(|| &rest[..end])
        })
        .ok_or(Unreadable::NoList)?;
    let entries: Vec<&str> = body.split(',').collect();
    if let Some(bad) = entries.iter().find(|entry| entry.is_empty()) {
        return Err(Unreadable::NoClass((*bad).to_owned()));
    }
    if entries.len() != cells {
        return Err(Unreadable::WrongNumber { found: entries.len(), cells });
    }
    let class = |entry: &&str| match *entry {
        "0" => Ok(0),
        "1" => Ok(1),
        // `int("10")` passes in the published code and is no class.
        other => Err(Unreadable::NoClass(other.to_owned())),
    };
    entries.iter().map(class).collect()
}

/// The text after the model's reasoning. Some servers leave out the opening tag; an unclosed one means that the text ended
/// before the answer.
pub(super) fn without_thoughts(text: &str) -> &str {
    const CLOSE: &str = "</think>";
    let lower = text.to_ascii_lowercase();
    let after = lower.rfind(CLOSE).map_or(0, |at| at + CLOSE.len());
    let end = lower[after..].find("<think>").map_or(text.len(), |at| after + at);
    text[after..end].trim()
}

/// The text with line breaks for the marks of code fences and for the name of a language behind one. A fence may stand in
/// one line with what it holds.
fn without_fences(text: &str) -> String {
    const FENCE: &str = "```";
    let mut parts = text.split(FENCE);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let word = part.len() - part.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
        // `json {...}`, but not `answers: 1` and not `1, 0`.
        let language = part.starts_with(|c: char| c.is_ascii_alphabetic())
            && !part[word..].trim_start().starts_with([':', '=']);
        plain.push('\n');
        plain.push_str(if language { &part[word..] } else { part });
    }
    plain
}

/// The entries of a list, or of the list that an object holds: under the name asked for, or the only one there is.
fn list_of(value: &Value) -> Option<Vec<String>> {
    let entry = |value: &Value| match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    match value {
        Value::Array(items) => Some(items.iter().map(entry).collect()),
        Value::Object(fields) => {
            if let Some(named) = ["answers", "res"].iter().find_map(|name| fields.get(*name)) {
                return named.is_array().then(|| list_of(named)).flatten();
            }
            let mut lists = fields.values().filter(|value| value.is_array());
            let only = lists.next()?;
            lists.next().is_none().then(|| list_of(only)).flatten()
        }
        _ => None,
    }
}

/// The last bracketed group with a digit in it, or without one the whole text if it is a list.
fn last_list(text: &str) -> Option<Vec<String>> {
    let group = text.rmatch_indices(['}', ']']).find_map(|(end, _)| {
        let start = text[..end].rfind(['{', '['])?;
        let body = &text[start + 1..end];
        body.contains(|c: char| c.is_ascii_digit()).then_some(body)
    });
    entries(group.unwrap_or(text))
}

/// Numbers between commas or spaces, after an optional name (`res:`, `"answers" =`); `None` for any other text.
fn entries(body: &str) -> Option<Vec<String>> {
    let named = body.find([':', '=']).filter(|&at| {
        let name = body[..at].trim().trim_matches(['"', '\'']);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
    });
    let body = named.map_or(body, |at| &body[at + 1..]);
    let bare: String = body.chars().filter(|c| !matches!(c, '"' | '\'' | '[' | ']')).collect();
    if !bare.chars().all(|c| c.is_ascii_digit() || c == ',' || c.is_whitespace()) {
        return None;
    }
    let list: Vec<String> =
        bare.split([',', ' ', '\n', '\t', '\r']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<usize>, Unreadable> {
        tolerant(text, 3, 2)
    }

    #[test]
    fn answers_in_any_dress() {
        for text in [
            "{res:1,0,1}",
            "{res: 1, 0, 1}",
            "{ \"res\" : [1, 0, 1] }",
            "{'res': ['1', '0', '1']}",
            "{\"answers\":[1,0,1]}",
            "[1,0,1]",
            "1, 0, 1",
            "```json\n{\"answers\": [1,\n0,\n1]}\n```",
            "```json {\"answers\": [1, 0, 1]} ```",
            "```{\"answers\": [1, 0, 1]}```",
            "Here: ```1, 0, 1```",
            "```res: 1, 0, 1```",
            "```text\n1, 0, 1\n```",
            "The format is {res:0,0,0}. My answer: {res:1,0,1}",
            "<think>{res:0,0,0}, or rather {res:1,1,1}</think>\n{res:1,0,1}",
            "no opening tag {res:0,0,0}</think>{res:1,0,1}",
            "Sure! Cell 1 is {sensitive}. {res = 1,0,1}.",
            "{RES:1,0,1,}",
        ] {
            assert_eq!(read(text), Ok(vec![1, 0, 1]), "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_said() {
        assert_eq!(read(""), Err(Unreadable::NoList));
        assert_eq!(read("I cannot tell."), Err(Unreadable::NoList));
        assert_eq!(read("<think>{res:1,0,1}"), Err(Unreadable::NoList), "the text ended before the answer");
        assert_eq!(read("{res:1,0}"), Err(Unreadable::WrongNumber { found: 2, cells: 3 }));
        assert_eq!(
            read("{res:1,0,1} no, {res:1,0}"),
            Err(Unreadable::WrongNumber { found: 2, cells: 3 }),
            "an earlier list is not taken instead"
        );
        assert_eq!(read("{res:1,0,2}"), Err(Unreadable::NoClass("2".into())));
        assert_eq!(read("[1,0,null]"), Err(Unreadable::NoClass("null".into())));
        assert_eq!(read("101"), Err(Unreadable::WrongNumber { found: 1, cells: 3 }));
        assert_eq!(tolerant("[0,3,2]", 3, 4), Ok(vec![0, 3, 2]));
    }

    /// The table of the published parser, with its crashes as unreadable answers.
    #[test]
    fn the_published_parser_with_its_drops() {
        let ten = "{res:1,0,1,1,1,0,0,1,0,0}";
        let read = |text: &str| published(text, 10);
        assert_eq!(read(ten), Ok(vec![1, 0, 1, 1, 1, 0, 0, 1, 0, 0]));
        assert_eq!(read(&format!("```\n{ten}\n```")), read(ten));
        assert_eq!(read(&format!("{ten} and {{res:0,0,0,0,0,0,0,0,0,0}}")), read(ten), "the first counts");
        for dropped in [
            "{res: 1,0,1,1,1,0,0,1,0,0}",
            "{\"res\":[1,0,1,1,1,0,0,1,0,0]}",
            "{RES:1,0,1,1,1,0,0,1,0,0}",
            "{res:1,0,1,1,1,0,0,1,0,2}",
            "{res:1,0,1,1,1,0,0,1,0,0,}",
            "{res:1,,1,1,1,0,0,1,0,0}",
            "{res:1,0,1}",
            "{res:1011100100}",
            "",
        ] {
            assert!(read(dropped).is_err(), "{dropped}");
        }
    }
}
