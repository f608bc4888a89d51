//! The kind `split`: divides labelled cells into training, validation and test cells, and looks for leaks.
//!
//! Draws depend on (seed, cell name) only, so that neither the order of the cells nor the number of threads matters.

mod assign;
mod copies;
mod draw;
mod from_file;
mod held_out;
mod joined;
mod kind;
mod labels;
mod leaks;
mod origins;
mod roles;
mod run;
mod table;
#[cfg(test)]
mod tests;

pub use assign::{Scheme, TestFolds, assign};
pub use copies::{Dropped, drop_copies};
pub use from_file::{Assignment, read_assignment};
pub use held_out::{Shots, external, few_shots, named_groups};
pub use joined::JoinedCells;
pub use kind::Split;
pub use labels::{Classes, LabelRequest, LabelledCells, read_labels};
pub use leaks::{Fingerprints, missing_classes, same_cell_on_both_sides};
pub use origins::{OriginLeaks, groups_on_both_sides, label_fixed_by_group};
pub use roles::{FoldRoles, roles};
pub use table::{FoldCounts, Role, SplitInfo, SplitRow, SplitTable, fold_name};

pub(crate) use draw::shuffled;
