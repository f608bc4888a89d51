//! Rotary position embedding (Su and others 2021), with the two halves of a head as the coordinates that turn, as
//! Llama's and MolFormer's checkpoints have it.

use super::cpu_tensor;
use crate::cpu;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::gpu::{Cost, Launch};
use crate::kernels::Kernel;
use crate::segments::{Ids, Segments};
use crate::tape::record;
use crate::tensor::Tensor;

/// Cosines and sines of the angles of all positions up to a limit. Make one for a model and keep it.
#[derive(Clone)]
pub struct Rotary {
    /// `[positions, head width / 2]`.
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// The table for positions 0 to below `positions`. At position p, pair i of a head turns by p `frequencies[i]`; the
    /// angles and their functions are computed in f64. (The Python originals multiply in f32: their angles are off by up
    /// to 6e-8 of themselves.)
    ///
    /// # Errors
    /// There are no frequencies; the device's errors.
    pub fn new(device: &Device, frequencies: &[f64], positions: usize) -> Result<Rotary> {
        if frequencies.is_empty() {
            return Err(Error::shape("rotary", "there are no frequencies"));
        }
        let table = |function: fn(f64) -> f64| {
            let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
            let values: Vec<f32> = angles.map(|angle| function(angle) as f32).collect();
            device.upload(&[positions, frequencies.len()], &values)
        };
        Ok(Rotary { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// The usual frequencies base^(-2i / head width) for the pairs i of a head. Models that scale them (Llama 3.1) pass
    /// their own to [`Rotary::new`].
    pub fn frequencies(base: f64, head_width: usize) -> Vec<f64> {
        (0..head_width / 2).map(|i| base.powf(-2.0 * i as f64 / head_width as f64)).collect()
    }

    /// Number of positions in the table.
    pub fn positions(&self) -> usize {
        self.cos.shape()[0]
    }

    /// Columns of a head.
    pub fn head_width(&self) -> usize {
        2 * self.cos.shape()[1]
    }
}

/// The position of every row in its segment, from 0.
///
/// # Errors
/// The device's errors.
pub fn row_positions(segments: &Segments) -> Result<Ids> {
    let positions: Vec<u32> = segments.ranges().flat_map(|range| 0..range.len() as u32).collect();
    Ids::new(segments.device(), &positions)
}

/// Turns every head of `x` `[rows, heads * head width]` by the angles of the row's position: with a and b the halves of a
/// head, the result is (a cos - b sin, b cos + a sin).
///
/// # Errors
/// The columns are not whole heads; not one position a row; a position beyond the table; devices differ; the device's
/// errors.
pub fn rotary(x: &Tensor, table: &Rotary, positions: &Ids) -> Result<Tensor> {
    const OP: &str = "rotary";
    let (rows, columns) = x.matrix(OP, "x")?;
    if !columns.is_multiple_of(table.head_width()) {
        let message = format!("{columns} columns are not heads of {} columns", table.head_width());
        return Err(Error::shape(OP, message));
    }
    if positions.len() != rows {
        return Err(Error::shape(OP, format!("{} positions for {rows} rows", positions.len())));
    }
    if let Some(largest) = positions.largest().filter(|largest| *largest as usize >= table.positions()) {
        let message = format!("position {largest} is beyond the table of {} positions", table.positions());
        return Err(Error::shape(OP, message));
    }
    x.device().expect_home(OP, &[&table.cos])?;
    positions.expect_home(OP, x)?;
    let out = turn(OP, x, table, positions, 1.0)?;
    Ok(record(out, [x], |_| {
        let (table, positions) = (table.clone(), positions.clone());
        move |gradient: &Tensor| Ok([Some(turn(OP, gradient, &table, &positions, -1.0)?)])
    }))
}

/// The rotation, or with a `direction` of -1 its inverse.
fn turn(op: &'static str, x: &Tensor, table: &Rotary, positions: &Ids, direction: f32) -> Result<Tensor> {
    let (rows, columns) = x.matrix(op, "x")?;
    let half = table.head_width() / 2;
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let turns = cpu::rotary::Turns {
                cos: table.cos.host(op)?,
                sin: table.sin.host(op)?,
                half,
                positions: positions.values(),
                direction,
            };
            let values = x.host(op)?;
            Ok(cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::rotary::rotary(cpu, values, columns, &turns, out);
            }))
        }
        Backend::Gpu(gpu) => {
            let out = gpu.buffer(x.len())?;
            for window in gpu.windows(rows, columns)? {
                let count = window.len() * columns / 2;
                let (list, first) = positions.part(op, &window, 1)?;
                let shape = [count, columns, half, window.start - first].map(|size| size as u32);
                gpu.launch(&Launch {
                    kernel: Kernel::new("rotary", &[]),
                    parameters: &[&shape[..], &[direction.to_bits()]].concat(),
                    buffers: &[
                        x.window(op, &window)?,
                        table.cos.binding(op)?,
                        table.sin.binding(op)?,
                        list,
                        out.rows(&window, columns),
                    ],
                    groups: (count as u64).div_ceil(super::ELEMENTS),
                    cost: Cost { flops: 8.0 * count as f64, bytes: 24.0 * count as f64 },
                })?;
            }
            Ok(Tensor::from_gpu(x.device(), x.shape(), out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("rotary", &[])]
}
