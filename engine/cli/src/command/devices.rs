//! `celldag devices`: what there is to compute on, and how fast it is.

use std::time::Instant;

use celldag_shaders::{Device, list_adapters, ops};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::text::{bytes, table};

/// Rows, columns and inner dimension of the measured product: a transformer's linear layer on 2,048 tokens.
const BENCH: [usize; 3] = [2048, 512, 512];

pub(crate) fn run(bench: bool, output: &Output) -> Result<(), Failure> {
    let adapters = list_adapters();
    let cpu = Device::cpu(0).map_err(|e| Failure::Device(e.to_string()))?;
    let chosen = if adapters.iter().any(|a| !a.software) { "a hardware GPU" } else { "the CPU backend" };
    let mut speeds = Vec::new();
    if bench {
        output.say("measuring ...");
        speeds.push(measure(&cpu));
        for adapter in &adapters {
            let device = Device::open(&adapter.index.to_string(), 0).map_err(|e| Failure::Device(e.to_string()))?;
            speeds.push(measure(&device));
        }
    }
    let speed = |i: usize| speeds.get(i).and_then(|s: &Result<f64, String>| s.as_ref().ok()).copied();
    if output.json {
        let mut list = vec![json!({
            "device": "cpu", "name": cpu.info().name, "driver": cpu.info().driver, "api": "native",
            "software": false, "gemm_gflops": speed(0),
        })];
        list.extend(adapters.iter().enumerate().map(|(i, a)| {
            json!({
                "device": a.index, "name": a.name, "driver": a.driver, "api": a.api, "kind": a.kind,
                "software": a.software, "features": a.features, "largest_buffer": a.largest_buffer,
                "largest_binding": a.largest_binding, "workgroup_memory": a.workgroup_memory,
                "workgroup_size": a.workgroup_size, "subgroup_sizes": a.subgroup_sizes, "gemm_gflops": speed(i + 1),
            })
        }));
        return output.json_result(&Value::Array(list));
    }
    let gflops = |i: usize| match speeds.get(i) {
        None => String::new(),
        Some(Ok(speed)) => format!("{speed:.1}"),
        Some(Err(why)) => why.clone(),
    };
    let mut rows = vec![vec![
        "cpu".to_owned(),
        cpu.info().name.clone(),
        "native".to_owned(),
        cpu.info().driver.clone(),
        String::new(),
        String::new(),
        gflops(0),
    ]];
    rows.extend(adapters.iter().enumerate().map(|(i, a)| {
        vec![
            a.index.to_string(),
            a.name.clone(),
            format!("{} {}", a.api, a.kind),
            a.driver.clone(),
            bytes(a.largest_binding),
            a.features.join(" "),
            gflops(i + 1),
        ]
    }));
    let header = ["device", "name", "kind", "driver", "largest tensor", "features", "GFLOP/s"];
    let header = if bench { &header[..] } else { &header[..6] };
    output.result(&table(header, &rows))?;
    output.say(&format!(
        "--device auto takes {chosen}; software drivers are for tests and only used when named (--device software)"
    ));
    Ok(())
}

/// Best of five products after one to warm up, in GFLOP/s.
fn measure(device: &Device) -> Result<f64, String> {
    let [m, n, k] = BENCH;
    let values = |count: usize| (0..count).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect::<Vec<f32>>();
    let run = || -> Result<f64, celldag_shaders::Error> {
        let x = device.upload(&[m, k], &values(m * k))?;
        let w = device.upload(&[n, k], &values(n * k))?;
        let mut best = f64::INFINITY;
        for round in 0..6 {
            let start = Instant::now();
            // Reading one row's sum waits for the device without measuring a large transfer.
            ops::sum(&ops::linear(&x, &w, None, ops::Activation::None)?)?.read()?;
            if round > 0 {
                best = best.min(start.elapsed().as_secs_f64());
            }
        }
        Ok(best)
    };
    let seconds = run().map_err(|e| e.to_string())?;
    Ok(2.0 * (m * n * k) as f64 / seconds / 1e9)
}
