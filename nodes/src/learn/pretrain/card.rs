//! The card of a model: what it is, what it was trained on, how well, and what it is not good for.

use std::fmt::Write;

use celldag_engine::Input;
use celldag_models::training::Trained;

use super::cells::PretrainCells;
use super::kind::Options;

/// Cells that the published models were trained on; below a hundredth of it, a card calls a model small.
const PUBLISHED_CELLS: usize = 27_400_000;

/// Losses of a training beside those of its baseline.
pub(super) struct Losses<'a> {
    pub(super) trained: &'a Trained,
    /// Of gene frequencies alone: on the hidden genes of the first epoch, and of the validation cells.
    pub(super) frequencies: [Option<f64>; 2],
}

impl Losses<'_> {
    /// The losses of the result: of the validation cells if there are any, else of the training cells; its name, the model's,
    /// and that of gene frequencies.
    pub(super) fn last(&self) -> (&'static str, Option<f64>, Option<f64>) {
        let best = self.trained.best_epoch.checked_sub(1).and_then(|epoch| self.trained.history.get(epoch));
        let [training, validation] = self.frequencies;
        match best.and_then(|record| record.validation_loss) {
            Some(loss) => ("validation", Some(loss), validation),
            None => ("train", best.map(|record| record.train_loss), training),
        }
    }

    /// Loss of the validation cells and that of gene frequencies, where the model is not better: it has learnt nothing about
    /// cells. Training cells alone cannot say it: their loss is a mean over an epoch of which the first steps know nothing, and a
    /// low one may be learnt by heart.
    pub(super) fn learnt_nothing(&self) -> Option<(f64, f64)> {
        match self.last() {
            ("validation", Some(loss), Some(baseline)) if loss >= baseline => Some((loss, baseline)),
            _ => None,
        }
    }
}

/// What a card is written from.
pub(super) struct Card<'a> {
    pub(super) options: &'a Options,
    pub(super) cells: &'a PretrainCells,
    pub(super) parameters: usize,
    pub(super) losses: &'a Losses<'a>,
}

impl Card<'_> {
    /// The text, of the inputs `cells` and `dictionaries`.
    pub(super) fn text(&self, (files, dictionaries): (&[Input], &Input)) -> String {
        let mut out = self.model();
        out += &self.data(files, &dictionaries.digest);
        out += &self.training();
        out += &self.limits();
        out
    }

    fn model(&self) -> String {
        let Options {
            name, licence, layers, hidden, heads, feedforward, context, activation, min_cells, ..
        } = self.options;
        format!(
            "# {name}\n\n\
             A model in the published format of Geneformer V1 (`BertForMaskedLM`), trained from nothing by the kind `pretrain` of \
             celldag.\n\n\
             - {layers} layers, hidden {hidden}, {heads} heads, feed-forward {feedforward}, {activation}, {context} positions, \
             {} weights\n\
             - vocabulary: `<pad>`, `<mask>` and the {} genes that at least {min_cells} of the cells express\n\
             - licence: {licence}\n\n",
            self.parameters,
            self.cells.vocabulary - 2,
        )
    }

    fn data(&self, files: &[Input], dictionaries: &str) -> String {
        let mut out = String::from("## Data\n\n");
        if !self.options.about.is_empty() {
            let _ = writeln!(out, "{}\n", self.options.about);
        }
        out += "| file | cells | BLAKE3 |\n|---|---|---|\n";
        for (number, (file, cells)) in files.iter().zip(&self.cells.of_files).enumerate() {
            let _ = writeln!(out, "| {} | {cells} | {} |", named(&file.label, number), digest(&file.digest));
        }
        let _ = writeln!(
            out,
            "\nGene medians and the order of the genes are those of the dictionaries {}.\n",
            digest(dictionaries)
        );
        out
    }

    fn training(&self) -> String {
        let options = self.options;
        let PretrainCells { train, validation, .. } = self.cells;
        let trained = self.losses.trained;
        let mut out = format!(
            "## Training\n\n\
             {:.0} % of the genes of a cell are hidden (of these 80 % masked, 10 % replaced by any gene, 10 % left) and named from the \
             others. {} cells train; {} cells, chosen by their names, only measure. {} steps of {} cells in {} epochs, AdamW {} with \
             weight decay {}, schedule {} with {:.0} % warm-up, no dropout, seed {}. The weights are those of epoch {}.\n\n",
            100.0 * options.mask_probability,
            train.len(),
            validation.len(),
            trained.batch_losses.len(),
            options.batch_size,
            trained.history.len(),
            options.learning_rate,
            options.weight_decay,
            options.schedule,
            100.0 * options.warmup,
            options.seed,
            trained.best_epoch,
        );
        if let Some(divergence) = &trained.divergence {
            let _ = writeln!(
                out,
                "Training ended early: {divergence}. The epoch of the weights was complete before.\n"
            );
        }
        out += "Cross entropy of the hidden genes in nats (of a training epoch before each update):\n\n\
                | | training | validation |\n|---|---|---|\n";
        let cell = |loss: Option<f64>| loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.3}"));
        for record in &trained.history {
            let (train, validation) = (cell(Some(record.train_loss)), cell(record.validation_loss));
            let _ = writeln!(out, "| epoch {} | {train} | {validation} |", record.epoch);
        }
        let [training, validation] = self.losses.frequencies.map(cell);
        let _ = writeln!(out, "| gene frequencies alone | {training} | {validation} |\n");
        out
    }

    fn limits(&self) -> String {
        let mut out = String::from("## What it is not good for\n\n");
        if self.losses.learnt_nothing().is_some() {
            out += "Its validation loss is not below that of gene frequencies: it has learnt nothing about cells.\n\n";
        }
        if self.cells.validation.is_empty() {
            out += "No cell was kept for validation: whether it has learnt anything about cells that it was not trained on is not \
                    known.\n\n";
        }
        let cells = self.cells.train.len();
        if cells < PUBLISHED_CELLS / 100 {
            let _ = writeln!(
                out,
                "The published models were trained on some 30 million cells of many tissues, this one on {cells}: it shows that \
                 everything works. Of cells of other tissues, states and protocols than those above it knows nothing.\n"
            );
        }
        out += "A low loss here says that genes of a cell can be told from the others, not that its vectors predict a label. Measure \
                them beside the baselines of `evaluate`, and beside the same model with one epoch of training, before using them.\n";
        out
    }
}

/// What a card calls a file: the last step of its label, which may be a path of somebody's machine.
pub(super) fn named(label: &str, number: usize) -> String {
    match label.rsplit(['/', '\\', '=']).next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("file {}", number + 1),
    }
}

fn digest(digest: &str) -> String {
    if digest.is_empty() { "-".to_owned() } else { format!("`{digest}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_names_no_machine() {
        assert_eq!(named("file=a/b.h5ad", 0), "b.h5ad");
        assert_eq!(named("/home/me/c.h5ad", 0), "c.h5ad");
        assert_eq!(named("", 1), "file 2");
    }
}
