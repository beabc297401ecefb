// Reads the counts that test runners print.

/**
 * `cargo test` prints one result line for each test binary.
 * @param {string} output
 * @returns {{passed: number, failed: number, ignored: number}}
 */
export function cargoCounts(output) {
  const sum = { passed: 0, failed: 0, ignored: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    sum.passed += Number(passed);
    sum.failed += Number(failed);
    sum.ignored += Number(ignored);
  }
  return sum;
}

/**
 * `node --test` ends its TAP report with totals. A cancelled test is a failed one.
 * @param {string} tap
 * @returns {{passed: number, failed: number, ignored: number}}
 */
export function nodeCounts(tap) {
  const total = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0);
  return {
    passed: total('pass'),
    failed: total('fail') + total('cancelled'),
    ignored: total('skipped') + total('todo'),
  };
}

/**
 * A runner that failed without a failed test (it did not compile, a hook broke, it was killed)
 * counts as one failure: a run is never green by having run nothing.
 * @param {{passed: number, failed: number, ignored: number}} counts
 * @param {number} code the runner's exit code
 */
export const withExitCode = (counts, code) =>
  code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
