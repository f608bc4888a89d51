use super::*;

fn program(script: &str, folder: &std::path::Path) -> Program {
    Program {
        argv: ["sh", "-c", script].map(OsString::from).into(),
        env: [("PATH".to_owned(), std::env::var_os("PATH").unwrap())].into(),
        folder: folder.to_owned(),
        outputs: folder.to_owned(),
    }
}

#[test]
fn output_is_kept_in_order_and_masked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let secret = "first line\nsecond line".to_owned();
    let log = Captured::new(Log::create(&file, "test", &[secret]).unwrap());
    let script = "echo one; echo two >&2; echo a first line b; printf 'second line'; exit 3";
    let ended = run(&program(script, folder.path()), (&log, None), &|| false).unwrap();
    assert_eq!((ended.code, ended.signal), (Some(3), None));
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "one\ntwo\na *** b\n***");
    assert_eq!(log.tail(), ["one", "two", "a *** b", "***"]);
}

#[test]
fn two_logs_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ["out", "err"].map(|name| Captured::new(Log::in_memory(name, &[])));
    let what = program("echo one; echo two >&2", folder.path());
    run(&what, (&logs[0], Some(&logs[1])), &|| false).unwrap();
    assert_eq!([logs[0].tail(), logs[1].tail()], [["one"], ["two"]]);
}

#[test]
fn who_does_not_listen_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = Captured::new(Log::in_memory("test", &[]));
    let begin = Instant::now();
    let ended = run(&program("sleep 60", folder.path()), (&log, None), &|| true);
    assert!(matches!(ended, Err(Stopped::Cancelled)), "{ended:?}");
    assert!(begin.elapsed() < GRACE, "the polite signal is enough");
}

#[test]
fn programs_that_are_not_there_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("data"), "x").unwrap();
    let log = Captured::new(Log::in_memory("test", &[]));
    for (name, wanted) in [("/no/such/program", Trouble::Missing), ("./data", Trouble::NotAllowed)] {
        let what = Program { argv: vec![name.into()], ..program("", folder.path()) };
        match run(&what, (&log, None), &|| false) {
            Err(Stopped::Unstartable { trouble, .. }) => assert_eq!(trouble, wanted),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_secret_across_the_cut_of_a_long_line_is_masked() {
    let secret = "0123456789abcdef";
    for before in 65_520..65_540 {
        let log = Captured::new(Log::in_memory("test", &[secret.to_owned()]));
        log.read(format!("{}{secret}{}\nnext", "x".repeat(before), "y".repeat(70_000)).as_bytes());
        let lines = log.tail();
        let expected = format!("{}***{}next", "x".repeat(before), "y".repeat(70_000));
        assert!(lines.concat() == expected, "{before}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_supervisor_who_still_writes_is_seen_too() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Captured::new(Log::in_memory("test", &[])));
    // In the group, out of the group, and one that holds no output.
    let scripts = [
        ("sleep 30 > half 2>&1 &", vec![Some(vec!["half".to_owned()])]),
        ("setsid sleep 2 > half 2>&1 &", vec![Some(vec!["half".to_owned()])]),
        ("sleep 30 > /dev/null 2>&1 &", vec![Some(Vec::new())]),
        ("sleep 0.2 > half 2>&1 &", Vec::new()),
    ];
    for (script, open) in scripts {
        let mut what = program(script, folder.path());
        what.outputs = folder.path().join("out");
        fs_err::create_dir_all(&what.outputs).unwrap();
        what.folder.clone_from(&what.outputs);
        let ended = run(&what, (&log, None), &|| false).unwrap();
        assert_eq!(ended.code, Some(0));
        assert_eq!(ended.left.into_iter().map(|left| left.open).collect::<Vec<_>>(), open, "{script}");
        fs_err::remove_dir_all(&what.outputs).unwrap();
    }
}
