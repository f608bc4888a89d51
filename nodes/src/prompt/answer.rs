//! What a server says to a request: the answer of the model, or what to do about the refusal.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::Received;

/// Tokens that a request was billed for; absent where the server does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

/// The answer of a model, as far as it does not differ from call to call (ids and times are left out).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Text of the message; absent when the model gave none.
    pub(super) content: Option<String>,
    /// Words of a refusal.
    pub(super) refusal: Option<String>,
    /// Why the text ended: `stop`, `length`, `content_filter` ...
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Option<Usage>,
    /// The model that answered, by its own name.
    pub(super) model: Option<String>,
    /// Which build of the server answered.
    pub(super) system_fingerprint: Option<String>,
}

impl Heard {
    /// The same with every text of the server changed.
    pub(super) fn map_texts(self, clean: impl Fn(&str) -> String) -> Self {
        let clean_one = |text: Option<String>| text.map(|text| clean(&text));
        match self {
            Self::Answer(answer) => Self::Answer(Answer {
                content: clean_one(answer.content),
                refusal: clean_one(answer.refusal),
                finish_reason: clean_one(answer.finish_reason),
                usage: answer.usage,
                model: clean_one(answer.model),
                system_fingerprint: clean_one(answer.system_fingerprint),
            }),
            Self::Complaint(said) => Self::Complaint(clean(&said)),
            Self::Again { why, wait } => Self::Again { why: clean(&why), wait },
            Self::Stop { why, help } => Self::Stop { why: clean(&why), help },
            other @ (Self::TooLong | Self::Filtered) => other,
        }
    }
}

/// What a response means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The model answered, usably or not.
    Answer(Answer),
    /// The request is larger than the model's context.
    TooLong,
    /// A filter of the server stopped the question.
    Filtered,
    /// A field may be at fault; the text says which.
    Complaint(String),
    /// It may work later.
    Again {
        /// What happened.
        why: String,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
    /// It will not work later.
    Stop {
        /// What happened.
        why: String,
        /// What to do.
        help: &'static str,
    },
}

/// Reads a response.
pub(super) fn hear(received: &Received) -> Heard {
    let body = received.json.as_ref();
    let again = |why: String| Heard::Again { why, wait: received.retry_after };
    let error = body.and_then(error);
    if received.status == 200 && error.is_none() {
        return match body.map(answer) {
            Some(Some(answer)) => Heard::Answer(answer),
            Some(None) => again("the response has no `choices[0].message`".to_owned()),
            None => again("the response is not JSON".to_owned()),
        };
    }
    let said = said(body, error, &received.body);
    let code = ["code", "type"].map(|name| text(error.and_then(|error| error.get(name))));
    let is = |word: &str| code.iter().flatten().any(|c| c == word);
    // Gateways answer 200 and put what the server behind them said into the body.
    let status = match (received.status, error) {
        (200, Some(error)) => inner_status(error),
        (status, _) => status,
    };
    let why = format!(
        "HTTP {}{}{}",
        received.status,
        if received.status == 200 { " with an error" } else { "" },
        if said.is_empty() { String::new() } else { format!(": {said}") }
    );
    let stop = |help: &'static str| Heard::Stop { why: why.clone(), help };
    match status {
        400 | 413 | 422 if is("context_length_exceeded") || too_long(&said) => Heard::TooLong,
        400 if is("content_filter") => Heard::Filtered,
        400 | 422 => Heard::Complaint(said),
        // A server may quote the key that it refuses.
        401 => Heard::Stop {
            why: "HTTP 401: the server does not accept the key".to_owned(),
            help: "name the environment variable that holds the key with `api_key_env`, and check the key",
        },
        402 => stop("the account has no credit"),
        403 => stop("the key may not use this model, or not from here"),
        404 => stop("check `model`, and that `endpoint` ends where `/chat/completions` begins (often `/v1`)"),
        413 => Heard::TooLong,
        429 if is("insufficient_quota") || is("billing_hard_limit_reached") => {
            stop("the account's quota is used up: waiting does not help")
        }
        408 | 409 | 425 | 429 | 500..=599 => again(why),
        300..=399 => stop(
            "the endpoint sends requests on to another address; name that address if it is the right one",
        ),
        _ => stop("the server does not take such requests"),
    }
}

/// The error that a body holds, for the whole response or for its first choice.
fn error(body: &Value) -> Option<&Value> {
    let none = |error: &Value| error.is_null() || *error == false || *error == "";
    [body, &body["choices"][0]].into_iter().map(|place| &place["error"]).find(|error| !none(error))
}

/// The status that an error in a body stands for; one that names none may pass.
fn inner_status(error: &Value) -> u16 {
    let code = &error["code"];
    let number = code.as_u64().or_else(|| code.as_str()?.parse().ok());
    number.and_then(|n| u16::try_from(n).ok()).filter(|n| (400..600).contains(n)).unwrap_or(500)
}

