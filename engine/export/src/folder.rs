//! The folder that an export writes: its own and nobody else's, each file whole or not at all, and none that the user changed.

mod marker;

pub(crate) use marker::NAME as MARKER;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use crate::error::ExportError;
use marker::{Digests, Marker, digest};

/// Path in the folder → content.
pub type Files = BTreeMap<PathBuf, String>;

/// A file that the user changed since it was written: it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Path in the folder.
    pub path: PathBuf,
    /// What the export has to say about it now.
    pub now: Now,
}

/// What an export has for a file that the user changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    /// The same as last time.
    Same,
    /// Another text, which lies here.
    Beside(PathBuf),
    /// The file is no longer part of the export.
    Gone,
}

/// Writes an export into `folder`, over an earlier one of the same kind: files that are no longer part of it go, results of
/// the workflow stay, and so does every file that the user changed. Says which those are. The same files give the same bytes.
///
/// # Errors
/// When the folder holds what no export of this kind wrote, or cannot be written.
pub fn write(folder: &Path, engine: &str, files: &Files) -> Result<Vec<Kept>, ExportError> {
    let before = read_marker(folder, engine)?;
    fs_err::create_dir_all(folder).map_err(io(folder))?;
    let mut kept = Vec::new();
    let mut placed = Files::new();
    for (path, text) in files {
        if !is_changed(folder, &before, path, Some(text))? {
            placed.insert(path.clone(), text.clone());
            continue;
        }
        let beside = free_beside(folder, &before, files, path, text)?;
        // What the user threw away does not come back until there is something new to say.
        let waits = before.files.contains_key(&beside) && folder.join(&beside).exists();
        let now = if !waits && before.is_settled(path, text) {
            Now::Same
        } else {
            placed.insert(beside.clone(), text.clone());
            Now::Beside(beside)
        };
        kept.push(Kept { path: path.clone(), now });
    }
    let texts = files.iter().chain(&placed);
    let after: Digests = texts.map(|(path, text)| (path.clone(), digest(text.as_bytes()))).collect();
    // First, and with the files that are to go: after an export that broke off, the next one still knows the folder and them.
    put_marker(folder, &before.about_to(after.clone()))?;
    for (path, text) in &placed {
        let path = folder.join(path);
        put(&path, text).map_err(io(&path))?;
    }
    // A marker that somebody edited must not lead out of the folder.
    let inside = |path: &&PathBuf| path.components().all(|part| matches!(part, Component::Normal(_)));
    for path in before.paths().filter(|path| !after.contains_key(*path)).filter(inside) {
        if is_changed(folder, &before, path, None)? {
            kept.push(Kept { path: path.clone(), now: Now::Gone });
            continue;
        }
        let path = folder.join(path);
        match fs_err::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&path)(e)),
            _ => {}
        }
    }
    put_marker(folder, &before.done(after))?;
    Ok(kept)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { path, source }
}

/// What the export before has written down; that of nothing for a folder that is empty or does not exist.
fn read_marker(folder: &Path, engine: &str) -> Result<Marker, ExportError> {
    let occupied = || ExportError::Occupied { folder: folder.to_owned() };
    let path = folder.join(marker::NAME);
    match fs_err::read_to_string(&path) {
        Ok(text) => Marker::read(&text, engine).ok_or_else(occupied),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let empty = folder.read_dir().map_or(true, |mut entries| entries.next().is_none());
            if empty { Ok(Marker::new(engine)) } else { Err(occupied()) }
        }
        Err(e) => Err(io(&path)(e)),
    }
}

fn put_marker(folder: &Path, marker: &Marker) -> Result<(), ExportError> {
    let path = folder.join(marker::NAME);
    let text = marker.text().map_err(|e| io(&path)(e.into()))?;
    put(&path, &text).map_err(io(&path))
}

/// Whether somebody else wrote what is there now. A file that is missing is written again, and one with the text that is to be
/// written needs no care.
fn is_changed(
    folder: &Path,
    before: &Marker,
    path: &Path,
    text: Option<&String>,
) -> Result<bool, ExportError> {
    let place = folder.join(path);
    match fs_err::read(&place) {
        Ok(found) => Ok(text.is_none_or(|text| found != text.as_bytes()) && !before.wrote(path, &found)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io(&place)(e)),
    }
}

/// `config.yaml.new` for `config.yaml`; `config.yaml.new2` and so on where the user has put or changed something there.
fn free_beside(
    folder: &Path,
    before: &Marker,
    files: &Files,
    path: &Path,
    text: &String,
) -> Result<PathBuf, ExportError> {
    let mut number = 1_u64;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".new".to_owned() } else { format!(".new{number}") });
        let beside = PathBuf::from(name);
        if !files.contains_key(&beside) && !is_changed(folder, before, &beside, Some(text))? {
            return Ok(beside);
        }
        number += 1;
    }
}

