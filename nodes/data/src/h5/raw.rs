//! Elements of a dataset as the bytes that the file holds.
//!
//! The HDF5 crate reads into types known when the program is compiled. Fixed-length texts (`S18`), NumPy record arrays
//! (AnnData before 0.7) and booleans of doubtful value are known only when the file is open, so their bytes are read
//! here, unconverted, and interpreted by safe code.

use hdf5::types::TypeDescriptor;
use hdf5_sys::h5d::H5Dread;
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::H5S_ALL;

/// All elements of `dataset`, one after the other, each `dtype.size()` bytes in the file's byte order.
///
/// The caller has checked that the dataset's logical size is believable.
pub(super) fn read_bytes(dataset: &hdf5::Dataset) -> Result<Vec<u8>, hdf5::Error> {
    let dtype = dataset.dtype()?;
    if !is_plain(&dtype.to_descriptor()?) {
        return Err(hdf5::Error::from("elements of variable length have no plain bytes"));
    }
    let size = dataset.space()?.size().checked_mul(dtype.size());
    let mut bytes = vec![0_u8; size.ok_or_else(|| hdf5::Error::from("the size overflows"))?];
    if bytes.is_empty() {
        return Ok(bytes);
    }
    #[expect(unsafe_code, reason = "the safe reader accepts compile-time types only")]
    let status = hdf5::sync::sync(|| {
        // SAFETY: the memory type is the file's own type, which holds no pointers (`is_plain`), so the library writes
        // exactly number of elements × size of an element bytes, which is the length of `bytes`. Both ids are held
        // open by `dataset` and `dtype` for the whole call, and `sync` holds the library's lock.
        unsafe { H5Dread(dataset.id(), dtype.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.as_mut_ptr().cast()) }
    });
    hdf5::h5check(status)?;
    Ok(bytes)
}

/// Whether the type holds its values itself, without pointers to the heap.
fn is_plain(descriptor: &TypeDescriptor) -> bool {
    match descriptor {
        TypeDescriptor::Integer(_)
        | TypeDescriptor::Unsigned(_)
        | TypeDescriptor::Float(_)
        | TypeDescriptor::Boolean
        | TypeDescriptor::Enum(_)
        | TypeDescriptor::FixedAscii(_)
        | TypeDescriptor::FixedUnicode(_) => true,
        TypeDescriptor::FixedArray(element, _) => is_plain(element),
        TypeDescriptor::Compound(compound) => compound.fields.iter().all(|field| is_plain(&field.ty)),
        TypeDescriptor::VarLenArray(_)
        | TypeDescriptor::VarLenAscii
        | TypeDescriptor::VarLenUnicode
        | TypeDescriptor::Reference(_) => false,
    }
}
