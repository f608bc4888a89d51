//! `celldag devices`: what there is to compute on, and how fast it is.

use celldag_shaders::{CooperativeShape, Device, Measurement, list_adapters, measure, visible_adapters};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::text::{bytes, table};

pub(crate) fn run(bench: bool, output: &Output) -> Result<(), Failure> {
    let adapters = list_adapters();
    let visible = visible_adapters();
    let seen = |i: usize| visible.as_ref().ok().and_then(|seen| seen.get(i)).copied();
    let cpu = Device::cpu(0).map_err(|e| Failure::Device(e.to_string()))?;
    let hardware = adapters.iter().enumerate().any(|(i, a)| !a.software && seen(i) == Some(true));
    let chosen = if hardware { "a hardware GPU" } else { "the CPU backend" };
    let mut speeds: Vec<Result<Vec<Measurement>, String>> = Vec::new();
    if bench {
        output.say("measuring ...");
        speeds.push(measure(&cpu).map_err(|e| e.to_string()));
        for adapter in &adapters {
            // An adapter that fails is told in its row; the others are measured all the same.
            let opened = Device::open(&adapter.index.to_string(), 0).map_err(|e| e.to_string());
            speeds.push(opened.and_then(|device| measure(&device).map_err(|e| e.to_string())));
        }
    }
    let speed = |i: usize| match speeds.get(i) {
        None => Value::Null,
        Some(Err(why)) => json!({ "error": why }),
        Some(Ok(list)) => {
            let speed = |m: &Measurement| json!({ "what": m.what, "value": m.value, "unit": m.unit });
            list.iter().map(speed).collect()
        }
    };
    if output.json {
        let mut list = vec![json!({
            "device": "cpu", "name": cpu.info().name, "driver": cpu.info().driver, "api": "native",
            "software": false, "speed": speed(0),
        })];
        list.extend(adapters.iter().enumerate().map(|(i, a)| {
            json!({
                "device": a.index, "name": a.name, "driver": a.driver, "api": a.api, "kind": a.kind,
                "pci": a.pci, "visible": seen(i), "memory": a.memory,
                "software": a.software, "features": a.features, "largest_buffer": a.largest_buffer,
                "largest_binding": a.largest_binding, "workgroup_memory": a.workgroup_memory,
                "workgroup_size": a.workgroup_size, "subgroup_sizes": a.subgroup_sizes,
                "cooperative_matrices": a.cooperative.iter().map(shape).collect::<Vec<_>>(), "speed": speed(i + 1),
            })
        }));
        return output.json_result(&Value::Array(list));
    }
    let measured = |i: usize| match speeds.get(i) {
        None => String::new(),
        Some(Err(why)) => why.clone(),
        Some(Ok(list)) => {
            let text = |m: &Measurement| format!("{}: {:.1} {}", m.what, m.value, m.unit);
            list.iter().map(text).collect::<Vec<_>>().join("; ")
        }
    };
    let mut rows = vec![vec![
        "cpu".to_owned(),
        cpu.info().name.clone(),
        "native".to_owned(),
        cpu.info().driver.clone(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        measured(0),
    ]];
    rows.extend(adapters.iter().enumerate().map(|(i, a)| {
        vec![
            a.index.to_string(),
            a.name.clone(),
            format!("{} {}", a.api, a.kind),
            a.driver.clone(),
            match (seen(i), a.pci.as_str()) {
                (Some(false), pci) => format!("{pci} hidden").trim_start().to_owned(),
                (_, pci) => pci.to_owned(),
            },
            a.memory.map(bytes).unwrap_or_default(),
            bytes(a.largest_buffer),
            bytes(a.largest_binding),
            a.features.join(" "),
            measured(i + 1),
        ]
    }));
    let header = [
        "device",
        "name",
        "kind",
        "driver",
        "pci",
        "memory",
        "largest tensor",
        "bound at once",
        "features",
        "speed",
    ];
    let header = if bench { &header[..] } else { &header[..9] };
    output.result(&table(header, &rows))?;
    if let Err(why) = &visible {
        output.say(&format!("warning: {why}"));
    }
    output.say(&format!(
        "--device auto takes {chosen}; software drivers are for tests and only used when named (--device software)"
    ));
    Ok(())
}

/// A product of cooperative matrices as `16x16x16 f16 -> f32`.
fn shape(shape: &CooperativeShape) -> String {
    let kind = |half| if half { "f16" } else { "f32" };
    let CooperativeShape { m, n, k, f16_factors, f16_sums } = *shape;
    format!("{m}x{n}x{k} {} -> {}", kind(f16_factors), kind(f16_sums))
}
