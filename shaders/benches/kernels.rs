//! The table of docs/kernels.md: every kernel at the sizes of a transformer on single cells, with the measured share of the
//! adapter's peak:
//! `cargo bench -p celldag-shaders --bench kernels -- [DEVICES] [THREADS] [ROWS] [--write=docs/kernels.md]`.
//!
//! DEVICES are joined by commas (default `software,cpu`); each becomes a column. The peak is what the maker publishes
//! (benches/common/peak.rs, CELLDAG_GPU_PEAK_TFLOPS), or else the fastest matrix product and the fastest copy that the
//! device did here (the peak of a row that was faster counts, too). Prints Markdown; with `--write` it also replaces what is between the marks of the document (a path
//! from the root of the repository).

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

mod common;
mod table;

use std::fmt::Write as _;
use std::path::Path;

use celldag_shaders::measure::{fastest, pattern};
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::testing::{use_attention_kernel, use_tiled_kernels};
use celldag_shaders::{Device, DeviceOptions, Precision, Result};
use common::{Arguments, peak};
use table::{Operands, Row, Set};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Seconds to spend on each row.
const SECONDS: f64 = 0.4;

/// A device with what it can do at most.
struct Column {
    device: Device,
    rows: usize,
    /// Operations a second of products in f32.
    flops: f64,
    /// Bytes a second.
    bytes: f64,
    /// The same adapter in the precisions of cooperative matrices that it has, with operations a second.
    cooperative: Vec<(Device, f64)>,
    /// Whether the peak is the device's own best.
    own: bool,
    note: String,
}

impl Column {
    fn open(choice: &str, threads: usize, rows: usize) -> Column {
        let open = |precision| {
            let options = DeviceOptions { precision, ..DeviceOptions::new(choice, threads) };
            Device::open_with(&options)
        };
        let device = open(Precision::F32).unwrap_or_else(|error| panic!("{choice}: {error}"));
        let info = device.info().clone();
        let published = peak(&info).filter(|peak| peak.f32_tflops.is_finite());
        let (product, copy) = (best_product(&device, rows).unwrap(), best_copy(&device).unwrap());
        let or = |value: Option<f64>, own: f64| value.filter(|value| value.is_finite()).unwrap_or(own);
        let with_peak = |device: Device| {
            let given = published.map(|peak| peak.flops(device.precision()));
            let own =
                if given.is_some_and(f64::is_finite) { 0.0 } else { best_product(&device, rows).unwrap() };
            (device, or(given, own))
        };
        let slow = if info.backend == "cpu" || info.software {
            format!(", {threads} threads")
        } else {
            String::new()
        };
        let note = format!(
            "{}, {}{slow}; shares are of {}",
            info.name,
            info.driver,
            published.map_or("its own best".to_owned(), |peak| format!("the published {peak:?}")),
        );
        Column {
            device,
            rows,
            flops: or(published.map(|peak| peak.flops(Precision::F32)), product),
            bytes: or(published.map(|peak| peak.gigabytes * 1e9), copy),
            cooperative: [Precision::F16, Precision::F32x3]
                .into_iter()
                .filter_map(|precision| open(precision).ok())
                .map(with_peak)
                .collect(),
            own: published.is_none(),
            note,
        }
    }

    fn measure(&self, row: &Row) -> Cell {
        let native = self.device.info().backend == "cpu";
        let device = match row.set {
            Set::Cooperative(precision) => {
                match self.cooperative.iter().find(|(device, _)| device.precision() == precision) {
                    Some((device, _)) => device,
                    None => return Cell::Text("not here".to_owned()),
                }
            }
            // The CPU backend has one set: said once.
            Set::Direct | Set::Attention("direct-4") if native => {
                return Cell::Text("the same".to_owned());
            }
            _ => &self.device,
        };
        match row.set {
            Set::Tiled => use_tiled_kernels(device, true),
            Set::Direct => use_tiled_kernels(device, false),
            Set::Attention(name) => use_attention_kernel(device, Some(name)),
            Set::Any | Set::Cooperative(_) => {}
        }
        let speed = Operands::new(device, self.rows).and_then(|operands| {
            let work = (row.make)(&operands)?;
            let seconds = fastest(SECONDS, &work.run)?;
            Ok(Cell::Speed { flops: work.flops / seconds, bytes: 4.0 * work.values / seconds })
        });
        use_tiled_kernels(device, !self.device.info().software);
        use_attention_kernel(device, None);
        speed.unwrap_or_else(|error| Cell::Text(format!("failed: {error}")))
    }

