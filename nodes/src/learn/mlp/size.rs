//! How large a head is: refused before the memory for it is asked for, because a failed allocation ends the process.

use celldag_engine::NodeError;

/// Most parameters of a head; a matrix product counts elements in 32 bits.
const MOST: u128 = 1 << 31;

/// Weights and biases of layers of these widths.
fn parameters(widths: &[usize]) -> u128 {
    widths.windows(2).map(|pair| (pair[0] as u128 + 1) * pair[1] as u128).sum()
}

/// Checks that a head fits: `moments` is the number of values that the optimiser keeps a parameter. Besides these and
/// the values there are their gradients, the best epoch so far, and a copy while weights are drawn or saved; on a GPU
/// only the last is in the host's memory.
///
/// # Errors
/// A device error that names the size.
pub(in crate::learn) fn check(widths: &[usize], moments: u128, on_host: bool) -> Result<(), NodeError> {
    let count = parameters(widths);
    let bytes = count * 4 * if on_host { 4 + moments } else { 1 };
    let available = available_memory();
    if count <= MOST && available.is_none_or(|most| bytes <= most) {
        return Ok(());
    }
    let shape = widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
    let gib = |bytes: u128| bytes as f64 / f64::from(1 << 30);
    let limit = match available {
        Some(most) if bytes > most => format!("{:.1} GiB are available", gib(most)),
        _ => format!("the most are {MOST} parameters"),
    };
    Err(NodeError::memory(format!(
        "a head of {shape} has {count} parameters, which take {:.1} GiB of memory while they are trained; {limit}",
        gib(bytes)
    ))
    .help("make `hidden` narrower; 512 units are usual"))
}

/// Memory that the system can still give, where it says so (Linux).
pub(in crate::learn) fn available_memory() -> Option<u128> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u128 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use celldag_engine::FailureCause;

    use super::*;

    #[test]
    fn a_head_that_fits_no_memory_is_refused_with_its_size() {
        assert_eq!(parameters(&[3, 8, 1]), 3 * 8 + 8 + 8 + 1);
        check(&[512, 512, 512, 1], 2, true).expect("a usual head");
        let refused = check(&[512, 1_000_000, 1_000_000, 1], 2, true).expect_err("4 TB");
        assert_eq!(refused.cause, FailureCause::Memory);
        assert!(refused.message.contains("512 x 1000000 x 1000000 x 1"), "{}", refused.message);
        assert!(check(&[512, 1_000_000, 1_000_000, 1], 2, false).is_err(), "on a GPU too");
    }
}
