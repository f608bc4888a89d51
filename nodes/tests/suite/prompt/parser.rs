//! Properties of the parsers: right lists are read in any dress, and no text is mistaken for classes.

use celldag_nodes::prompt::{published, tolerant};
use proptest::prelude::*;

/// One way to write a list of numbers.
fn dressed(values: &[usize], dress: usize, space: &str) -> String {
    let comma = format!(",{space}");
    let plain: Vec<String> = values.iter().map(ToString::to_string).collect();
    let quoted: Vec<String> = plain.iter().map(|v| format!("\"{v}\"")).collect();
    match dress {
        0 => format!("{{res:{space}{}}}", plain.join(&comma)),
        1 => format!("{{\"answers\":{space}[{}]}}", plain.join(&comma)),
        2 => format!("[{}]", quoted.join(&comma)),
        3 => format!("{{'res'{space}: [{space}{}{space}]}}", quoted.join(&comma)),
        4 => format!("```json\n{{\"answers\": [{}]}}\n```", plain.join(&comma)),
        _ => format!("My answer is {{res ={space}{}}}", plain.join(&comma)),
    }
}

proptest! {
    #[test]
    fn lists_are_read_in_any_dress(
        values in prop::collection::vec(0_usize..4, 1..20),
        dress in 0_usize..6,
        space in "[ \n]{0,2}",
        example in prop::collection::vec(0_usize..2, 1..12),
        thoughts in prop::option::of("[a-z {}:,0-9]{0,40}"),
    ) {
        let mut text = format!("The form is {}. ", dressed(&example, 0, ""));
        text.push_str(&dressed(&values, dress, &space));
        if let Some(thoughts) = thoughts {
            text = format!("<think>{thoughts}</think>\n{text}");
        }
        prop_assert_eq!(tolerant(&text, values.len(), 4), Ok(values.clone()), "{}", text);
        let other = tolerant(&text, values.len() + 1, 4);
        prop_assert!(other.is_err(), "{}", text);
        if values.contains(&3) {
            prop_assert!(tolerant(&text, values.len(), 3).is_err(), "{}", text);
        }
    }

    #[test]
    fn whatever_is_read_has_the_right_number_of_classes(text in "[ -~\n]{0,80}|[\\[\\]{}:,01 res\"<>/think]{0,60}", cells in 1_usize..6) {
        for read in [tolerant(&text, cells, 2), published(&text, cells)].into_iter().flatten() {
            prop_assert!(read.len() == cells && read.iter().all(|class| *class < 2), "{}: {:?}", text, read);
        }
    }

    #[test]
    fn any_unicode_is_survived(text in "\\PC{0,60}") {
        let _ = tolerant(&text, 3, 2);
        let _ = published(&text, 3);
    }

    #[test]
    fn what_the_published_parser_reads_ours_reads_too(values in prop::collection::vec(0_usize..2, 10)) {
        let text = dressed(&values, 0, "");
        prop_assert_eq!(published(&text, 10), Ok(values.clone()));
        prop_assert_eq!(tolerant(&text, 10, 2), Ok(values));
    }
}
