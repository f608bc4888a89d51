//! What a kind sees while it runs, and how it answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use celldag_cache::Store;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::param::Params;
use crate::part::{self, PART, Work};
use crate::resume::Resume;
use crate::run::GpuSlot;

/// A step that runs an external program leaves what the program printed in this file of its scratch folder.
pub(crate) const LOG_FILE: &str = "log.txt";

/// Why a node failed; decides the exit code (DESIGN 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// The node's own fault or a training failure: exit 1.
    Failed,
    /// A parameter value that only the data shows to be wrong: exit 2.
    Parameter,
    /// Bad or missing input data: exit 3.
    Data,
    /// A device that cannot be opened or refuses its work: exit 4.
    Device,
    /// A device that was lost while it worked (driver reset, watchdog, unplugged): exit 4. Opened again, it may do the same work.
    Lost,
    /// Memory ran out, of the device or of the host: exit 4. Smaller batches may fit.
    Memory,
    /// Stopped by the user: exit 130.
    Cancelled,
}

/// What to expect of the same work, tried again with nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It fails again: something of the action is wrong. Remembered by key, and not tried again unless asked for.
    Lasting,
    /// Nobody knows: a full disk, a missing program, a mistake in celldag. Tried again in the next run.
    Unknown,
    /// It may work in a moment: a lost device, a service that does not answer. Tried again in the same run, as far as
    /// `retries: {transient: N}` allows.
    Passing,
}

/// A failure with everything a user needs: what, where, why, what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    /// Decides the exit code.
    pub cause: FailureCause,
    /// Whether trying again may help. [`NodeError::new`] derives it from the cause: bad data and parameters last, devices
    /// recover, and of everything else nobody knows.
    pub outlook: Outlook,
    /// What went wrong, where and why, in one or more lines.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl NodeError {
    /// A failure of the given cause.
    pub fn new(cause: FailureCause, message: impl Into<String>) -> Self {
        let outlook = match cause {
            FailureCause::Data | FailureCause::Parameter => Outlook::Lasting,
            FailureCause::Device | FailureCause::Lost => Outlook::Passing,
            FailureCause::Failed | FailureCause::Memory | FailureCause::Cancelled => Outlook::Unknown,
        };
        Self { cause, outlook, message: message.into(), help: None }
    }

    /// Bad or missing input data.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(FailureCause::Data, message)
    }

    /// A parameter value that does not fit the data.
    pub fn parameter(message: impl Into<String>) -> Self {
        Self::new(FailureCause::Parameter, message)
    }

    /// Everything else.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(FailureCause::Failed, message)
    }

    /// A device that cannot be used.
    pub fn device(message: impl Into<String>) -> Self {
        Self::new(FailureCause::Device, message)
    }

    /// A device that was lost while it worked.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::new(FailureCause::Lost, message)
    }

    /// Memory that ran out.
    pub fn memory(message: impl Into<String>) -> Self {
        Self::new(FailureCause::Memory, message)
    }

    /// Says what to expect of the same work, where the cause alone does not: a file that could not be read is an error of
    /// data, and yet the disk may be at fault.
    #[must_use]
    pub fn outlook(mut self, outlook: Outlook) -> Self {
        self.outlook = outlook;
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One artifact on an input port.
#[derive(Clone, Debug)]
pub struct Input {
    /// Label of a gathered artifact; empty for a single one.
    pub label: String,
    /// File or folder to read. Read-only.
    pub path: PathBuf,
    /// BLAKE3 of the content, hex.
    pub digest: String,
}

/// Asks a running node to stop. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that nobody has raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everyone who holds a clone to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A handle of the store that gives up when somebody asks ([`Store::until`]).
    pub(crate) fn heard_by(&self, store: &Store) -> Store {
        let cancel = self.clone();
        store.until(move || cancel.is_cancelled())
    }
}

/// Where a node reports how far it is. Implemented by the run loop; called from any thread.
pub trait Progress: Sync {
    /// How many units the node will do, and what they are (`"cells"`). May be called again when more is known.
    fn total(&self, units: u64, what: &'static str);
    /// `units` more are done.
    fn advance(&self, units: u64);
}

/// What a node says about its work besides its artifacts: counts and warnings. Stored in the result record, shown in
/// progress lines, plans and reports, replayed on a cache hit. It must depend on the action only: no times, no paths.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Named counts and short facts (`cells_in`, `cells_out`, `genes_matched` ...).
    pub facts: Map<String, Value>,
    /// Warnings for the user, in the order they arose.
    pub warnings: Vec<String>,
    /// Facts about this execution that are not part of the result: backend, adapter, driver.
    pub execution: Map<String, Value>,
}

