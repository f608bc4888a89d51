//! The chi-square distribution through the regularised incomplete gamma function.

/// Probability of a value above `x` with `df` degrees of freedom.
#[must_use]
pub fn chi_square_above(x: f64, df: f64) -> f64 {
    let (a, x) = (df / 2.0, x / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - libm::lgamma(a)).exp();
    if x < a + 1.0 { 1.0 - front * series(a, x) } else { front * continued_fraction(a, x) }
}

/// P(a, x) without its front factor (Press et al., section 6.2).
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / a, 1.0 / a);
    let mut n = a;
    for _ in 0..10_000 {
        n += 1.0;
        term *= x / n;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

/// Q(a, x) without its front factor, by Lentz's method.
fn continued_fraction(a: f64, x: f64) -> f64 {
    let guard = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / guard(b);
    let mut value = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        b += 2.0;
        let term = -i * (i - a);
        d = 1.0 / guard(term * d + b);
        c = guard(b + term / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}
