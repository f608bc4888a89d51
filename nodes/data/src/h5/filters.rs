//! Compression filters: which ones a file asks for, and those that HDF5 does not bring.
//!
//! gzip and shuffle are in the library, blosc is registered by the HDF5 crate, LZF and Zstandard here. Anything else is refused before
//! a chunk is touched, with the filter's name, since the library's own message is about a plugin folder.

use std::ffi::{c_uint, c_void};
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use hdf5_sys::h5::{H5allocate_memory, H5free_memory};
use hdf5_sys::h5z::{H5Z_FLAG_REVERSE, H5Z_class2_t, H5Zregister};

use super::{describe, lzf};
use crate::DataError;

/// Numbers that the HDF Group registered.
const LZF: i32 = 32000;
const ZSTD: i32 = 32015;
/// HDF5 has no chunk above 4 GiB.
const LARGEST_CHUNK: u64 = 1 << 32;

/// Names of filters that people meet, by the HDF Group's registered numbers.
const NAMES: [(i32, &str); 14] = [
    (1, "gzip"),
    (2, "shuffle"),
    (3, "fletcher32"),
    (4, "szip"),
    (5, "nbit"),
    (6, "scale-offset"),
    (305, "LZO"),
    (307, "bzip2"),
    (32000, "lzf"),
    (32001, "blosc"),
    (32004, "LZ4"),
    (32008, "bitshuffle"),
    (32013, "ZFP"),
    (32026, "Blosc2"),
];

/// Fails if a filter of `dataset` cannot be undone.
pub(super) fn check(dataset: &hdf5::Dataset, name: &str, path: &Path) -> Result<(), DataError> {
    let refuse =
        |filter: String| DataError::Filter { path: path.to_owned(), dataset: name.to_owned(), filter };
    let filters = dataset
        .dcpl()
        .and_then(|list| list.get_filters())
        .map_err(|error| refuse(format!("a filter whose settings are broken ({})", describe(&error))))?;
    match filters.iter().find(|filter| !filter.decode_enabled()) {
        Some(filter) => Err(refuse(filter_name(filter.id()))),
        None => Ok(()),
    }
}

fn filter_name(id: i32) -> String {
    match NAMES.iter().find(|(known, _)| *known == id) {
        Some((_, name)) => format!("{name} (HDF5 filter {id})"),
        None => format!("the unknown HDF5 filter {id}"),
    }
}

/// Undoes a filter: the content of a compressed chunk, or `None` if it is broken.
type Decode = fn(&[u8]) -> Option<Vec<u8>>;

/// Makes LZF and Zstandard chunks readable in this process; does nothing when called again.
pub(crate) fn register() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        for (id, name, filter) in
            [(LZF, c"lzf", Some(lzf_filter as Callback)), (ZSTD, c"zstd", Some(zstd_filter))]
        {
            let class = H5Z_class2_t {
                version: 1,
                id,
                encoder_present: 0,
                decoder_present: 1,
                name: name.as_ptr(),
                can_apply: None,
                set_local: None,
                filter,
            };
            #[expect(unsafe_code, reason = "HDF5 takes filters as C structures only")]
            // SAFETY: `class` is a complete H5Z_class2_t; the library copies it during the call, its name is a static
            // string, and the callback has the signature of H5Z_func_t. `sync` holds the library's lock.
            let status = hdf5::sync::sync(|| unsafe { H5Zregister(std::ptr::from_ref(&class).cast()) });
            if status < 0 {
                tracing::warn!(
                    "the {name:?} filter could not be registered; files that use it cannot be read"
                );
            }
        }
    });
}

/// H5Z_func_t without its `Option`.
type Callback =
    unsafe extern "C" fn(c_uint, usize, *const c_uint, usize, *mut usize, *mut *mut c_void) -> usize;

#[expect(unsafe_code, reason = "HDF5 calls filters through a C function pointer")]
unsafe extern "C" fn lzf_filter(
    flags: c_uint,
    _cd_nelmts: usize,
    _cd_values: *const c_uint,
    nbytes: usize,
    buf_size: *mut usize,
    buf: *mut *mut c_void,
) -> usize {
    // SAFETY: the arguments are HDF5's own.
    unsafe { undo(lzf::decode, flags, nbytes, buf_size, buf) }
}

#[expect(unsafe_code, reason = "HDF5 calls filters through a C function pointer")]
unsafe extern "C" fn zstd_filter(
    flags: c_uint,
    _cd_nelmts: usize,
    _cd_values: *const c_uint,
    nbytes: usize,
    buf_size: *mut usize,
    buf: *mut *mut c_void,
) -> usize {
    // SAFETY: the arguments are HDF5's own.
    unsafe { undo(unzstd, flags, nbytes, buf_size, buf) }
}

/// The body of an H5Z_func_t: replaces the compressed chunk in `*buf` by its content and returns the content's length,
/// 0 on failure.
///
/// # Safety
/// `*buf` is a buffer of the library's allocator whose first `nbytes` bytes are filled, and `*buf_size` its size.
#[expect(unsafe_code, reason = "HDF5 hands buffers over as pointers")]
unsafe fn undo(
    decode: Decode,
    flags: c_uint,
    nbytes: usize,
    buf_size: *mut usize,
    buf: *mut *mut c_void,
) -> usize {
    if flags & H5Z_FLAG_REVERSE == 0 {
        return 0;
    }
    // SAFETY: by the contract of this function.
    let old = unsafe { *buf };
    if old.is_null() {
        return 0;
    }
    // SAFETY: as above; nobody writes to the chunk while it is decoded.
    let chunk = unsafe { std::slice::from_raw_parts(old.cast::<u8>(), nbytes) };
    // A panic must not cross into C.
    let Ok(Some(content)) = std::panic::catch_unwind(|| decode(chunk)) else { return 0 };
    // SAFETY: the library's allocator, because the library frees the buffer with its own.
    let memory = unsafe { H5allocate_memory(content.len().max(1), 0) };
    if memory.is_null() {
        return 0;
    }
    // SAFETY: `memory` has room for `content.len()` bytes and cannot overlap with them; the old buffer came from the
    // library's allocator and nobody else holds it.
    unsafe {
        std::ptr::copy_nonoverlapping(content.as_ptr(), memory.cast::<u8>(), content.len());
        H5free_memory(old);
        *buf = memory;
        *buf_size = content.len();
    }
    content.len()
}

fn unzstd(chunk: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(chunk).ok()?;
    decoder.take(LARGEST_CHUNK).read_to_end(&mut content).ok()?;
    Some(content)
}
