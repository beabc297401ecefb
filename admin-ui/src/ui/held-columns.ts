// Columns of a long table keep their widths while its rows come and go: a browser that has to find them anew for each row
// lays out every cell of the table, and columns that jump are hard to read.

const over = (row: Element) => [...row.children].some((cell) => cell.scrollWidth > cell.clientWidth + 1);

function release(table: HTMLTableElement, heads: HTMLElement[]) {
  table.classList.remove('held');
  for (const head of heads) head.style.width = '';
}

/** Keeps the widths that the browser found, as shares, so that they go with the table's. */
function hold(table: HTMLTableElement, heads: HTMLElement[]) {
  const widths = heads.map((head) => head.getBoundingClientRect().width);
  const whole = widths.reduce((all, width) => all + width, 0);
  heads.forEach((head, at) => {
    head.style.width = `${(100 * (widths[at] ?? 0)) / whole}%`;
  });
  table.classList.add('held');
}

/** For one table. */
export function holdColumns(table: HTMLTableElement) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  let settled = 0;
  return {
    /** Call it with the rows that came, when they are laid out. True when columns may get other widths: call it again in the next frame. */
    settle(fresh: HTMLElement[]) {
      const room = table.parentElement?.clientWidth ?? 0;
      const held = table.classList.contains('held');
      if (settled === room && !(held && fresh.some(over))) return false;
      if (held) {
        // The next frame finds the widths, so that no frame lays the table out twice.
        release(table, heads);
        settled = 0;
        return true;
      }
      settled = room;
      // Cards have no columns, and what does not fit at all is better too wide than cut.
      if (getComputedStyle(table).display === 'table' && table.offsetWidth <= room + 1) hold(table, heads);
      return true;
    },
    /** Gives the widths back to the browser. */
    release: () => release(table, heads),
  };
}
