//! One chat completion as it is asked for, and as a given server takes it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Usage};
use super::template::schema;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Message {
    /// `user` or `assistant`.
    pub(super) role: &'static str,
    pub(super) content: String,
}

/// How the server is asked to shape its answer, from the strictest to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    /// Only text; the prompt says what it should be.
    Text,
    /// `response_format: json_object`.
    JsonObject,
    /// `response_format: json_schema` with the number of cells and the classes.
    JsonSchema,
}

/// What decides an answer, apart from the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) messages: Vec<Message>,
    pub(super) temperature: f64,
    pub(super) seed: u64,
    pub(super) max_tokens: u64,
    pub(super) format: Format,
    pub(super) cells: usize,
    pub(super) classes: usize,
    /// It is asked again with more room for an answer that was cut; the tokens say so in the digest.
    #[serde(skip)]
    pub(super) grown: bool,
}

/// Characters of a token, roughly: names of genes are cut into small pieces.
const CHARACTERS_PER_TOKEN: f64 = 3.0;

/// About as many tokens as a text has.
pub(super) fn tokens_of(text: &str) -> u64 {
    (text.chars().count() as f64 / CHARACTERS_PER_TOKEN).ceil() as u64
}

impl Request<'_> {
    /// About what an answer costs where the server does not say. What the model thought is not in it.
    pub(super) fn estimate(&self, answer: &Answer) -> Usage {
        let said = [&answer.content, &answer.refusal].into_iter().flatten();
        Usage {
            prompt_tokens: self.messages.iter().map(|message| tokens_of(&message.content)).sum(),
            completion_tokens: said.map(|text| tokens_of(text)).sum(),
        }
    }

    /// BLAKE3 of the server's address and everything that is asked, hex. What a server does not take is part of it all
    /// the same: the address says which server that is.
    pub(super) fn digest(&self, endpoint: &str) -> String {
        // Fields in the order in which they are declared: one text for one request. A request always has a JSON form.
        let asked = serde_json::to_vec(&(endpoint, self)).unwrap_or_default();
        let key = blake3::derive_key("celldag prompt-classify request 1", &asked);
        blake3::Hash::from_bytes(key).to_hex().to_string()
    }

    /// The body for a server that speaks `dialect`.
    pub(super) fn body(&self, dialect: Dialect) -> String {
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.into());
        body.insert("messages".to_owned(), json!(self.messages));
        if dialect.temperature {
            body.insert("temperature".to_owned(), self.temperature.into());
        }
        if dialect.seed {
            body.insert("seed".to_owned(), self.seed.into());
        }
        body.insert(dialect.limit.to_owned(), self.max_tokens.into());
        let format = match self.format.min(dialect.format) {
            Format::Text => None,
            Format::JsonObject => Some(json!({ "type": "json_object" })),
            Format::JsonSchema => Some(json!({
                "type": "json_schema",
                "json_schema": { "name": "answers", "strict": true, "schema": schema(self.cells, self.classes) },
            })),
        };
        if let Some(format) = format {
            body.insert("response_format".to_owned(), format);
        }
        Value::Object(body).to_string()
    }
}

const OLD_LIMIT: &str = "max_tokens";
const NEW_LIMIT: &str = "max_completion_tokens";

/// Which optional fields a server takes; it begins with all of them and loses those that a server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    temperature: bool,
    seed: bool,
    limit: &'static str,
    format: Format,
}

impl Dialect {
    /// Everything is tried.
    pub(super) const ALL: Self =
        Self { temperature: true, seed: true, limit: OLD_LIMIT, format: Format::JsonSchema };

