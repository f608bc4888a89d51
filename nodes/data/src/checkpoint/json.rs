//! JSON whose keys may not repeat: `serde_json` keeps the last of two entries silently.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A dictionary in the order of the file.
pub(crate) struct Unique<T>(pub(crate) IndexMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a dictionary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = IndexMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if out.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
                    }
                    out.insert(key, value);
                }
                Ok(Unique(out))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// All bytes of a file that may not have more than `limit`.
pub(crate) fn read_file(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    fs_err::File::open(path)?.take(limit + 1).read_to_end(&mut out)?;
    if out.len() as u64 > limit {
        let message =
            format!("{}: the file has more than {limit} bytes, the most for its kind", path.display());
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(out)
}
