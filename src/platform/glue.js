// The platform's own queueMicrotask crosses into C++ and wraps its function each time; js-sys calls it for
// every wake of every future, which was a tenth of a request's CPU. A resolved promise does the same inside V8.
const then = Promise.prototype.then;
globalThis.queueMicrotask = (task) => {
  then.call(Promise.resolve(), task);
};
export const ready = () => {};