    /// What the table says: the speed by what bounds it, and the share of the peak.
    fn text(&self, row: &Row, cell: &Cell) -> String {
        let (flops, bytes) = match cell {
            Cell::Text(text) => return text.clone(),
            Cell::Speed { flops, bytes } => (flops, bytes),
        };
        let peak = match row.set {
            Set::Cooperative(precision) => {
                let found = self.cooperative.iter().find(|(device, _)| device.precision() == precision);
                found.map_or(f64::NAN, |(_, peak)| *peak)
            }
            _ => self.flops,
        };
        let (arithmetic, memory) = (flops / peak, bytes / self.bytes);
        let digits = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        if arithmetic > memory {
            format!("{} GFLOP/s, {:.0} %", digits(flops / 1e9), 100.0 * arithmetic)
        } else {
            format!("{} GB/s, {:.0} %", digits(bytes / 1e9), 100.0 * memory)
        }
    }
}

/// What was found out about a row.
enum Cell {
    Speed { flops: f64, bytes: f64 },
    Text(String),
}

/// Operations a second of the fastest of some matrix products.
fn best_product(device: &Device, rows: usize) -> Result<f64> {
    let mut best = 0.0f64;
    let large = if device.info().software { 512 } else { 4096.min(2 * rows) };
    for [m, n, k] in [[512; 3], [rows, 512, 512], [large; 3]] {
        let (x, weight) = (pattern(device, &[m, k])?, pattern(device, &[n, k])?);
        let seconds = fastest(SECONDS, || ops::linear(&x, &weight, None, Activation::None))?;
        best = best.max(2.0 * (m * n * k) as f64 / seconds);
    }
    Ok(best)
}

/// Bytes a second, read and written, of the fastest of some copies: in the caches, and of more than they hold.
fn best_copy(device: &Device) -> Result<f64> {
    let mut best = 0.0f64;
    for rows in [2048, 32 * 1024] {
        let x = pattern(device, &[rows, table::WIDTH])?;
        let seconds = fastest(SECONDS, || ops::scale(&x, 2.0))?;
        best = best.max((8 * x.len()) as f64 / seconds);
    }
    Ok(best)
}

/// The name of a column: what the adapter calls itself, without its details.
fn heading(device: &Device) -> String {
    let info = device.info();
    if info.backend == "cpu" {
        "CPU backend".to_owned()
    } else {
        info.name.split(" (").next().unwrap_or_default().to_owned()
    }
}

fn main() {
    let arguments = Arguments::new();
    let choices: String = arguments.word(0, "software,cpu".to_owned());
    let (threads, rows) = (arguments.word(1, 2), arguments.word(2, 2048));
    let mut columns: Vec<Column> =
        choices.split(',').map(|choice| Column::open(choice, threads, rows)).collect();
    let sections = table::sections();
    let all = || sections.iter().flat_map(|(_, rows)| rows);
    let measured: Vec<Vec<Cell>> =
        columns.iter().map(|column| all().map(|row| column.measure(row)).collect()).collect();
    let mut text = format!("Measured with {rows} rows of {} columns, f32:\n\n", table::WIDTH);
    for (column, cells) in columns.iter_mut().zip(&measured) {
        for (row, cell) in all().zip(cells).filter(|_| column.own) {
            if let (Cell::Speed { flops, bytes }, false) = (cell, matches!(row.set, Set::Cooperative(_))) {
                (column.flops, column.bytes) = (column.flops.max(*flops), column.bytes.max(*bytes));
            }
        }
        let (flops, bytes) = (column.flops / 1e9, column.bytes / 1e9);
        writeln!(text, "- {} ({flops:.1} GFLOP/s, {bytes:.1} GB/s)", column.note).unwrap();
    }
    let mut cells: Vec<_> = measured.iter().map(|cells| cells.iter()).collect();
    for (title, rows) in &sections {
        write!(text, "\n## {title}\n\n| file | computes | reads + writes | FLOP/byte |").unwrap();
        columns.iter().for_each(|column| write!(text, " {} |", heading(&column.device)).unwrap());
        writeln!(text, "\n|{}", "---|".repeat(4 + columns.len())).unwrap();
        for row in rows {
            let names: Vec<String> = row.files.iter().map(|file| format!("`{file}`")).collect();
            write!(text, "| {} | {} | {} | {} |", names.join(", "), row.computes, row.moves, row.intensity)
                .unwrap();
            for (column, cells) in columns.iter().zip(&mut cells) {
                write!(text, " {} |", column.text(row, cells.next().unwrap())).unwrap();
            }
            text.push('\n');
        }
    }
    println!("{text}");
    if let Some(path) = arguments.flag("write") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        let document = fs_err::read_to_string(&path).unwrap();
        let (before, rest) = document.split_once(BEGIN).expect("the document has the first mark");
        let (_, after) = rest.split_once(END).expect("the document has the second mark");
        fs_err::write(&path, format!("{before}{BEGIN}\n\n{text}\n{END}{after}")).unwrap();
    }
}
