//! Prints the figures of the pool under simulation; see `docs/pool.md`.
#![allow(clippy::print_stdout, reason = "printing is what this is for")]

use rondo_sim::naive::rondo;
use rondo_sim::report::{Evenness, Report, others, put};
use rondo_sim::scenario::Scenario;
use rondo_sim::world::run_all;
use std::process::ExitCode;

/// A tenth of the time goes into memory, and more with the system's own allocator.
#[cfg(not(target_arch = "wasm32"))]
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str =
    "npm run simulate -- [--requests N] [--seed S] [--write FILE] [--explain] [--alone] [--stale-headers]

  --requests N      requests of the mixed scenario (1000000)
  --seed S          the seed (1)
  --write FILE      put the tables between the marks of that document
  --explain         say where 429s come from
  --alone           leave out the other ways of choosing keys
  --stale-headers   limit headers show what was true at admission, not when the answer's head was sent";

struct Args {
    requests: u64,
    seed: u64,
    write: Option<String>,
    explain: bool,
    alone: bool,
    stale_headers: bool,
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        requests: 1_000_000,
        seed: 1,
        write: None,
        explain: false,
        alone: false,
        stale_headers: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or(format!("{name} needs a value"));
        let number = |text: String| text.replace('_', "").parse().map_err(|_| format!("{text} is no number"));
        match name.as_str() {
            "--requests" => args.requests = number(value()?)?,
            "--seed" => args.seed = number(value()?)?,
            "--write" => args.write = Some(value()?),
            "--explain" => args.explain = true,
            "--alone" => args.alone = true,
            "--stale-headers" => args.stale_headers = true,
            _ => return Err(format!("{name} is unknown\n\n{USAGE}")),
        }
    }
    Ok(args)
}

#[allow(clippy::disallowed_methods, reason = "that is for wasm; here the time a run takes is a figure")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

fn simulate() -> Result<bool, String> {
    let args = args()?;
    let mut courses = Scenario::courses(args.seed, args.requests);
    courses.iter_mut().for_each(|course| course.stale_headers = args.stale_headers);
    let from = clock();
    let mixed = run_all(&courses, rondo);
    let took = from.elapsed().as_secs_f64();
    let even = Evenness::of(args.seed, (args.requests / 10).clamp(20_000, 100_000));
    let others = if args.alone { Vec::new() } else { others(&courses) };
    let report = Report { mixed, even, others, seed: args.seed, courses: courses.len() };
    let tables = report.tables();
    println!("{tables}");
    if args.explain {
        println!("{}", report.explanation());
    }
    println!("The mixed scenario took {took:.1} s.");
    if let Some(path) = args.write {
        let document = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        std::fs::write(&path, put(&document, &tables)?).map_err(|error| format!("{path}: {error}"))?;
    }
    let misses = report.misses();
    misses.iter().for_each(|miss| println!("Out of bounds: {miss}"));
    Ok(misses.is_empty())
}

fn main() -> ExitCode {
    match simulate() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            println!("{problem}");
            ExitCode::from(2)
        }
    }
}
