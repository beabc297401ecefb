// What the browser keeps of choices made here. A browser that keeps nothing (private mode, blocked storage) still works.

/** @returns the text kept under `rondo.<name>`, null when there is none */
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(`rondo.${name}`);
  } catch {
    return null;
  }
}

/** Keeps `value` under `rondo.<name>`; null forgets it. Never a secret: local storage is readable by any script. */
export function store(name: string, value: string | null) {
  try {
    if (value === null) localStorage.removeItem(`rondo.${name}`);
    else localStorage.setItem(`rondo.${name}`, value);
  } catch {
    // The choice holds until the page is closed.
  }
}
