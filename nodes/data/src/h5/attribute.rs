//! Attributes: the small texts and numbers that say what a dataset or group is.

use hdf5::Location;
use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};

use super::H5File;

/// Longest fixed-length text and longest list of an attribute that is read.
const LONGEST_TEXT: usize = 1024;
const LONGEST_LIST: usize = 1 << 20;

impl H5File {
    /// The text attribute `attribute` of the group or dataset `name` (`/` for the file itself).
    pub(crate) fn attr_text(&self, name: &str, attribute: &str) -> Option<String> {
        self.attr_texts(name, attribute)?.into_iter().next()
    }

    /// The list of texts in an attribute; a scalar counts as a list of one.
    pub(crate) fn attr_texts(&self, name: &str, attribute: &str) -> Option<Vec<String>> {
        texts(&self.location(name)?, attribute)
    }

    /// The list of whole numbers in an attribute.
    pub(crate) fn attr_ints(&self, name: &str, attribute: &str) -> Option<Vec<i64>> {
        let attribute = open(&self.location(name)?, attribute)?;
        attribute.read_raw::<i64>().ok()
    }

    /// A true or false attribute, stored as HDF5 enumeration or as number.
    pub(crate) fn attr_bool(&self, name: &str, attribute: &str) -> Option<bool> {
        self.attr_ints(name, attribute)?.first().map(|&value| value != 0)
    }

    fn location(&self, name: &str) -> Option<Location> {
        if name == "/" {
            Some(Location::clone(self.root()))
        } else if self.is_group(name) {
            self.root().group(name).ok().map(|group| Location::clone(&group))
        } else {
            self.root().dataset(name).ok().map(|dataset| Location::clone(&dataset))
        }
    }
}

fn open(location: &Location, name: &str) -> Option<hdf5::Attribute> {
    // Asking for an attribute that is not there costs an error stack; the list of names does not.
    if !location.attr_names().ok()?.iter().any(|n| n == name) {
        return None;
    }
    let attribute = location.attr(name).ok()?;
    let space = attribute.space().ok()?;
    let count = space.shape().iter().try_fold(1_usize, |product, &n| product.checked_mul(n))?;
    (!space.is_null() && count <= LONGEST_LIST).then_some(attribute)
}

fn texts(location: &Location, name: &str) -> Option<Vec<String>> {
    let attribute = open(location, name)?;
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    match attribute.dtype().ok()?.to_descriptor().ok()? {
        TypeDescriptor::VarLenUnicode => {
            let values = attribute.read_raw::<VarLenUnicode>().ok()?;
            Some(values.iter().map(|value| lossy(value.as_bytes())).collect())
        }
        TypeDescriptor::VarLenAscii => {
            let values = attribute.read_raw::<VarLenAscii>().ok()?;
            Some(values.iter().map(|value| lossy(value.as_bytes())).collect())
        }
        TypeDescriptor::FixedAscii(length) if length <= LONGEST_TEXT => {
            let values = attribute.read_raw::<FixedAscii<LONGEST_TEXT>>().ok()?;
            Some(values.iter().map(|value| lossy(value.as_bytes())).collect())
        }
        TypeDescriptor::FixedUnicode(length) if length <= LONGEST_TEXT => {
            let values = attribute.read_raw::<FixedUnicode<LONGEST_TEXT>>().ok()?;
            Some(values.iter().map(|value| lossy(value.as_bytes())).collect())
        }
        _ => None,
    }
}