/// The first choice of a chat completion.
fn answer(body: &Value) -> Option<Answer> {
    let choice = body["choices"].get(0)?;
    let message = choice.get("message").filter(|message| message.is_object())?;
    let content = match &message["content"] {
        Value::String(text) => Some(text.clone()),
        // Newer servers may give a list of parts.
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        _ => None,
    };
    let count = |name: &str| body["usage"][name].as_u64();
    let usage = match (count("prompt_tokens"), count("completion_tokens")) {
        (None, None) => None,
        (prompt, completion) => Some(Usage {
            prompt_tokens: prompt.unwrap_or_default(),
            completion_tokens: completion.unwrap_or_default(),
        }),
    };
    Some(Answer {
        content,
        refusal: text(message.get("refusal")),
        finish_reason: text(choice.get("finish_reason")),
        usage,
        model: text(body.get("model")),
        system_fingerprint: text(body.get("system_fingerprint")),
    })
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

/// The server's own words, in one line that is not too long.
fn said(body: Option<&Value>, error: Option<&Value>, raw: &str) -> String {
    const LONGEST: usize = 300;
    let message = error.and_then(|e| e["message"].as_str().or(e.as_str()));
    let message = message.or_else(|| body.and_then(|b| b["message"].as_str().or(b["detail"].as_str())));
    let param = error.and_then(|e| e["param"].as_str()).map(|p| format!(" (param={p})")).unwrap_or_default();
    let line = message.unwrap_or(raw).split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(LONGEST).collect();
    short + &param
}

/// Servers agree on no code for this.
fn too_long(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "context length",
        "context_length",
        "context window",
        "context size",
        "prompt is too long",
        "too many tokens",
    ]
    .iter()
    .any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(status: u16, body: &str) -> Heard {
        hear(&Received {
            status,
            retry_after: Some(Duration::from_secs(7)),
            body: body.to_owned(),
            json: serde_json::from_str(body).ok(),
        })
    }

    #[test]
    fn answers_of_several_servers() {
        let Heard::Answer(plain) = heard(
            200,
            r#"{"id":"x1","created":1731000000,"model":"gpt","system_fingerprint":"fp","choices":[{"message":{"content":
            "{res:1}","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":611,"completion_tokens":25}}"#,
        ) else {
            panic!("an answer")
        };
        assert_eq!(plain.content.as_deref(), Some("{res:1}"));
        assert_eq!(plain.usage, Some(Usage { prompt_tokens: 611, completion_tokens: 25 }));
        let Heard::Answer(parts) = heard(
            200,
            r#"{"choices":[{"message":{"content":[{"type":"text","text":"{res:"},{"type":"text","text":"1}"}]}}]}"#,
        ) else {
            panic!("an answer")
        };
        assert_eq!((parts.content.as_deref(), parts.usage), (Some("{res:1}"), None));
        let Heard::Answer(refused) = heard(
            200,
            r#"{"choices":[{"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}"#,
        ) else {
            panic!("an answer")
        };
        assert_eq!((refused.content, refused.refusal.as_deref()), (None, Some("No.")));
    }

    #[test]
    fn refusals_say_what_to_do_next() {
        let wait = Some(Duration::from_secs(7));
        assert!(matches!(heard(200, "<html>"), Heard::Again { .. }));
        assert!(matches!(heard(200, r#"{"choices":[]}"#), Heard::Again { .. }));
        assert!(
            matches!(heard(429, r#"{"error":{"code":"rate_limit_exceeded"}}"#), Heard::Again { wait: w, .. } if w == wait)
        );
        assert!(matches!(heard(429, r#"{"error":{"code":"insufficient_quota"}}"#), Heard::Stop { .. }));
        assert!(matches!(heard(529, ""), Heard::Again { .. }));
        let inner = |body: &str| heard(200, body);
        let busy = inner(r#"{"error":{"message":"upstream busy"}}"#);
        assert!(
            matches!(&busy, Heard::Again { why, .. } if why == "HTTP 200 with an error: upstream busy"),
            "{busy:?}"
        );
        assert!(matches!(
            inner(r#"{"error":{"code":402,"message":"no credit"},"choices":[]}"#),
            Heard::Stop { .. }
        ));
        assert!(matches!(inner(r#"{"error":{"code":"404"}}"#), Heard::Stop { .. }));
        assert!(
            matches!(inner(r#"{"error":"oops"}"#), Heard::Again { why, .. } if why.ends_with("error: oops"))
        );
        let choice = r#"{"choices":[{"error":{"code":502},"message":{"content":"half an ans"}}]}"#;
        assert!(matches!(inner(choice), Heard::Again { .. }), "half an answer is none");
        let none = r#"{"error":null,"choices":[{"message":{"content":"{res:1}"}}]}"#;
        assert!(matches!(inner(none), Heard::Answer(_)));
        assert!(matches!(heard(404, ""), Heard::Stop { .. }));
        assert!(matches!(heard(307, ""), Heard::Stop { .. }));
        let long = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#;
        assert_eq!(heard(400, long), Heard::TooLong);
        assert_eq!(
            heard(400, r#"{"error":{"code":"content_filter","message":"filtered"}}"#),
            Heard::Filtered
        );
        let field = r#"{"error":{"message":"Unsupported value","param":"temperature"}}"#;
        assert_eq!(heard(400, field), Heard::Complaint("Unsupported value (param=temperature)".into()));
        let Heard::Stop { why, .. } =
            heard(401, r#"{"error":{"message":"Incorrect API key provided: sk-123"}}"#)
        else {
            panic!("stop")
        };
        assert!(!why.contains("sk-123"));
    }
}