    /// The dialect without what the server's message complains about; `None` when it is about nothing optional.
    /// `asked` is what the request wanted of the format.
    pub(super) fn without(self, complaint: &str, asked: Format) -> Option<Self> {
        let about = |word: &str| complaint.contains(word);
        if about("response_format") || about("json_schema") || about("json_object") || about("grammar") {
            return match self.format.min(asked) {
                Format::JsonSchema => Some(Self { format: Format::JsonObject, ..self }),
                Format::JsonObject => Some(Self { format: Format::Text, ..self }),
                Format::Text => None,
            };
        }
        if about(OLD_LIMIT) && self.limit == OLD_LIMIT {
            return Some(Self { limit: NEW_LIMIT, ..self });
        }
        if about("temperature") && self.temperature {
            return Some(Self { temperature: false, ..self });
        }
        // A word that may stand in any message; what is meant is the field.
        if ["'seed'", "\"seed\"", "`seed`", "seed:", "parameter seed", "param=seed"].iter().any(|s| about(s))
            && self.seed
        {
            return Some(Self { seed: false, ..self });
        }
        None
    }

    /// Whether a complaint is about the number of tokens for the answer, and not about the name of that field.
    pub(super) fn is_of_size(self, complaint: &str) -> bool {
        let names_another = self.limit == OLD_LIMIT && complaint.contains(NEW_LIMIT);
        [OLD_LIMIT, NEW_LIMIT].iter().any(|name| complaint.contains(name)) && !names_another
    }

    /// What was left out, for the record.
    pub(super) fn left_out(self, asked: Format) -> Vec<&'static str> {
        let fields = [
            (!self.temperature, "temperature"),
            (!self.seed, "seed"),
            (self.limit != OLD_LIMIT, OLD_LIMIT),
            (self.format < asked, "response_format"),
        ];
        fields.into_iter().filter_map(|(out, name)| out.then_some(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<'static> {
        Request {
            model: "m",
            messages: vec![Message { role: "user", content: "q".into() }],
            temperature: 0.0,
            seed: 1,
            max_tokens: 64,
            format: Format::JsonSchema,
            cells: 2,
            classes: 2,
            grown: false,
        }
    }

    #[test]
    fn a_digest_tells_everything_that_is_asked_apart() {
        let digest = request().digest("http://a");
        assert_eq!(digest, request().digest("http://a"));
        let others = [
            request().digest("http://b"),
            Request { model: "n", ..request() }.digest("http://a"),
            Request { temperature: 1.0, ..request() }.digest("http://a"),
            Request { seed: 2, ..request() }.digest("http://a"),
            Request { max_tokens: 128, ..request() }.digest("http://a"),
            Request { format: Format::Text, ..request() }.digest("http://a"),
            Request { messages: Vec::new(), ..request() }.digest("http://a"),
        ];
        assert!(!others.contains(&digest));
    }

    #[test]
    fn refused_fields_are_left_out_one_by_one() {
        let body =
            |dialect: Dialect| -> Value { serde_json::from_str(&request().body(dialect)).expect("JSON") };
        let mut dialect = Dialect::ALL;
        assert_eq!(body(dialect)["response_format"]["type"], "json_schema");
        dialect = dialect.without("response_format is unknown", Format::JsonSchema).expect("a weaker one");
        assert_eq!(body(dialect)["response_format"]["type"], "json_object");
        dialect = dialect.without("response_format is unknown", Format::JsonSchema).expect("none");
        assert!(body(dialect).get("response_format").is_none());
        assert_eq!(dialect.without("response_format is unknown", Format::JsonSchema), None);
        dialect =
            dialect.without("use max_completion_tokens instead of max_tokens", Format::Text).expect("new");
        assert_eq!(body(dialect)["max_completion_tokens"], 64);
        dialect = dialect.without("'temperature' does not support 0", Format::Text).expect("no temperature");
        dialect = dialect.without("unknown field `seed`", Format::Text).expect("no seed");
        let last = body(dialect);
        assert!(last.get("temperature").is_none() && last.get("seed").is_none(), "{last}");
        assert_eq!(dialect.without("the model is unknown", Format::Text), None);
    }
}
