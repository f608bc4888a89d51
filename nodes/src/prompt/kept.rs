//! Answers that were paid for, so that a run that stopped half way goes on where it was: with the saved state of the step,
//! or in a folder that the user named, which other steps and other parameters find too.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use celldag_engine::{NodeError, Resume};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use crate::learn::failure::io;

const FORMAT: &str = "celldag.answer/1";

/// Answers by the digest of their request.
pub(super) struct Kept<'a> {
    folder: Option<PathBuf>,
    resume: Option<&'a Resume<'a>>,
}

/// An answer and how it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paid {
    pub(super) answer: Answer,
    /// Fields of the request that the server did not take.
    pub(super) left_out: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    request: String,
    answer: Answer,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

impl<'a> Kept<'a> {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn open(folder: Option<&Path>, resume: Option<&'a Resume<'a>>) -> Result<Self, NodeError> {
        if let Some(folder) = folder {
            fs_err::create_dir_all(folder).map_err(io)?;
        }
        Ok(Self { folder: folder.map(Path::to_owned), resume })
    }

    /// The answer to a request, if there is one.
    ///
    /// # Errors
    /// A damaged file of the folder is an error: asking again would cost money that the user may not want to spend.
    pub(super) fn get(&self, request: &str) -> Result<Option<Paid>, NodeError> {
        if let Some(folder) = &self.folder
            && let Some(paid) = read(&file(folder, request), request)?
        {
            return Ok(Some(paid));
        }
        let saved = self.resume.and_then(|resume| resume.load(request, ""));
        let Some(paid) = saved.and_then(|bytes| decode(&bytes, request)) else { return Ok(None) };
        if self.folder.is_some() {
            // The user named the folder after the run that paid for it.
            self.put(request, &paid)?;
        }
        Ok(Some(paid))
    }

    /// Keeps an answer: whole or not at all.
    ///
    /// # Errors
    /// When the folder that the user named cannot be written to.
    pub(super) fn put(&self, request: &str, paid: &Paid) -> Result<(), NodeError> {
        let Paid { answer, left_out } = paid.clone();
        let content = File { format: FORMAT.to_owned(), request: request.to_owned(), answer, left_out };
        let mut text = serde_json::to_vec_pretty(&content).map_err(io)?;
        text.push(b'\n');
        if let Some(folder) = &self.folder {
            let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
            temporary.write_all(&text).map_err(io)?;
            temporary.persist(file(folder, request)).map_err(io)?;
        } else if let Some(resume) = self.resume {
            resume.save(request, "", &text);
        }
        Ok(())
    }

    /// What becomes of the answers of a run that fails, for its message.
    pub(super) fn after_failure(&self) -> &'static str {
        if self.folder.is_some() || self.resume.is_some() {
            "answers that came are kept, and the next run asks for the rest only"
        } else {
            "answers that came are lost, unless `keep_answers` names a folder"
        }
    }
}

fn file(folder: &Path, request: &str) -> PathBuf {
    folder.join(format!("{request}.json"))
}

fn read(path: &Path, request: &str) -> Result<Option<Paid>, NodeError> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    };
    decode(&bytes, request).map(Some).ok_or_else(|| {
        // Not a failure for good: what is saved with the step must stay.
        NodeError::failed(format!("{}: not the answer of a request", path.display()))
            .help("delete the file; the request is then sent again")
    })
}

fn decode(bytes: &[u8], request: &str) -> Option<Paid> {
    let File { format, request: of, answer, left_out } = serde_json::from_slice(bytes).ok()?;
    (format == FORMAT && of == request).then_some(Paid { answer, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_and_damage_is_told() {
        let place = tempfile::tempdir().expect("folder");
        let folder = place.path().join("answers");
        let kept = Kept::open(Some(&folder), None).expect("folder");
        assert_eq!(kept.get("a").expect("nothing"), None);
        let answer = Answer { content: Some("{res:1}".into()), ..Answer::default() };
        let paid = Paid { answer, left_out: vec!["seed".into()] };
        kept.put("a", &paid).expect("kept");
        assert_eq!(kept.get("a").expect("read"), Some(paid));
        fs_err::rename(file(&folder, "a"), file(&folder, "b")).expect("renamed");
        assert!(kept.get("b").is_err(), "the answer of another request");
        fs_err::write(file(&folder, "c"), "{").expect("written");
        assert!(kept.get("c").expect_err("damaged").help.is_some());
    }
}
