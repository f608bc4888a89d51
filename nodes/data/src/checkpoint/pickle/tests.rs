//! What is read, and what is refused. Hand-written byte strings stand for what Python writes, and worse.

use std::path::PathBuf;

use proptest::prelude::*;

use super::{Limits, Pickle, PickleError, ScalarType};

fn fixture(path: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("CELLDAG_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let file = root.join(path);
    if !file.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", file.display());
        println!("SKIP: {} is missing", file.display());
        return None;
    }
    Some(fs_err::read(file).unwrap())
}

fn refused(bytes: &[u8]) -> String {
    Pickle::read(bytes).unwrap_err().to_string()
}

#[test]
fn plain_values_of_all_protocols() {
    // {'a': [1, -2.5, True, None, (1, b'x')], 'n': 2**40}
    let protocol_0 = b"(dVa\n(lI1\naF-2.5\naI01\naNa(I1\n(lI2\nttpasVn\nL1099511627776L\ns.".as_slice();
    assert!(Pickle::read(protocol_0).is_err(), "`tt` has no mark for its second tuple");
    let protocol_0 = b"(dp0\nVa\n(lp1\nI1\naF-2.5\naI01\naNasVn\nL1099511627776L\ns.".as_slice();
    let protocol_4 =
        b"\x80\x04}(\x8c\x01a](K\x01G\xc0\x04\0\0\0\0\0\0\x88Ne\x8c\x01n\x8a\x06\0\0\0\0\0\x01u.".as_slice();
    for bytes in [protocol_0, protocol_4] {
        let pickle = Pickle::read(bytes).unwrap();
        let items: Vec<_> = pickle.root().get("a").unwrap().items().unwrap().collect();
        assert_eq!(items[0].as_i64(), Some(1));
        assert_eq!(items[1].as_f64(), Some(-2.5));
        assert_eq!(items[2].as_bool(), Some(true));
        assert!(items[3].is_none());
        assert_eq!(pickle.root().get("n").unwrap().as_i64(), Some(1 << 40));
    }
}

