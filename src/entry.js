// What the platform calls. worker-build's own entry is a class behind proxies: for each request it makes an object of the
// class, three proxies and their traps. A plain function costs none of that. The class still does what it is there for:
// after a panic it starts the wasm anew.
import Shim, { Coordinator } from './index.js';

/** worker-build's: whether the wasm has panicked. */
const state = globalThis.__worker_init_state;
const { serve } = Shim.prototype;

export { Coordinator };

export default {
  fetch(request, env, ctx) {
    if (state.criticalError) return new Shim(ctx, env).fetch(request);
    return new Promise((done) => serve(request, env, ctx, done));
  },
};
