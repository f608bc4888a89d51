//! Answers that were paid for, one file a request, so that a run that stopped half way goes on where it was.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use celldag_engine::NodeError;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use crate::learn::failure::io;

const FORMAT: &str = "celldag.answer/1";

/// A folder of answers by the digest of their request.
pub(super) struct Kept {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    request: String,
    answer: Answer,
}

impl Kept {
    /// Makes the folder if it is not there.
    pub(super) fn open(folder: &Path) -> Result<Self, NodeError> {
        fs_err::create_dir_all(folder).map_err(io)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The answer to a request, if there is one.
    ///
    /// # Errors
    /// A damaged file is an error: asking again would cost money that the user may not want to spend.
    pub(super) fn get(&self, request: &str) -> Result<Option<Answer>, NodeError> {
        let path = self.path(request);
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
        };
        match serde_json::from_slice::<File>(&bytes) {
            Ok(file) if file.format == FORMAT && file.request == request => Ok(Some(file.answer)),
            _ => Err(NodeError::data(format!("{}: not the answer of a request", path.display()))
                .help("delete the file; the request is then sent again")),
        }
    }

    /// Keeps an answer: whole or not at all.
    pub(super) fn put(&self, request: &str, answer: &Answer) -> Result<(), NodeError> {
        let file = File { format: FORMAT.to_owned(), request: request.to_owned(), answer: answer.clone() };
        let mut text = serde_json::to_vec_pretty(&file).map_err(io)?;
        text.push(b'\n');
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder).map_err(io)?;
        temporary.write_all(&text).map_err(io)?;
        temporary.persist(self.path(request)).map_err(io)?;
        Ok(())
    }

    fn path(&self, request: &str) -> PathBuf {
        self.folder.join(format!("{request}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_and_damage_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let kept = Kept::open(&folder.path().join("answers")).expect("folder");
        assert_eq!(kept.get("a").expect("nothing"), None);
        let answer = Answer { content: Some("{res:1}".into()), ..Answer::default() };
        kept.put("a", &answer).expect("kept");
        assert_eq!(kept.get("a").expect("read"), Some(answer));
        fs_err::rename(kept.path("a"), kept.path("b")).expect("renamed");
        assert!(kept.get("b").is_err(), "the answer of another request");
        fs_err::write(kept.path("c"), "{").expect("written");
        assert!(kept.get("c").expect_err("damaged").help.is_some());
    }
}
