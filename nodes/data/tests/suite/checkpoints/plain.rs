//! Arrays of numpy and pickles of plain data.

use celldag_data::checkpoint::pickle::{Pickle, ScalarType};
use celldag_data::checkpoint::{BARE_TENSOR, Dtype};

use crate::checkpoints::files::{assert_expected, open, own, refused};

#[test]
fn archives_of_arrays_packed_or_not() {
    for file in ["stored.npz", "packed.npz"] {
        assert_expected(&open(&own(file)), "npz", &[]);
    }
}

#[test]
fn arrays_of_both_orders_and_ends() {
    let fortran = open(&own("fortran.npy"));
    assert_eq!(fortran.take(BARE_TENSOR, &[2, 3]).unwrap(), [0., 1., 2., 3., 4., 5.]);
    assert_eq!(fortran.rows(BARE_TENSOR, 1..2).unwrap(), [3., 4., 5.]);
    let big = open(&own("big.npy"));
    assert_eq!(big.dtype(BARE_TENSOR), Some(Dtype::F64));
    assert_eq!(big.rows(BARE_TENSOR, 1..3).unwrap(), [2., 3., 4., 5.]);
}

#[test]
fn headers_of_arrays_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.npy");
    let why = |version: u8, header: &str, data: &[u8]| {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        fs_err::write(&path, bytes).unwrap();
        refused(&path)
    };
    let data = [0; 16];
    let fine = "{'descr': '<f8', 'fortran_order': False, 'shape': (2L,), }\n";
    assert!(why(1, fine, &data[1..]).contains("goes beyond the 1 elements"));
    assert!(why(1, fine, &[0; 17]).contains("17 bytes of data"));
    assert!(why(4, fine, &data).contains("version is 4"));
    assert!(
        why(1, "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", &data).contains("Python objects")
    );
    assert!(
        why(1, "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}", &data)
            .contains("several types")
    );
    assert!(why(1, "{'descr': '<f8', 'fortran_order': False}", &data).contains("incomplete"));
    assert!(
        why(1, "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", &data)
            .contains("unexpected key")
    );
    assert!(why(1, "{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}", &data).contains("`<q9`"));
    assert!(why(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", &data).contains("shape"));
    for shape in ["(9223372036854775807, 9)", "(4294967296, 4294967296, 0)", "(18446744073709551616,)"] {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}");
        why(1, &header, &data);
    }
    why(1, "", &data);
    fs_err::write(&path, b"\x93NUMPY\x02\0\xff\xff\xff\xff{").unwrap();
    assert!(refused(&path).contains("cut off"));
    let whole = fs_err::read(own("big.npy")).unwrap();
    for cut in 0..whole.len() {
        fs_err::write(&path, &whole[..cut]).unwrap();
        refused(&path);
    }
}

#[test]
fn pickles_of_every_protocol() {
    for protocol in 0..=5 {
        let bytes = fs_err::read(own(&format!("plain_{protocol}.pkl"))).unwrap();
        let pickle = Pickle::read(&bytes).unwrap_or_else(|e| panic!("protocol {protocol}: {e}"));
        let get = |name: &str| pickle.root().get(name).unwrap();
        assert_eq!(get("int").as_i64(), Some(-3));
        assert_eq!(get("float").as_f64(), Some(1.25));
        assert_eq!(get("half").as_f64(), Some(0.5));
        assert_eq!(get("truth").as_bool(), Some(true));
        assert_eq!(get("text").as_str(), Some("gène"));
        assert_eq!(get("unsigned").as_i64(), Some(7));
        let arrays =
            [("array", ScalarType::Float(4)), ("fortran", ScalarType::Int(1)), ("big", ScalarType::Int(4))];
        for (name, scalar) in arrays {
            let array = get(name).as_array().unwrap();
            assert_eq!(array.shape, [2, 3], "{name}");
            assert_eq!(array.scalar, scalar, "{name}");
            assert_eq!(array.values, [0., 1., 2., 3., 4., 5.], "{name} of protocol {protocol}");
        }
        assert_eq!(get("empty").as_array().unwrap().shape, [0, 2]);
        let list: Vec<_> = get("list").items().unwrap().collect();
        assert_eq!(
            (list[2].as_i64(), list[6].as_str(), list[7].as_bytes()),
            (Some(1 << 40), Some("é"), Some([0, 255].as_slice()))
        );
        assert_eq!(get("tuple").items().unwrap().last().unwrap().items().unwrap().len(), 2);
        assert_eq!(get("set").items().unwrap().next().unwrap().as_i64(), Some(1));
        assert_eq!(get("ordered").get("a").unwrap().as_i64(), Some(1));
        assert_eq!(get("nothing").as_bytes(), Some([].as_slice()));
        assert_eq!(get("bytes").as_bytes(), Some(b"ab".as_slice()), "protocol {protocol}");
    }
}
