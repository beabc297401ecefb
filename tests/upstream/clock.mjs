// The simulator's clock: real time, run `factor` times as fast, and moved by hand.
// It never goes back. Delays of answers are real time and not touched by it.

/**
 * @param {() => number} [real] milliseconds of real time, from any beginning
 * @returns {{now(): number, setFactor(f: number): void, advance(ms: number): void, factor: number}} milliseconds since 1970
 */
export function createClock(factor = 1, real = () => performance.now()) {
  let base = Date.now();
  let since = real();
  const clock = {
    factor,
    now: () => Math.floor(base + (real() - since) * clock.factor),
    setFactor(next) {
      if (!(next >= 0)) throw new RangeError('a time factor is a number from 0');
      base += (real() - since) * clock.factor;
      since = real();
      clock.factor = next;
    },
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError('time does not go back');
      base += ms;
    },
  };
  return clock;
}
