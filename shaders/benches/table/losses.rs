//! Rows of losses and steps of optimisers.

use std::cell::RefCell;

use celldag_shaders::ops::{self, Adagrad, Adam, Loss, Parameter, Sgd};
use celldag_shaders::{Result, Tensor};

use super::{Operands, Row, Set, WIDTH, Work};

pub(super) fn rows() -> Vec<Row> {
    let row = |files, computes, moves, intensity, make| Row {
        files,
        computes,
        moves,
        intensity,
        set: Set::Any,
        make,
    };
    vec![
        row(
            &["bce_with_logits"],
            "binary cross entropy: loss of each row and gradient at the predictions, in one pass",
            "12 n classes",
            "3",
            |on| loss(on, 36.0, 3.0, |x, y| ops::bce_with_logits(x, y, None)),
        ),
        row(&["softmax_cross_entropy"], "the same for cross entropy by labels", "8 n classes", "2", |on| {
            let labels = on.ids(WIDTH)?;
            loss(on, 16.0, 2.0, move |x, _| ops::softmax_cross_entropy(x, &labels))
        }),
        row(&["mean_squared_error"], "the same for squares", "12 n classes", "0.4", |on| {
            loss(on, 4.0, 3.0, ops::mean_squared_error)
        }),
        row(&["adam"], "Adam and AdamW, one step in place", "28 bytes a parameter", "0.5", |on| {
            stepped(on, 14.0, 7.0, |p, g| ops::adamw(p, g, &Adam::default()))
        }),
        row(&["adagrad"], "Adagrad, one step in place", "20 bytes a parameter", "0.4", |on| {
            stepped(on, 7.0, 5.0, |p, g| ops::adagrad(p, g, &Adagrad::default()))
        }),
        row(&["sgd"], "momentum, one step in place", "20 bytes a parameter", "0.3", |on| {
            stepped(on, 6.0, 5.0, |p, g| {
                ops::sgd_momentum(p, g, &Sgd { lr: 1e-3, momentum: 0.9, weight_decay: 0.0 })
            })
        }),
        row(
            &["clip", "scale_by"],
            "norm and factor of gradient clipping, on the device; tensors times that factor",
            "4 bytes and 8 bytes a parameter",
            "0.25",
            |on| {
                let x = on.x.clone();
                Work::new(3.0 * on.values(), 3.0 * on.values(), move || {
                    let mut gradients = [x.clone()];
                    ops::clip_gradients(&mut gradients, 0.5)?;
                    let [clipped] = gradients;
                    Ok(clipped)
                })
            },
        ),
    ]
}

/// Floating-point operations and moved values for each prediction.
fn loss(
    on: &Operands,
    flops: f64,
    moved: f64,
    run: impl Fn(&Tensor, &Tensor) -> Result<Loss> + 'static,
) -> Result<Work> {
    let (x, targets) = (on.x.clone(), on.tensor(&[on.rows, WIDTH])?);
    Work::new(flops * on.values(), moved * on.values(), move || Ok(run(&x, &targets)?.gradient))
}

fn stepped(
    on: &Operands,
    flops: f64,
    moved: f64,
    run: impl Fn(&mut Parameter, &Tensor) -> Result<()> + 'static,
) -> Result<Work> {
    let parameter = RefCell::new(Parameter::new(on.tensor(&[on.rows, WIDTH])?)?);
    let gradient = on.x.clone();
    Work::new(flops * on.values(), moved * on.values(), move || {
        let mut parameter = parameter.borrow_mut();
        run(&mut parameter, &gradient)?;
        Ok(parameter.value().clone())
    })
}
