//! Runs a model in every order within its bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A model: threads that use the core, and assertions about it.
#[derive(Clone)]
pub(crate) struct Model {
    /// The property that must hold.
    pub(crate) name: &'static str,
    /// The number of threads at most, including its own.
    pub(crate) threads: usize,
    /// The number of times that threads may be preempted in one execution. A wait that blocks is no preemption.
    pub(crate) preemptions: usize,
    /// The same for `--quick`.
    pub(crate) quick_preemptions: usize,
    /// Runs one execution.
    pub(crate) run: fn(),
}

/// Steps of an execution before it counts as a livelock: several times what any model takes.
const MAX_STEPS: usize = 5_000;

/// Prints a line about a model that holds; panics at the first order in which it does not.
pub(crate) fn run_in_every_order(model: &Model, is_quick: bool) {
    let Model { name, threads, preemptions, quick_preemptions, run } = *model;
    let preemptions = if is_quick { quick_preemptions } else { preemptions };
    let mut builder = loom::model::Builder::new();
    builder.max_threads = threads;
    builder.max_branches = MAX_STEPS;
    builder.preemption_bound = Some(preemptions);
    let executions = Arc::new(AtomicUsize::new(0));
    let count = executions.clone();
    eprintln!("{name} …");
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        mio::fake_kernel::reset();
        run();
    });
    let executions = executions.load(Ordering::Relaxed);
    println!("{name}: {threads} threads, at most {preemptions} preemptions, {executions} executions");
}