/// Writes a file beside its place and moves it there. A file that is right already stays as it is: Snakemake would take a new
/// time for a change.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    if fs_err::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// As any file that a program writes; temporary ones are for their owner only.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect()
    }

    #[test]
    fn only_an_own_folder_is_written_again() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("new/export");
        write(&folder, "snakemake", &files(&[("Snakefile", "a"), ("old/b", "b")])).unwrap();
        fs_err::write(folder.join("result"), "mine").unwrap();
        write(&folder, "snakemake", &files(&[("Snakefile", "c")])).unwrap();
        assert_eq!(fs_err::read_to_string(folder.join("Snakefile")).unwrap(), "c");
        assert!(!folder.join("old/b").exists() && folder.join("result").exists());

        let told = write(&folder, "nextflow", &files(&[("main.nf", "d")])).unwrap_err().to_string();
        assert!(told.contains("celldag export"), "{told}");
        assert!(!folder.join("main.nf").exists());
        assert!(write(outer.path(), "snakemake", &files(&[("Snakefile", "c")])).is_err());
    }

    #[test]
    fn what_the_user_changed_stays() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("export");
        let read = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
        let export = |pairs: &[(&str, &str)]| write(&folder, "snakemake", &files(pairs)).unwrap();
        let kept = |path: &str, now: Now| vec![Kept { path: path.into(), now }];
        let new = || Now::Beside("config.yaml.new".into());
        assert_eq!(export(&[("Snakefile", "a1"), ("config.yaml", "b1")]), []);
        fs_err::write(folder.join("config.yaml"), "mine").unwrap();

        assert_eq!(export(&[("Snakefile", "a1"), ("config.yaml", "b1")]), kept("config.yaml", Now::Same));
        assert!(!folder.join("config.yaml.new").exists(), "nothing new to say");
        let second = [("Snakefile", "a2"), ("config.yaml", "b2")];
        assert_eq!(export(&second), kept("config.yaml", new()));
        assert_eq!([read("Snakefile"), read("config.yaml"), read("config.yaml.new")], ["a2", "mine", "b2"]);
        assert_eq!(export(&second), kept("config.yaml", new()), "until it is taken over or thrown away");
        fs_err::remove_file(folder.join("config.yaml.new")).unwrap();
        assert_eq!(export(&second), kept("config.yaml", Now::Same));
        assert!(!folder.join("config.yaml.new").exists());

        assert_eq!(export(&[("Snakefile", "a3"), ("config.yaml", "b3")]), kept("config.yaml", new()));
        fs_err::rename(folder.join("config.yaml.new"), folder.join("config.yaml")).unwrap();
        assert_eq!(export(&[("Snakefile", "a4"), ("config.yaml", "b4")]), [], "taken over");
        assert_eq!(read("config.yaml"), "b4");

        fs_err::write(folder.join("config.yaml"), "mine again").unwrap();
        assert_eq!(export(&[("Snakefile", "a5")]), kept("config.yaml", Now::Gone));
        assert_eq!(read("config.yaml"), "mine again");
        assert_eq!(export(&[("Snakefile", "a5")]), [], "no longer a file of the export");
    }

    #[test]
    fn an_export_that_broke_off_is_no_change_of_the_user() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("export");
        write(&folder, "snakemake", &files(&[("a", "a1"), ("b", "b1")])).unwrap();
        // As a kill between the files leaves it.
        let mut marker = read_marker(&folder, "snakemake").unwrap();
        for texts in [[("a", "a2"), ("c", "c2")], [("b", "b2"), ("a", "a2b")]] {
            marker = marker.about_to(texts.map(|(p, t)| (p.into(), digest(t.as_bytes()))).into());
            put_marker(&folder, &marker).unwrap();
            marker = read_marker(&folder, "snakemake").unwrap();
        }
        fs_err::write(folder.join("a"), "a2").unwrap();
        fs_err::write(folder.join("c"), "c2").unwrap();
        assert_eq!(write(&folder, "snakemake", &files(&[("a", "a3"), ("b", "b3")])).unwrap(), []);
        assert_eq!(fs_err::read_to_string(folder.join("a")).unwrap(), "a3");
        assert_eq!(fs_err::read_to_string(folder.join("b")).unwrap(), "b3");
        assert!(!folder.join("c").exists(), "only an export that broke off had it");
    }

    #[test]
    fn a_folder_of_an_older_version_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs_err::write(folder.join(marker::NAME), r#"{"celldag_export": 2, "engine": "snakemake"}"#).unwrap();
        fs_err::write(folder.join("a"), "old").unwrap();
        let kept = write(folder, "snakemake", &files(&[("a", "a1")])).unwrap();
        assert_eq!(kept, [Kept { path: "a".into(), now: Now::Beside("a.new".into()) }]);
        assert_eq!(fs_err::read_to_string(folder.join("a")).unwrap(), "old");
        assert!(write(folder, "nextflow", &files(&[("a", "a1")])).is_err());
    }

    #[test]
    fn what_the_user_has_beside_a_file_stays_too() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("export");
        let read = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
        write(&folder, "snakemake", &files(&[("a", "a1")])).unwrap();
        fs_err::write(folder.join("a"), "mine").unwrap();
        fs_err::write(folder.join("a.new"), "mine too").unwrap();
        let kept = write(&folder, "snakemake", &files(&[("a", "a2")])).unwrap();
        assert_eq!(kept, [Kept { path: "a".into(), now: Now::Beside("a.new2".into()) }]);
        assert_eq!([read("a"), read("a.new"), read("a.new2")], ["mine", "mine too", "a2"]);
        fs_err::write(folder.join("a.new2"), "changed").unwrap();
        write(&folder, "snakemake", &files(&[("a", "a3")])).unwrap();
        assert_eq!([read("a.new2"), read("a.new3")], ["changed", "a3"]);
    }
}
