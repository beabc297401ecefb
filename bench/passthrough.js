// The floor that Rondo is measured against: the least that a proxy on Workers can do. One fetch with the
// client's body and headers, the upstream's answer handed back untouched.
export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    return fetch(env.UPSTREAM + pathname + search, { method: request.method, headers: request.headers, body: request.body });
  },
};
