//! Runs a model in every order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What threads do to the core, and what must hold then.
#[derive(Clone)]
pub(crate) struct Model {
    /// What must hold.
    pub(crate) name: &'static str,
    /// How many threads it has at most, its own included.
    pub(crate) threads: usize,
    /// How often a thread may be preempted in one execution. A wait that blocks is no preemption.
    pub(crate) preemptions: usize,
    /// The same where there is little time.
    pub(crate) quick_preemptions: usize,
    /// One execution.
    pub(crate) run: fn(),
}

/// Steps of an execution: several times what any takes that does not turn in circles.
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