impl AsRef<Self> for Summary {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Everything a kind may look at while it runs: the action's parameters and inputs, where to write, and how to report.
pub struct Step<'a> {
    /// Resolved parameters, perf parameters included.
    pub params: &'a Params,
    /// Port → artifacts, sorted by label.
    pub inputs: &'a BTreeMap<String, Vec<Input>>,
    /// Port → where to write it (parent folders exist).
    pub outputs: &'a BTreeMap<String, PathBuf>,
    /// Derived from the action: BLAKE3 of it. The only source of randomness besides a `seed` parameter.
    pub seed: [u8; 32],
    /// Compute device: that of the GPU which the job holds (`pci:0000:65:00.0`), or what was asked for (`auto`, `gpu`, `cpu`,
    /// an adapter's name) where there is none to choose from.
    pub device: &'a str,
    /// All GPUs that the job holds, [`Step::device`] first. Empty where no GPU is held.
    pub gpus: &'a [GpuSlot],
    /// Threads this node may use.
    pub threads: usize,
    /// The most bytes of tensors on the device; no limit but the device's own if absent.
    pub memory_limit: Option<u64>,
    /// The most bytes of main memory that the step should take: tensors on the CPU are held to it. No limit if absent.
    pub main_memory: Option<u64>,
    /// Empty scratch folder, gone after the step.
    pub scratch: &'a Path,
    /// Upstream nodes, edges and facts for kinds with [`crate::KindSpec::wants_lineage`]; `Null` otherwise.
    pub lineage: &'a Value,
    /// The user forbids to reach other machines; a kind that would have to fails.
    pub offline: bool,
    /// Raised when the node should stop.
    pub cancel: &'a Cancel,
    /// Progress sink.
    pub progress: &'a dyn Progress,
    /// Collected by [`Step::fact`], [`Step::warn`] and [`Step::execution`].
    pub summary: &'a Mutex<Summary>,
    /// What is asked for: the whole, except of kinds that can be cut.
    pub work: &'a Work,
    /// Where a long step saves how far it is; read by [`Step::resume`].
    pub resume: Option<&'a Resume<'a>>,
}

impl Step<'_> {
    /// The parameters as the kind's own struct.
    ///
    /// # Errors
    /// When the struct and the kind's parameter list disagree: a mistake of the kind.
    pub fn read_params<T: DeserializeOwned>(&self) -> Result<T, NodeError> {
        self.params.read().map_err(|e| NodeError::failed(format!("parameters do not fit the kind: {e}")))
    }

    /// The single artifact on a port.
    ///
    /// # Errors
    /// When the port is empty: a mistake of the engine, which checks it before.
    pub fn input(&self, port: &str) -> Result<&Input, NodeError> {
        self.optional_input(port).ok_or_else(|| NodeError::failed(format!("input port `{port}` is empty")))
    }

    /// The artifact on an optional port.
    #[must_use]
    pub fn optional_input(&self, port: &str) -> Option<&Input> {
        self.inputs.get(port).and_then(|list| list.first())
    }

    /// All artifacts on a port, sorted by label.
    #[must_use]
    pub fn gathered(&self, port: &str) -> &[Input] {
        self.inputs.get(port).map_or(&[], Vec::as_slice)
    }

    /// Where to write an output.
    ///
    /// # Errors
    /// When the kind does not declare the port.
    pub fn output(&self, port: &str) -> Result<&Path, NodeError> {
        self.outputs
            .get(port)
            .map(PathBuf::as_path)
            .ok_or_else(|| NodeError::failed(format!("output port `{port}` is not declared")))
    }

    /// Where this step saves how far it is, and finds what an earlier attempt saved. `None` where nothing can be kept; the
    /// step then does all its work at once.
    #[must_use]
    pub fn resume(&self) -> Option<&Resume<'_>> {
        self.resume
    }

    /// Writes the part of the shard that is asked for: `state`, what the kind will want to know first when it puts parts
    /// together, and the content of the file `payload`. Both depend on the action and the shard only.
    ///
    /// # Errors
    /// When it cannot be written; when no shard is asked for, a mistake of the kind.
    pub fn write_part(&self, state: Value, payload: &Path) -> Result<(), NodeError> {
        let Work::Shard { shard, action } = self.work else {
            return Err(NodeError::failed("a part was written, but no shard is asked for"));
        };
        part::write(self.output(PART)?, (action, *shard), state, payload)
            .map_err(|e| NodeError::failed(format!("cannot write the part: {e}")))
    }

    /// Stops here when the user asked to stop, or time is up. A step that can resume saves its state before.
    ///
    /// # Errors
    /// [`FailureCause::Cancelled`].
    pub fn check_cancelled(&self) -> Result<(), NodeError> {
        if self.cancel.is_cancelled() {
            return Err(NodeError::new(FailureCause::Cancelled, "stopped"));
        }
        Ok(())
    }

    /// States a fact about the result (`cells_out` = 700).
    pub fn fact(&self, name: &str, value: impl Into<Value>) {
        self.with_summary(|s| {
            s.facts.insert(name.to_owned(), value.into());
        });
    }

    /// Warns the user. The text must depend on the action only.
    pub fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        self.with_summary(|s| s.warnings.push(message));
    }

    /// States a fact about this execution (`adapter` = ...), kept out of everything that is compared.
    pub fn execution(&self, name: &str, value: impl Into<Value>) {
        self.with_summary(|s| {
            s.execution.insert(name.to_owned(), value.into());
        });
    }

    fn with_summary(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}
