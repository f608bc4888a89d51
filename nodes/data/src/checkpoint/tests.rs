use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

use super::{CheckpointError, SafetensorsFile, Weights};

fn write(path: &Path, tensors: &[(&str, Dtype, &[usize], &[u8])]) {
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|&(name, dtype, shape, bytes)| (name, TensorView::new(dtype, shape.to_vec(), bytes).unwrap()))
        .collect();
    fs_err::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn sample(folder: &Path) -> PathBuf {
    let path = folder.join("model.safetensors");
    let f32s: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    write(
        &path,
        &[
            ("a.weight", Dtype::F32, &[2, 2], &f32s),
            ("b.half", Dtype::F16, &[2], &[0, 0x3d, 0, 0xbd]),
            ("c.brain", Dtype::BF16, &[1], &[0xa0, 0x3f]),
            ("d.double", Dtype::F64, &[1], &1.25_f64.to_le_bytes()),
            ("position_ids", Dtype::I64, &[1], &[0; 8]),
        ],
    );
    path
}

#[test]
fn every_float_is_widened_and_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Weights::open(&[sample(folder.path())]).unwrap();
    assert_eq!(weights.take("a.weight", &[2, 2]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(weights.take("b.half", &[2]).unwrap(), [1.25, -1.25]);
    assert_eq!(weights.take("c.brain", &[1]).unwrap(), [1.25]);
    let error = weights.finish(&["position_ids"]).unwrap_err().to_string();
    assert!(error.contains("1 tensors") && error.contains("`d.double`"), "{error}");
    assert_eq!(weights.take_any("d.double").unwrap(), (vec![1], vec![1.25]));
    weights.finish(&["position_ids"]).unwrap();
    assert!(weights.finish(&[]).is_err());
}

#[test]
fn missing_misshapen_and_integer_tensors_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Weights::open(&[sample(folder.path())]).unwrap();
    let error = weights.take("a.weigth", &[2, 2]).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::MissingTensor { close: Some(c), .. } if c == "a.weight"),
        "{error}"
    );
    let error = weights.take("a.weight", &[4]).unwrap_err().to_string();
    assert!(error.contains("[2, 2]") && error.contains("[4]"), "{error}");
    assert!(matches!(weights.take("position_ids", &[1]), Err(CheckpointError::WrongType { .. })));
    assert!(weights.finish(&["a.", "b.", "c.", "d."]).is_err(), "a failed take does not count");
}

#[test]
fn names_may_not_repeat_across_files() {
    let folder = tempfile::tempdir().unwrap();
    let one = sample(folder.path());
    let two = folder.path().join("two.safetensors");
    fs_err::copy(&one, &two).unwrap();
    assert!(matches!(Weights::open(&[one, two]), Err(CheckpointError::Duplicate { .. })));
}

#[test]
fn safetensors_are_checked_against_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(folder.path());
    let whole = fs_err::read(&path).unwrap();
    let file = SafetensorsFile::open(&path).unwrap();
    assert_eq!(file.read_range("a.weight", 4..8).unwrap(), 2.0_f32.to_le_bytes());
    assert!(file.read_range("a.weight", 4..17).is_err());
    for cut in 0..whole.len() {
        fs_err::write(&path, &whole[..cut]).unwrap();
        assert!(SafetensorsFile::open(&path).is_err(), "cut at {cut}");
    }
    let mut huge = whole;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs_err::write(&path, &huge).unwrap();
    assert!(SafetensorsFile::open(&path).is_err());
}

#[test]
fn torch_files_are_recognised_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch_model.bin");
    fs_err::write(&path, b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.").unwrap();
    let error = Weights::open(std::slice::from_ref(&path)).unwrap_err().to_string();
    assert!(
        error.contains("pytorch_model.bin") && error.contains("`os.system`") && error.contains("was not run"),
        "{error}"
    );
    fs_err::copy(sample(folder.path()), &path).unwrap();
    assert!(Weights::open(&[path]).unwrap().contains("a.weight"));
}

#[test]
fn the_old_and_the_new_torch_format_hold_the_same_tensors() {
    let root = std::env::var_os("CELLDAG_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
        .join("golden/chemberta_zinc");
    if !root.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", root.display());
        println!("SKIP: {} is missing", root.display());
        return;
    }
    let open = |folder: &str| Weights::open(&[root.join(folder).join("pytorch_model.bin")]).unwrap();
    let (zip, legacy) = (open("checkpoint"), open("checkpoint_legacy_pickle"));
    let mut compared = 0;
    for name in zip.names().filter(|name| legacy.contains(name)) {
        if zip.shape(name) == legacy.shape(name)
            && let (Ok(a), Ok(b)) = (zip.take_any(name), legacy.take_any(name))
        {
            assert_eq!(a, b, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 10, "{compared} tensors");
}