#[test]
fn old_text_and_long_numbers() {
    assert_eq!(Pickle::read(b"V\\u00e9\xe9\n.").unwrap().root().as_str(), Some("éé"));
    assert_eq!(Pickle::read(b"\x8a\x01\xff.").unwrap().root().as_i64(), Some(-1));
    assert_eq!(
        Pickle::read(b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00.").unwrap().root().as_i64(),
        Some(i64::MAX)
    );
    assert!(refused(b"\x8a\x09\0\0\0\0\0\0\0\0\x01.").contains("64 bits"));
    assert!(
        refused(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.")
            .contains("64 bits")
    );
}

const DTYPE: &[u8] = b"cnumpy\ndtype\n(X\x02\0\0\0";

fn scalar(module: &str, dtype: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("\x02c{module}.multiarray\nscalar\n").into_bytes();
    out.insert(0, 0x80);
    out.extend(DTYPE);
    out.extend(dtype.as_bytes());
    out.extend(b"I0\nI1\ntR(I3\nX\x01\0\0\0");
    out.extend(order.as_bytes());
    out.extend(b"NNNI-1\nI-1\nI0\ntbC");
    out.push(u8::try_from(data.len()).unwrap());
    out.extend(data);
    out.extend(b"\x86R.");
    out
}

#[test]
fn numpy_scalars_of_every_type() {
    let float = |d, o, b: &[u8]| Pickle::read(&scalar("numpy.core", d, o, b)).unwrap().root().as_f64();
    let int = |d, o, b: &[u8]| Pickle::read(&scalar("numpy._core", d, o, b)).unwrap().root().as_i64();
    assert_eq!(float("f8", "<", &1.25_f64.to_le_bytes()), Some(1.25));
    assert_eq!(float("f8", ">", &1.25_f64.to_be_bytes()), Some(1.25));
    assert_eq!(float("f4", "<", &1.25_f32.to_le_bytes()), Some(1.25));
    assert_eq!(float("f2", "<", &[0, 0x3d]), Some(1.25));
    assert_eq!(int("i1", "|", &[0xfe]), Some(-2));
    assert_eq!(int("i2", "<", &[0xfe, 0xff]), Some(-2));
    assert_eq!(int("i4", ">", &[0xff, 0xff, 0xff, 0xfe]), Some(-2));
    assert_eq!(int("i8", "<", &(-2_i64).to_le_bytes()), Some(-2));
    assert_eq!(int("u1", "|", &[0xfe]), Some(254));
    assert_eq!(int("u2", "<", &[0xfe, 0xff]), Some(65_534));
    assert_eq!(int("u4", "<", &u32::MAX.to_le_bytes()), Some(u32::MAX.into()));
    assert_eq!(int("u8", "<", &7_u64.to_le_bytes()), Some(7));
    let truth = Pickle::read(&scalar("numpy", "b1", "|", &[1]));
    assert!(truth.is_err(), "numpy.multiarray is no module of numpy scalars");
    assert_eq!(Pickle::read(&scalar("numpy.core", "b1", "|", &[1])).unwrap().root().as_bool(), Some(true));
    let text = |order, bytes: &[u8]| {
        let pickle = Pickle::read(&scalar("numpy.core", "U3", order, bytes)).unwrap();
        pickle.root().as_str().map(str::to_owned)
    };
    assert_eq!(text("<", b"A\0\0\0\xe9\0\0\0\0\0\0\0").as_deref(), Some("Aé"));
    assert_eq!(text(">", b"\0\0\0A\0\0\0B\0\0\0C").as_deref(), Some("ABC"));
    assert!(refused(&scalar("numpy.core", "U3", "<", &[0xff; 12])).contains("12 bytes"));
    assert!(refused(&scalar("numpy.core", "U9", "<", &[0; 12])).contains("12 bytes"));
    assert!(refused(&scalar("numpy.core", "u8", "<", &u64::MAX.to_le_bytes())).contains("scalar"));
    assert!(refused(&scalar("numpy.core", "f8", "<", &[0; 7])).contains("7 bytes"));
    assert!(refused(&scalar("numpy.core", "O8", "|", &[0; 8])).contains("O8"));
    assert!(refused(&scalar("numpy.core", "f8", "!", &[0; 8])).contains('!'));
}

fn array(shape: &str, fortran: &str, data: &[u8]) -> Vec<u8> {
    let mut out =
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01".to_vec();
    out.extend(shape.as_bytes());
    out.extend(DTYPE);
    out.extend(b"i2I0\nI1\ntR");
    out.extend(fortran.as_bytes());
    out.push(b'C');
    out.push(u8::try_from(data.len()).unwrap());
    out.extend(data);
    out.extend(b"tb.");
    out
}

#[test]
fn numpy_arrays_in_both_orders() {
    let data = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0];
    let c = Pickle::read(&array("(I2\nI3\nt", "I00\n", &data)).unwrap();
    assert_eq!(c.root().as_array().unwrap().values, [1., 2., 3., 4., 5., 6.]);
    let f = Pickle::read(&array("(I2\nI3\nt", "I01\n", &data)).unwrap();
    assert_eq!(f.root().as_array().unwrap().values, [1., 3., 5., 2., 4., 6.]);
    assert_eq!(f.root().as_array().unwrap().shape, [2, 3]);
    assert_eq!(f.root().as_array().unwrap().scalar, ScalarType::Int(2));
    assert!(refused(&array("(I2\nI4\nt", "I00\n", &data)).contains("[2, 4]"));
    assert!(refused(&array("(I9223372036854775807\nI9\nt", "I00\n", &data)).contains("shape"));
    assert!(refused(&array("(I-2\nI-3\nt", "I00\n", &data)).contains("-2"));
}

#[test]
fn code_is_refused_by_name_and_place_and_never_run() {
    let system = b"\x80\x02cos\nsystem\nX\x09\0\0\0rm -rf ~/x\x85R.";
    assert_eq!(
        Pickle::read(system).unwrap_err(),
        PickleError::RefusedGlobal { name: "os.system".to_owned(), position: 2 }
    );
    let stack_global = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
    let message = refused(stack_global);
    assert!(message.contains("`builtins.eval` at byte 18") && message.contains("safetensors"), "{message}");
    // Instructions that call or look up by other ways: INST, OBJ, NEWOBJ_EX, EXT1, PERSID, BINPERSID, NEXT_BUFFER.
    for opcode in [b'i', b'o', 0x92, 0x82, 0x83, 0x84, b'P', b'Q', 0x97, 0x98] {
        let program = [b"\x80\x04(".as_slice(), &[opcode], b"os\nsystem\n."].concat();
        assert!(
            matches!(Pickle::read(&program), Err(PickleError::RefusedOpcode { position: 3, .. })),
            "{opcode}"
        );
    }
    // Callables of the list cannot be called with other things either.
    assert!(Pickle::read(b"cbuiltins\nbytes\n(I1000000000\ntR.").is_err());
    assert!(Pickle::read(b"c_codecs\nencode\n(Vx\nVrot13\ntR.").is_err());
    assert!(Pickle::read(b"Vx\n)R.").is_err());
    assert!(Pickle::read(b"Vx\n)b.").is_err());
}

#[test]
fn ordered_dicts_and_bytes_of_old_protocols() {
    let pickle = Pickle::read(b"\x80\x02ccollections\nOrderedDict\n)R(Va\nK\x01u.").unwrap();
    assert_eq!(pickle.root().get("a").unwrap().as_i64(), Some(1));
    let pickle = Pickle::read(b"ccollections\nOrderedDict\n((l(lVa\naI1\naatR.").unwrap();
    assert_eq!(pickle.root().get("a").unwrap().as_i64(), Some(1));
    let pickle = Pickle::read(b"c_codecs\nencode\n(V\xff\x01\nVlatin1\ntR.").unwrap();
    assert_eq!(pickle.root().as_bytes(), Some([0xff, 1].as_slice()));
}

#[test]
fn huge_claims_allocate_nothing() {
    for bytes in [
        b"X\xff\xff\xff\xffabc".as_slice(),
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",
        b"\x8b\xff\xff\xff\xffabc",
    ] {
        assert!(matches!(Pickle::read(bytes), Err(PickleError::Truncated { .. })));
    }
    assert!(matches!(Pickle::read(b"r\xff\xff\xff\xffN."), Err(PickleError::Malformed { .. })));
    assert!(Pickle::read(b"Nr\xff\xff\xff\xff.").unwrap().root().is_none(), "a sparse memo");
}

#[test]
fn one_value_passed_to_many_calls_is_bounded() {
    let mut bytes = b"c_codecs\nencode\nq\0(V".to_vec();
    bytes.extend(std::iter::repeat_n(b'x', 1000));
    bytes.extend(b"\nVlatin1\ntq\x01R");
    for _ in 0..1000 {
        bytes.extend(b"0h\0h\x01R");
    }
    bytes.push(b'.');
    assert!(matches!(Pickle::read(&bytes), Err(PickleError::TooLarge { .. })));
}

#[test]
fn nesting_and_cycles_are_refused() {
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
    assert!(matches!(Pickle::read(&deep), Err(PickleError::TooLarge { .. })));
    let fine = [vec![b']'; 100], vec![b'a'; 99], b".".to_vec()].concat();
    assert!(Pickle::read(&fine).is_ok());
    let marks = [vec![b'('; 100_000], b"t.".to_vec()].concat();
    assert!(Pickle::read(&marks).is_ok(), "an empty tuple above forgotten marks");
    assert!(refused(b"]q\0h\0a.").contains("contains itself"));
    assert!(refused(b"}q\0Va\nh\0s.").contains("contains itself"));
    // Each level holds the level below twice: 2^60 paths, 60 values.
    let mut shared = b"]".to_vec();
    for _ in 0..60 {
        shared.extend(b"2\x86");
    }
    shared.push(b'.');
    let shared = Pickle::read(&shared).unwrap();
    assert!(matches!(shared.root().to_json(), Err(PickleError::TooLarge { .. })));
    let text = [b"(X\x00\x00\x10\x00".to_vec(), vec![b'x'; 1 << 20], vec![b'2'; 20], b"t.".to_vec()].concat();
    let text = Pickle::read(&text).unwrap();
    assert!(matches!(text.root().to_json(), Err(PickleError::TooLarge { .. })));
}

#[test]
fn limits_hold() {
    let limits = Limits { nodes: 3, ..Limits::default() };
    assert!(Pickle::read_within(b"NNN\x87.", limits).is_err());
    assert!(Pickle::read_within(b"NN\x86.", limits).is_ok());
    assert!(Pickle::read_within(b"NNNNN.", Limits { bytes: 5, ..Limits::default() }).is_err());
}

#[test]
fn marks_cannot_be_reached_through() {
    assert!(Pickle::read(b"N(\x85.").is_err());
    assert!(Pickle::read(b"](a.").is_err());
    assert!(Pickle::read(b".").is_err());
    assert!(Pickle::read(b"e.").is_err());
}

#[test]
fn real_dictionaries_are_read_whole_and_never_panic_when_cut() {
    let Some(tokens) = fixture("data/vocab/geneformer/token_dictionary.pkl") else { return };
    let pickle = Pickle::read(&tokens).unwrap();
    assert_eq!(pickle.root().entries().unwrap().len(), 25_426);
    assert_eq!(pickle.root().get("<mask>").unwrap().as_i64(), Some(1));
    assert_eq!(pickle.root().entries().unwrap().map(|(_, v)| v.as_i64().unwrap()).max(), Some(25_425));
    for cut in (0..2_000).chain((2_000..tokens.len()).step_by(9_973)) {
        assert!(matches!(Pickle::read(&tokens[..cut]), Err(PickleError::Truncated { .. })), "cut at {cut}");
    }
    let Some(medians) = fixture("data/vocab/geneformer/gene_median_dictionary.pkl") else { return };
    let pickle = Pickle::read(&medians).unwrap();
    assert_eq!(pickle.root().entries().unwrap().filter(|(_, v)| v.as_f64().unwrap() > 0.0).count(), 25_424);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Pickle::read(&bytes));
    }

    #[test]
    fn programs_of_known_instructions_never_panic(
        opcodes in proptest::collection::vec(
            proptest::sample::select(b"(.012NRab}])deltusq\x00\x01h\x85\x86\x87\x88\x94K".to_vec()), 0..60),
    ) {
        drop(Pickle::read(&opcodes));
        let with_globals = [DTYPE, b"i2tRcnumpy.core.multiarray\nscalar\n", &opcodes].concat();
        drop(Pickle::read(&with_globals));
    }
}
