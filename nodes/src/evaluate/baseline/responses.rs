//! Predictors of drug responses that look at no molecule and no omics: means, additive effects, and a low-rank table.

use celldag_models::draw::fraction;
use faer::Mat;
use faer::linalg::solvers::Solve;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::numbering::Numbering;

/// Rounds of alternating least squares; effects change in the tenth digit after them.
const ROUNDS: usize = 60;

/// A measured response of a cell line to a drug.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The drug.
    pub drug: String,
    /// The cell line.
    pub line: String,
    /// The response, ln IC50 say.
    pub value: f64,
}

/// Which predictor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ResponseModel {
    /// Mean of the drug over the training lines: the same for every line.
    DrugMean,
    /// Mean of the line over the training drugs: the same for every drug.
    LineMean,
    /// Overall mean, drug effect and line effect, both shrunk by a ridge penalty.
    Additive {
        /// Pseudo-observations at 0 of each effect.
        ridge: f64,
    },
    /// The additive model and a low-rank product for what it leaves.
    LowRank {
        /// Ridge penalty of the additive part.
        ridge: f64,
        /// Number of factors.
        rank: usize,
        /// Ridge penalty of the factors.
        rank_ridge: f64,
    },
}

/// A fitted predictor. A drug or line that did not train has effect 0 and mean of all.
#[derive(Clone, Debug)]
pub struct FittedResponses {
    mean: f64,
    drugs: Numbering,
    lines: Numbering,
    drug_effect: Vec<f64>,
    line_effect: Vec<f64>,
    drug_factors: Vec<Vec<f64>>,
    line_factors: Vec<Vec<f64>>,
}

/// Training values by index.
struct Table {
    drug: Vec<usize>,
    line: Vec<usize>,
    rest: Vec<f64>,
}

impl FittedResponses {
    /// Fits to the training responses. `None` without any.
    #[must_use]
    pub fn fit(model: ResponseModel, training: &[Response]) -> Option<Self> {
        if training.is_empty() {
            return None;
        }
        let drugs = Numbering::of(training.iter().map(|r| &r.drug));
        let lines = Numbering::of(training.iter().map(|r| &r.line));
        let mean = training.iter().map(|r| r.value).sum::<f64>() / training.len() as f64;
        let mut table = Table {
            drug: drugs.rows(training.iter().map(|r| &r.drug)),
            line: lines.rows(training.iter().map(|r| &r.line)),
            rest: training.iter().map(|r| r.value - mean).collect(),
        };
        let mut out = Self {
            mean,
            drug_effect: vec![0.0; drugs.len()],
            line_effect: vec![0.0; lines.len()],
            drug_factors: vec![Vec::new(); drugs.len()],
            line_factors: vec![Vec::new(); lines.len()],
            drugs,
            lines,
        };
        match model {
            ResponseModel::DrugMean => {
                out.drug_effect = effects(&table.drug, &table.rest, out.drugs.len(), 0.0);
            }
            ResponseModel::LineMean => {
                out.line_effect = effects(&table.line, &table.rest, out.lines.len(), 0.0);
            }
            ResponseModel::Additive { ridge } => out.additive(&mut table, ridge),
            ResponseModel::LowRank { ridge, rank, rank_ridge } => {
                out.additive(&mut table, ridge);
                out.factorise(&table, rank, rank_ridge);
            }
        }
        Some(out)
    }

    /// Prediction for a drug and a line.
    #[must_use]
    pub fn predict(&self, drug: &str, line: &str) -> f64 {
        let (drug, line) = (self.drugs.get(drug), self.lines.get(line));
        let mut sum = self.mean;
        sum += drug.map_or(0.0, |d| self.drug_effect[d]) + line.map_or(0.0, |l| self.line_effect[l]);
        if let (Some(d), Some(l)) = (drug, line) {
            sum += self.drug_factors[d].iter().zip(&self.line_factors[l]).map(|(a, b)| a * b).sum::<f64>();
        }
        sum
    }

    /// Fits the effects in turn and leaves what they do not explain in the table.
    fn additive(&mut self, table: &mut Table, ridge: f64) {
        let centred = table.rest.clone();
        for _ in 0..ROUNDS {
            let rest: Vec<f64> =
                centred.iter().zip(&table.line).map(|(v, &l)| v - self.line_effect[l]).collect();
            self.drug_effect = effects(&table.drug, &rest, self.drugs.len(), ridge);
            let rest: Vec<f64> =
                centred.iter().zip(&table.drug).map(|(v, &d)| v - self.drug_effect[d]).collect();
            self.line_effect = effects(&table.line, &rest, self.lines.len(), ridge);
        }
        for (i, rest) in table.rest.iter_mut().enumerate() {
            *rest = centred[i] - self.drug_effect[table.drug[i]] - self.line_effect[table.line[i]];
        }
    }

    /// Alternating ridge regressions of the factors, from small random line factors of a fixed seed.
    fn factorise(&mut self, table: &Table, rank: usize, ridge: f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut small = || fraction(&mut rng) - 0.5;
        self.line_factors = (0..self.lines.len()).map(|_| (0..rank).map(|_| small()).collect()).collect();
        for _ in 0..ROUNDS {
            self.drug_factors = factors(
                &table.drug,
                &table.line,
                &table.rest,
                self.drugs.len(),
                &self.line_factors,
                rank,
                ridge,
            );
            self.line_factors = factors(
                &table.line,
                &table.drug,
                &table.rest,
                self.lines.len(),
                &self.drug_factors,
                rank,
                ridge,
            );
        }
    }
}

/// Shrunk mean of the values of each index.
fn effects(index: &[usize], values: &[f64], count: usize, ridge: f64) -> Vec<f64> {
    let (mut sums, mut sizes) = (vec![0.0; count], vec![ridge; count]);
    for (&at, value) in index.iter().zip(values) {
        sums[at] += value;
        sizes[at] += 1.0;
    }
    sums.iter().zip(&sizes).map(|(s, n)| if *n > 0.0 { s / n } else { 0.0 }).collect()
}

/// Ridge regression of each side's values on the factors of the other side.
fn factors(
    own: &[usize],
    other: &[usize],
    rest: &[f64],
    count: usize,
    fixed: &[Vec<f64>],
    rank: usize,
    ridge: f64,
) -> Vec<Vec<f64>> {
    let mut members = vec![Vec::new(); count];
    own.iter().enumerate().for_each(|(i, &at)| members[at].push(i));
    let one = |members: &Vec<usize>| -> Vec<f64> {
        let mut gram = Mat::<f64>::from_fn(rank, rank, |a, b| if a == b { ridge } else { 0.0 });
        let mut right = Mat::<f64>::zeros(rank, 1);
        for &i in members {
            let factor = &fixed[other[i]];
            for a in 0..rank {
                right[(a, 0)] += factor[a] * rest[i];
                for b in 0..rank {
                    gram[(a, b)] += factor[a] * factor[b];
                }
            }
        }
        let solved = gram.partial_piv_lu().solve(&right);
        (0..rank).map(|a| solved[(a, 0)]).collect()
    };
    members.iter().map(one).collect()
}
